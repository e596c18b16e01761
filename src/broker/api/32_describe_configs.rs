//! DescribeConfigs: the settings of topics and brokers, as Kafka's `ConfigHelper` tells them.
//!
//! Different from Kafka: of a broker's settings only those that mean something here, none of its loggers, and no
//! documentation.

use crate::broker::broker_config;
use crate::broker::core::Context;
use crate::broker::state::{Refused, State};
use crate::broker::topic::check_name;
use crate::messages::{
    ConfigResourceType, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, ErrorCode,
};
use crate::wire::Text;

pub(super) fn handle(
    state: &State,
    context: Context<'_>,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let makes_sense = request.resources.iter().all(|resource| is_known(resource.resource_type));
    let results = request.resources.iter().map(|resource| {
        if !makes_sense {
            return answer(resource, Err(invalid(ErrorCode::INVALID_REQUEST.description().to_owned())));
        }
        let is_topic = resource.resource_type == ConfigResourceType::TOPIC;
        let topic = if is_topic { resource.resource_name.as_str() } else { "" };
        let described = context.unless_refused(topic, None, || describe(state, context, resource));
        let described = described.map(|configs| {
            let mut wanted: Vec<_> =
                configs.into_iter().filter(|row| is_wanted(resource, &row.name)).collect();
            if !request.include_synonyms {
                wanted.iter_mut().for_each(|row| row.synonyms.clear());
            }
            wanted
        });
        answer(resource, described)
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

/// Whether Kafka has settings of such things.
pub(super) fn is_known(resource_type: ConfigResourceType) -> bool {
    matches!(
        resource_type,
        ConfigResourceType::TOPIC
            | ConfigResourceType::BROKER
            | ConfigResourceType::BROKER_LOGGER
            | ConfigResourceType::CLIENT_METRICS
            | ConfigResourceType::GROUP
    )
}

fn is_wanted(resource: &DescribeConfigsResource, name: &Text) -> bool {
    match &resource.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.contains(name),
        _ => true,
    }
}

fn describe(
    state: &State,
    context: Context<'_>,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        ConfigResourceType::TOPIC => {
            check_name(name).map_err(|text| Refused { code: ErrorCode::INVALID_TOPIC_EXCEPTION, text })?;
            let unknown = || Refused { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text: String::new() };
            Ok(state.topics.get(name.as_bytes()).ok_or_else(unknown)?.config.described())
        }
        ConfigResourceType::BROKER if name.is_empty() => Ok(broker_config::of_all_brokers()),
        ConfigResourceType::BROKER => {
            broker_config::check_name(name, context.broker, " or empty string,").map_err(invalid)?;
            Ok(broker_config::of(state, context.broker))
        }
        ConfigResourceType::BROKER_LOGGER if name.is_empty() => {
            Err(invalid("Broker id must not be empty".to_owned()))
        }
        ConfigResourceType::BROKER_LOGGER => {
            broker_config::check_name(name, context.broker, "").map_err(invalid)?;
            Ok(Vec::new())
        }
        ConfigResourceType::GROUP if name.is_empty() => {
            Err(invalid("Group name must not be empty".to_owned()))
        }
        ConfigResourceType::GROUP => Ok(broker_config::of_groups(state)),
        _ if name.is_empty() => Err(invalid("Client metrics subscription name must not be empty".to_owned())),
        _ => Ok(broker_config::of_metrics()),
    }
}

fn answer(
    resource: &DescribeConfigsResource,
    described: Result<Vec<DescribeConfigsResourceResult>, Refused>,
) -> DescribeConfigsResult {
    let (error_code, error_message, configs) = match described {
        // Kafka has no text here, and yet not null.
        Ok(configs) => (ErrorCode::NONE, Some(Text::default()), configs),
        Err(Refused { code, text }) => (code, Some(text.into()), Vec::new()),
    };
    DescribeConfigsResult {
        error_code,
        error_message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs,
    }
}

fn invalid(text: String) -> Refused {
    Refused { code: ErrorCode::INVALID_REQUEST, text }
}
