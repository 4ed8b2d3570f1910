//! The client's errors since a broker last answered: `/ready` shows them, and the log does not repeat them.

use rdkafka::error::RDKafkaErrorCode;

/// How much of the client's message is passed on.
const REASON_CHARS_MAX: usize = 400;

/// The errors reported so far.
#[derive(Debug, Default)]
pub struct ClientErrors {
    /// Each kind of error once. Several alternate, such as a refusal and the report that all brokers are down.
    codes: Vec<RDKafkaErrorCode>,
    detail: Option<String>,
}

impl ClientErrors {
    /// Records an error. True if it is the first of its kind.
    pub fn is_new(&mut self, code: Option<RDKafkaErrorCode>, reason: &str) -> bool {
        let Some(code) = code else {
            return true;
        };
        if let Some(problem) = connection_problem(code) {
            let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
            self.detail = Some(format!("{problem}: {reason}"));
        }
        let is_new = !self.codes.contains(&code);
        if is_new {
            self.codes.push(code);
        }
        is_new
    }

    /// A broker answers. True if there were errors before.
    pub fn is_over(&mut self) -> bool {
        !std::mem::take(self).codes.is_empty()
    }

    /// True if a broker has refused the credentials or the certificate since one last answered.
    pub fn is_refused(&self) -> bool {
        let refusals = [RDKafkaErrorCode::Authentication, RDKafkaErrorCode::SSL];
        self.codes.iter().any(|code| refusals.contains(code))
    }

    /// Why no broker answers.
    pub fn detail(&self) -> String {
        let detail = self.detail.clone();
        detail.unwrap_or_else(|| "no broker answers".to_owned())
    }
}

/// Describes a connection problem; `None` for errors that are not about the connection.
fn connection_problem(code: RDKafkaErrorCode) -> Option<&'static str> {
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
    fn alternating_errors_are_new_once_until_a_broker_answers() {
        let mut errors = ClientErrors::default();
        assert!(errors.is_new(AUTHENTICATION, "a") && errors.is_new(ALL_DOWN, "1/1"));
        assert!(!errors.is_new(AUTHENTICATION, "b") && !errors.is_new(ALL_DOWN, "1/1"));
        assert!(errors.is_over() && !errors.is_over());
        assert!(errors.is_new(AUTHENTICATION, "a"));
    }

    #[test]
    fn the_detail_says_in_bounded_length_why_the_client_cannot_connect() {
        let mut errors = ClientErrors::default();
        assert_eq!(errors.detail(), "no broker answers");
        errors.is_new(AUTHENTICATION, &"é".repeat(1000));
        errors.is_new(ALL_DOWN, "1/1 brokers are down");
        let detail = errors.detail();
        assert!(detail.starts_with("authentication failed: é"), "{detail}");
        assert!(detail.chars().count() < 500);
        errors.is_over();
        assert_eq!(errors.detail(), "no broker answers");
    }
}
