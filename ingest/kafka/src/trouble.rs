//! The client's errors since a broker last answered: `/ready` shows them, and the log does not repeat them.

use rdkafka::error::RDKafkaErrorCode;

/// How much of the client's message is passed on.
const REASON_CHARS_MAX: usize = 400;

#[derive(Default)]
pub(crate) struct Trouble {
    /// Each kind of error once. Several alternate, such as a refusal and the report that all brokers are down.
    codes: Vec<RDKafkaErrorCode>,
    detail: Option<String>,
}

impl Trouble {
    /// Records an error. True if it is the first of its kind.
    pub(crate) fn is_new(&mut self, code: Option<RDKafkaErrorCode>, reason: &str) -> bool {
        let Some(code) = code else {
            return true;
        };
        if let Some(what) = kept_out_by(code) {
            let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
            self.detail = Some(format!("{what}: {reason}"));
        }
        let is_new = !self.codes.contains(&code);
        if is_new {
            self.codes.push(code);
        }
        is_new
    }

    /// A broker answers. True if there were errors before.
    pub(crate) fn is_over(&mut self) -> bool {
        !std::mem::take(self).codes.is_empty()
    }

    /// Why no broker answers.
    pub(crate) fn detail(&self) -> String {
        let detail = self.detail.clone();
        detail.unwrap_or_else(|| "no broker answers".to_owned())
    }
}

/// Describes a connection problem; `None` for errors that are not about the connection.
fn kept_out_by(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::Authentication => Some("authentication failed"),
        RDKafkaErrorCode::SSL => Some("TLS failed"),
        RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve => {
            Some("no broker answers")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHENTICATION: Option<RDKafkaErrorCode> = Some(RDKafkaErrorCode::Authentication);
    const ALL_DOWN: Option<RDKafkaErrorCode> = Some(RDKafkaErrorCode::AllBrokersDown);

    #[test]
    fn errors_that_take_turns_are_new_once_until_a_broker_answers() {
        let mut trouble = Trouble::default();
        assert!(trouble.is_new(AUTHENTICATION, "a") && trouble.is_new(ALL_DOWN, "1/1"));
        assert!(!trouble.is_new(AUTHENTICATION, "b") && !trouble.is_new(ALL_DOWN, "1/1"));
        assert!(trouble.is_over() && !trouble.is_over());
        assert!(trouble.is_new(AUTHENTICATION, "a"));
    }

    #[test]
    fn the_detail_is_what_keeps_the_client_out_in_bounded_words() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.detail(), "no broker answers");
        trouble.is_new(AUTHENTICATION, &"é".repeat(1000));
        trouble.is_new(ALL_DOWN, "1/1 brokers are down");
        let detail = trouble.detail();
        assert!(detail.starts_with("authentication failed: é"), "{detail}");
        assert!(detail.chars().count() < 500);
        trouble.is_over();
        assert_eq!(trouble.detail(), "no broker answers");
    }
}
