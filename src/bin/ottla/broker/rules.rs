//! What `--deny` and `--quota` say: lists of `KEY=VALUE` with commas between, with the names that `kafka-acls` and `kafka-configs` have
//! for them.

use ottla::broker::{Denial, Operation, Quota, QuotaEntity};

/// By the names of `kafka-acls --operation`.
const OPERATIONS: [(&str, Operation); 9] = [
    ("Read", Operation::Read),
    ("Write", Operation::Write),
    ("Create", Operation::Create),
    ("Delete", Operation::Delete),
    ("Alter", Operation::Alter),
    ("Describe", Operation::Describe),
    ("DescribeConfigs", Operation::DescribeConfigs),
    ("AlterConfigs", Operation::AlterConfigs),
    ("IdempotentWrite", Operation::IdempotentWrite),
];

/// A denial, such as `operation=Write,topic=orders,principal=User:alice`.
pub(super) fn denial(text: &str) -> Result<Denial, String> {
    let mut resource: Option<(&str, &str)> = None;
    let (mut operation, mut user) = (None, None);
    for (key, value) in pairs(text) {
        match (key, value) {
            ("operation", Some(name)) if operation.is_none() => operation = Some(operation_of(name)?),
            ("topic" | "group" | "transactional-id", Some(name))
                if resource.is_none() && !name.is_empty() =>
            {
                resource = Some((key, name));
            }
            ("cluster", None) if resource.is_none() => resource = Some((key, "")),
            ("principal", Some(principal)) if user.is_none() => {
                let name = principal.strip_prefix("User:").filter(|name| !name.is_empty());
                user = Some(name.ok_or("a principal is User:NAME")?);
            }
            _ => return Err(surplus(key)),
        }
    }
    let denial = Denial::new(operation.ok_or("operation=.. is missing")?);
    let denial = match resource {
        Some(("topic", name)) => denial.topic(name),
        Some(("group", name)) => denial.group(name),
        Some(("transactional-id", name)) => denial.transactional_id(name),
        Some(_) => denial.cluster(),
        None => denial,
    };
    Ok(user.map_or(denial.clone(), |user| denial.user(user)))
}

/// Whose quota it is, and the quota: such as `user=alice,client=billing,producer_byte_rate=100000`.
pub(super) fn quota(text: &str) -> Result<(QuotaEntity, Quota), String> {
    let (mut user, mut client) = (None, None);
    let mut quota = Quota::new();
    for (key, value) in pairs(text) {
        match (key, value) {
            ("user", Some(name)) if user.is_none() && !name.is_empty() => user = Some(Some(name)),
            ("user-defaults", None) if user.is_none() => user = Some(None),
            ("client", Some(name)) if client.is_none() && !name.is_empty() => client = Some(Some(name)),
            ("client-defaults", None) if client.is_none() => client = Some(None),
            ("producer_byte_rate", Some(rate)) => quota = quota.producer_byte_rate(rate_of(rate)?),
            ("consumer_byte_rate", Some(rate)) => quota = quota.consumer_byte_rate(rate_of(rate)?),
            _ => return Err(surplus(key)),
        }
    }
    if quota == Quota::new() {
        return Err("producer_byte_rate=.. or consumer_byte_rate=.. is missing".to_owned());
    }
    let entity = match (user, client) {
        (None, None) => {
            return Err("user=.., user-defaults, client=.. or client-defaults is missing".to_owned());
        }
        (None, Some(client)) => client.map_or_else(QuotaEntity::default_client_id, QuotaEntity::client_id),
        (Some(user), client) => {
            let entity = user.map_or_else(QuotaEntity::default_user, QuotaEntity::user);
            match client {
                None => entity,
                Some(None) => entity.with_default_client_id(),
                Some(Some(client)) => entity.with_client_id(client),
            }
        }
    };
    Ok((entity, quota))
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(',').map(|pair| match pair.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim())),
        None => (pair.trim(), None),
    })
}

fn operation_of(name: &str) -> Result<Operation, String> {
    let known = OPERATIONS.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    let names = || OPERATIONS.map(|(name, _)| name).join(", ");
    known.map(|(_, operation)| *operation).ok_or_else(|| format!("an operation is one of {}", names()))
}

fn rate_of(text: &str) -> Result<u64, String> {
    let rate = text.parse().ok().filter(|rate| *rate > 0);
    rate.ok_or_else(|| format!("{text:?} is no number of bytes a second"))
}

fn surplus(key: &str) -> String {
    format!("{key:?} is not expected there, has no value, or has one too many")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_are_said_as_kafka_acls_says_them() {
        for (text, expected) in [
            ("operation=Write", Denial::new(Operation::Write)),
            ("operation=describeconfigs, topic=t", Denial::new(Operation::DescribeConfigs).topic("t")),
            (
                "group=g,operation=Read,principal=User:al:ice",
                Denial::new(Operation::Read).group("g").user("al:ice"),
            ),
            ("transactional-id=x,operation=Write", Denial::new(Operation::Write).transactional_id("x")),
            ("operation=IdempotentWrite,cluster", Denial::new(Operation::IdempotentWrite).cluster()),
        ] {
            assert_eq!(denial(text), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "topic=t",
            "operation=Wrote",
            "operation=Write,operation=Read",
            "operation=Write,topic=t,group=g",
            "operation=Write,topic=",
            "operation=Write,principal=alice",
            "operation=Write,host=h",
            "operation=Write,cluster=1",
        ] {
            denial(wrong).unwrap_err();
        }
    }

    #[test]
    fn quotas_are_said_as_kafka_configs_says_them() {
        let produce = Quota::new().producer_byte_rate(5);
        for (text, entity, expected) in [
            ("user=u,producer_byte_rate=5", QuotaEntity::user("u"), produce),
            ("user-defaults,producer_byte_rate=5", QuotaEntity::default_user(), produce),
            ("producer_byte_rate=5,client=c", QuotaEntity::client_id("c"), produce),
            ("client-defaults,producer_byte_rate=5", QuotaEntity::default_client_id(), produce),
            (
                "user=u,client=c,producer_byte_rate=5,consumer_byte_rate=6",
                QuotaEntity::user("u").with_client_id("c"),
                produce.consumer_byte_rate(6),
            ),
            (
                "user-defaults,client-defaults,consumer_byte_rate=6",
                QuotaEntity::default_user().with_default_client_id(),
                Quota::new().consumer_byte_rate(6),
            ),
        ] {
            assert_eq!(quota(text), Ok((entity, expected)), "{text}");
        }
        for wrong in [
            "",
            "user=u",
            "producer_byte_rate=5",
            "user=u,producer_byte_rate=0",
            "user=u,producer_byte_rate=-5",
            "user=u,user-defaults,producer_byte_rate=5",
            "user=,producer_byte_rate=5",
            "user=u,request_percentage=5",
        ] {
            quota(wrong).unwrap_err();
        }
    }
}
