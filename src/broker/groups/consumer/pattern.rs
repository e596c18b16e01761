//! [`Pattern`]: a subscription by regular expression.
//!
//! Different from Kafka: the notation is that of the crate `regex`, which has what RE2/J has but for a few names of classes.

use super::refuse;
use crate::broker::state::Refused;
use crate::messages::ErrorCode;
use crate::wire::Text;
use regex::{Regex, RegexBuilder};

/// The most memory that a compiled expression may take, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// The longest expression, in bytes: to read one takes a hundred times its size in memory before that limit counts.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// A regular expression that the whole name of a topic has to match.
#[derive(Debug, Clone)]
pub(in crate::broker) struct Pattern {
    text: Text,
    /// Of an empty expression, which stands for none, there is nothing.
    compiled: Option<Regex>,
}

impl Pattern {
    /// # Errors
    /// INVALID_REGULAR_EXPRESSION.
    pub(in crate::broker) fn new(text: &Text) -> Result<Pattern, Refused> {
        if text.as_bytes().len() > MAX_TEXT_BYTES {
            let text = format!("SubscribedTopicRegex has more than {MAX_TEXT_BYTES} bytes.");
            return Err(refuse(ErrorCode::INVALID_REGULAR_EXPRESSION, text));
        }
        let text = text.detach();
        if text.is_empty() {
            return Ok(Pattern { text, compiled: None });
        }
        let compile = |expression: &str| RegexBuilder::new(expression).size_limit(MAX_BYTES).build();
        // On its own first: brackets that do not match must not find theirs in what is put around it.
        let compiled = compile(&text).and_then(|_| compile(&format!(r"\A(?:{})\z", text.as_str())));
        match compiled {
            Ok(compiled) => Ok(Pattern { text, compiled: Some(compiled) }),
            Err(error) => {
                let text =
                    format!("SubscribedTopicRegex `{text}` is not a valid regular expression: {error}.");
                Err(refuse(ErrorCode::INVALID_REGULAR_EXPRESSION, text))
            }
        }
    }

    pub(super) fn text(&self) -> &Text {
        &self.text
    }

    pub(super) fn matches(&self, topic: &str) -> bool {
        self.compiled.as_ref().is_some_and(|compiled| compiled.is_match(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_has_to_match() {
        let matches = |pattern: &str, topic: &str| Pattern::new(&pattern.into()).unwrap().matches(topic);
        assert!(matches("orders-.*", "orders-eu"));
        assert!(!matches("orders", "orders-eu") && !matches("eu", "orders-eu"));
        assert!(matches("a|bc", "bc") && !matches("a|bc", "ac"));
        assert!(matches("(?i)ORDERS", "orders"));
        assert!(!matches("", "") && !matches("", "a"), "an empty one is none");
    }

    #[test]
    fn a_long_one_is_refused_unread() {
        let names = |count| Text::from("orders-eu|".repeat(count) + "orders-us");
        assert!(Pattern::new(&names(1_600)).is_ok());
        let refused = Pattern::new(&names(400_000)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::INVALID_REGULAR_EXPRESSION);
        assert!(refused.text.len() < 100, "{}", refused.text);
    }

    #[test]
    fn what_is_none_is_refused() {
        for pattern in ["[", "(", "a)|(b", "*", "(?P<", "(?=a)", "(a{1000}){1000}"] {
            let refused = Pattern::new(&pattern.into()).unwrap_err();
            assert_eq!(refused.code, ErrorCode::INVALID_REGULAR_EXPRESSION, "{pattern}");
        }
    }
}
