//! DeleteTopics: by name or by id.

use crate::broker::core::Context;
use crate::broker::state::{Refused, State};
use crate::messages::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse, ErrorCode,
};
use crate::wire::Uuid;
use std::collections::BTreeSet;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let wanted: Vec<DeleteTopicState> = if context.version >= 6 {
        request.topics
    } else {
        let by_name = |name| DeleteTopicState { name: Some(name), topic_id: Uuid::ZERO };
        request.topic_names.into_iter().map(by_name).collect()
    };
    let mut once = BTreeSet::new();
    let key = |topic: &DeleteTopicState| (topic.name.clone(), topic.topic_id);
    let twice: BTreeSet<_> = wanted.iter().map(key).filter(|key| !once.insert(key.clone())).collect();
    let mut response = DeleteTopicsResponse::default();
    let mut answered = BTreeSet::new();
    for topic in wanted {
        let is_well_named = topic.name.is_some() == topic.topic_id.is_zero();
        if is_well_named && !answered.insert(key(&topic)) {
            continue; // once for all its duplicates
        }
        let checked = check(&topic, twice.contains(&key(&topic)));
        let name = match &topic.name {
            Some(name) => name.clone(),
            None => state.topics.name_of(&topic.topic_id).cloned().unwrap_or_default(),
        };
        let result = checked.and_then(|()| context.unless_refused(&name, None, || delete(state, &topic)));
        response.responses.push(answer(topic, result));
    }
    response
}

/// What is wrong with the question, whoever asks it.
fn check(topic: &DeleteTopicState, is_duplicate: bool) -> Result<(), Refused> {
    let invalid = |text: &str| Err(refuse(ErrorCode::INVALID_REQUEST, text));
    match (&topic.name, topic.topic_id.is_zero()) {
        (Some(_), false) => invalid("You may not specify both topic name and topic id."),
        (None, true) => invalid("Neither topic name nor id were specified."),
        (Some(_), true) if is_duplicate => invalid("Duplicate topic name."),
        (None, false) if is_duplicate => invalid("Duplicate topic id."),
        _ => Ok(()),
    }
}

/// Name and id of what was deleted.
fn delete(state: &mut State, topic: &DeleteTopicState) -> Result<DeleteTopicState, Refused> {
    let name =
        match &topic.name {
            Some(name) => name.clone(),
            None => state.topics.name_of(&topic.topic_id).cloned().ok_or_else(|| {
                refuse(ErrorCode::UNKNOWN_TOPIC_ID, "This server does not host this topic ID.")
            })?,
        };
    let deleted = state.delete_topic(name.as_bytes()).ok_or_else(|| {
        refuse(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition.")
    })?;
    Ok(DeleteTopicState { name: Some(name), topic_id: deleted.id })
}

fn answer(topic: DeleteTopicState, result: Result<DeleteTopicState, Refused>) -> DeletableTopicResult {
    match result {
        Ok(DeleteTopicState { name, topic_id }) => {
            DeletableTopicResult { name, topic_id, ..Default::default() }
        }
        Err(Refused { code, text }) => DeletableTopicResult {
            name: topic.name,
            topic_id: topic.topic_id,
            error_code: code,
            error_message: Some(text.into()),
        },
    }
}

fn refuse(code: ErrorCode, text: &str) -> Refused {
    Refused { code, text: text.to_owned() }
}
