//! The trace of an action, by W3C Trace Context. Only a valid one is recorded and passed on.

use crate::action::Action;

/// W3C requires passing on at least half of this.
const TRACESTATE_BYTES_MAX: usize = 1024;
const TRACE_ID_DIGITS: usize = 32;
const PARENT_ID_DIGITS: usize = 16;

impl Action {
    /// The trace id of `traceparent`: 32 hex digits. `None` if that is not valid.
    pub fn trace_id(&self) -> Option<&str> {
        let mut parts = self.trace_context.get("traceparent")?.split('-');
        let version = parts.next().filter(|part| is_hex(part, 2))?;
        let trace = parts.next().filter(|part| is_id(part, TRACE_ID_DIGITS))?;
        parts.next().filter(|part| is_id(part, PARENT_ID_DIGITS))?;
        parts.next().filter(|part| is_hex(part, 2))?;
        // Later versions may have more parts.
        let is_known = version != "00" || parts.next().is_none();
        (is_known && version != "ff").then_some(trace)
    }

    /// `traceparent` and `tracestate`, as far as they are valid: what is passed on.
    pub fn trace(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let parent = self.trace_id().and_then(|_| self.trace_part("traceparent"));
        let state = parent.and_then(|_| self.trace_part("tracestate"));
        let state = state.filter(|(_, value)| is_state(value));
        parent.into_iter().chain(state)
    }

    fn trace_part(&self, name: &'static str) -> Option<(&'static str, &str)> {
        Some((name, self.trace_context.get(name)?))
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == digits && text.bytes().all(is_digit)
}

/// An id of zeros means that there is none.
fn is_id(text: &str, digits: usize) -> bool {
    is_hex(text, digits) && text.bytes().any(|byte| byte != b'0')
}

fn is_state(text: &str) -> bool {
    text.len() <= TRACESTATE_BYTES_MAX && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::decode::{Defaults, decode};

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn passed_on(parent: &str, state: &str) -> Vec<(&'static str, String)> {
        let json =
            r#"{"namespace":"n","tenant":"t","provider":"p","action_type":"a","payload":{}}"#;
        let draft = decode(&json.to_owned().into()).unwrap();
        let id = || "a".into();
        let action = draft.complete(&Defaults::default(), id, Timestamp::UNIX_EPOCH);
        let mut action = action.unwrap();
        action.trace_context.insert("traceparent", parent);
        action.trace_context.insert("tracestate", state);
        let trace = action.trace();
        trace
            .map(|(name, value)| (name, value.to_owned()))
            .collect()
    }

    #[test]
    fn a_valid_trace_is_passed_on() {
        let state = "rojo=00f067aa0ba902b7";
        let expected = [("traceparent", VALID), ("tracestate", state)];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(passed_on(VALID, state), expected);
        let later = VALID.replace("00-4b", "01-4b") + "-more";
        assert_eq!(passed_on(&later, state).len(), 2);
    }

    #[test]
    fn nothing_of_an_invalid_trace_is_passed_on() {
        for parent in [
            "garbage",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(passed_on(parent, "a=b").is_empty(), "{parent}");
        }
    }

    #[test]
    fn a_state_that_is_no_header_is_left_out() {
        let long = "a".repeat(TRACESTATE_BYTES_MAX + 1);
        for state in ["\r\nx: y", "a\u{7f}", "ü", &long] {
            assert_eq!(passed_on(VALID, state).len(), 1);
        }
    }
}
