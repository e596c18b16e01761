//! IncrementalAlterConfigs: changes settings of topics, checked as `ConfigAdminManager` of the broker and
//! `ConfigurationControlManager` of the controller of Kafka 4.3 do. What is changed holds for the next request.
//!
//! Different from Kafka: nothing but topics can be changed; the settings of brokers are the builder's.

use super::describe_configs::is_known;
use crate::broker::core::Context;
use crate::broker::state::{Refused, State};
use crate::broker::topic::check_name;
use crate::messages::{
    AlterConfigOperation, AlterConfigsResource, AlterConfigsResourceResponse, ConfigResourceType, ErrorCode,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use crate::wire::Text;
use std::collections::BTreeSet;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut once = BTreeSet::new();
    let twice: BTreeSet<_> = request.resources.iter().map(key).filter(|key| !once.insert(*key)).collect();
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let is_topic = resource.resource_type == ConfigResourceType::TOPIC;
        let topic = if is_topic { resource.resource_name.as_str() } else { "" };
        let altered = if twice.contains(&key(resource)) {
            Err(invalid("Each resource must appear at most once.".to_owned()))
        } else {
            context.unless_refused(topic, None, || {
                check(resource)?;
                alter(state, resource, request.validate_only)
            })
        };
        responses.push(answer(resource, altered));
    }
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

fn key(resource: &AlterConfigsResource) -> (ConfigResourceType, &Text) {
    (resource.resource_type, &resource.resource_name)
}

/// What the broker looks at before it asks the controller.
fn check(resource: &AlterConfigsResource) -> Result<(), Refused> {
    let mut once = BTreeSet::new();
    if !resource.configs.iter().all(|config| once.insert(&config.name)) {
        return Err(invalid("Error due to duplicate config keys".to_owned()));
    }
    let says_nothing = resource
        .configs
        .iter()
        .filter(|config| config.config_operation != AlterConfigOperation::DELETE && config.value.is_none());
    let nothing: Vec<&str> = says_nothing.map(|config| config.name.as_str()).collect();
    if !nothing.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", nothing.join(", "))));
    }
    if !is_known(resource.resource_type) {
        return Err(invalid(format!("Unknown resource type {}", resource.resource_type)));
    }
    if resource.configs.iter().any(|config| !(0..=3).contains(&config.config_operation.0)) {
        return Err(invalid("Unknown operation".to_owned()));
    }
    Ok(())
}

fn alter(state: &mut State, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refused> {
    let name = &resource.resource_name;
    if resource.resource_type != ConfigResourceType::TOPIC {
        let text = "An embedded broker can change the settings of topics only".to_owned();
        return Err(invalid(text));
    }
    if name.is_empty() {
        return Err(invalid("Default topic resources are not allowed.".to_owned()));
    }
    check_name(name).map_err(|text| Refused { code: ErrorCode::INVALID_TOPIC_EXCEPTION, text })?;
    let found = state.topics.get_mut(name.as_bytes());
    // Kafka looks at the settings before it looks for the topic.
    let old = found.as_ref().map(|topic| topic.config.clone()).unwrap_or_default();
    let config = old.altered(&resource.configs)?;
    let Some(topic) = found else {
        let text = format!("The topic '{name}' does not exist.");
        return Err(Refused { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text });
    };
    if !validate_only {
        topic.config = config;
    }
    Ok(())
}

fn answer(resource: &AlterConfigsResource, altered: Result<(), Refused>) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = match altered {
        Ok(()) => (ErrorCode::NONE, None),
        Err(Refused { code, text }) => (code, Some(text.into())),
    };
    let AlterConfigsResource { resource_type, resource_name, .. } = resource;
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type: *resource_type,
        resource_name: resource_name.clone(),
    }
}

fn invalid(text: String) -> Refused {
    Refused { code: ErrorCode::INVALID_REQUEST, text }
}
