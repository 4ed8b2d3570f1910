//! The one table of what a provider's status means: a transient failure, a fault of this action, or a fault of the
//! provider. The pipeline decides when to try again.

use acteon_core::{BuildError, FailureCode, SinkError};
use http::StatusCode;

/// The statuses that mean the provider accepted the action: every 2xx, unless the operator lists others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuccessCodes(Option<Box<[u16]>>);

impl SuccessCodes {
    /// Exactly `codes`, instead of every 2xx. `option` is the name of their option.
    ///
    /// # Errors
    /// When the list is empty, or contains a number that cannot be the status of a final answer.
    pub fn only(option: &str, codes: &[u16]) -> Result<Self, BuildError> {
        if codes.is_empty() {
            let message = "list at least one status, or remove the option";
            return Err(BuildError::at(option, message));
        }
        match codes.iter().position(|code| !(200..600).contains(code)) {
            None => Ok(Self(Some(codes.into()))),
            Some(at) => Err(BuildError::at(
                format!("{option}[{at}]"),
                format!("{} is not a status between 200 and 599", codes[at]),
            )),
        }
    }

    /// True if `status` means that the provider accepted the action.
    pub fn contains(&self, status: StatusCode) -> bool {
        match &self.0 {
            None => status.is_success(),
            Some(codes) => codes.contains(&status.as_u16()),
        }
    }
}

/// The error for a status that is not a success, answered by `host`.
pub(crate) fn failure(status: StatusCode, host: &str) -> SinkError {
    let code = match status.as_u16() {
        408 => FailureCode::Timeout,
        429 => FailureCode::RateLimited,
        _ => FailureCode::ExecutionFailed,
    };
    let message = if status.is_redirection() {
        format!("{host} answered {status}; redirects are not followed")
    } else {
        format!("{host} answered {status}")
    };
    match status.as_u16() {
        408 | 425 | 429 | 500..=599 => SinkError::transient(code, message),
        // The provider refuses the credential or the address. Both are configured, so the action is not at fault.
        401 | 403 | 404 | 407 | 410 => SinkError::provider_fault(code, message),
        413 => SinkError::permanent(code, message).too_large(),
        _ => SinkError::permanent(code, message),
    }
}

#[cfg(test)]
mod tests {
    use acteon_core::sink::SinkErrorClass;

    use super::*;

    fn status(code: u16) -> StatusCode {
        StatusCode::from_u16(code).unwrap()
    }

    #[test]
    fn every_status_that_is_not_a_success_has_its_class_and_code() {
        for code in (300..600).filter(|code| !(200..300).contains(code)) {
            let error = failure(status(code), "example.com");
            let class = match code {
                408 | 425 | 429 | 500..=599 => SinkErrorClass::Transient { retry_after: None },
                401 | 403 | 404 | 407 | 410 => SinkErrorClass::ProviderFault,
                _ => SinkErrorClass::Permanent,
            };
            assert_eq!(error.class, class, "{code}");
            let expected = match code {
                408 => FailureCode::Timeout,
                429 => FailureCode::RateLimited,
                _ => FailureCode::ExecutionFailed,
            };
            assert_eq!(error.code, expected, "{code}");
            assert_eq!(error.is_too_large, code == 413, "{code}");
        }
    }

    #[test]
    fn a_failure_names_the_host_and_the_status() {
        let text = |code| failure(status(code), "example.com").to_string();
        assert_eq!(text(503), "example.com answered 503 Service Unavailable");
        assert_eq!(
            text(302),
            "example.com answered 302 Found; redirects are not followed"
        );
    }

    #[test]
    fn every_2xx_is_a_success_unless_others_are_named() {
        let usual = SuccessCodes::default();
        assert!((200..300).all(|code| usual.contains(status(code))));
        assert!(!(300..600).any(|code| usual.contains(status(code))));
        let named = SuccessCodes::only("success_codes", &[200, 409]).unwrap();
        let taken: Vec<u16> = (200..600).filter(|c| named.contains(status(*c))).collect();
        assert_eq!(taken, [200, 409]);
    }

    #[test]
    fn a_list_of_codes_that_cannot_work_is_refused() {
        let refused = |codes: &[u16]| SuccessCodes::only("success_codes", codes).unwrap_err();
        assert!(
            refused(&[])
                .to_string()
                .starts_with("`success_codes`: list")
        );
        assert_eq!(
            refused(&[200, 99]).to_string(),
            "`success_codes[1]`: 99 is not a status between 200 and 599"
        );
    }
}
