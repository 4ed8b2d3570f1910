//! The one table of what a provider's status means: pass by itself, this action's fault, or the provider's. When to try
//! again is the pipeline's.

use acteon_core::{BuildError, FailureCode, SinkError};
use http::StatusCode;

/// Which statuses mean that the provider took the action: every 2xx, unless the operator names others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuccessCodes(Option<Box<[u16]>>);

impl SuccessCodes {
    /// Exactly `codes`, in place of every 2xx; `option` is where they stand.
    ///
    /// # Errors
    /// When there are none, or one that cannot be the status of a final answer.
    pub fn only(option: &str, codes: &[u16]) -> Result<Self, BuildError> {
        if codes.is_empty() {
            let message = "name at least one status, or leave the option out";
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

    /// True when `status` means that the provider took the action.
    pub fn contains(&self, status: StatusCode) -> bool {
        match &self.0 {
            None => status.is_success(),
            Some(codes) => codes.contains(&status.as_u16()),
        }
    }
}

/// What a status that is not a success means; `host` is who answered it.
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
        // The credential or the address is refused, and both come from the configuration: the action is not at fault.
        401 | 403 | 404 | 407 | 410 => SinkError::provider_fault(code, message),
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
                .starts_with("`success_codes`: name")
        );
        assert_eq!(
            refused(&[200, 99]).to_string(),
            "`success_codes[1]`: 99 is not a status between 200 and 599"
        );
    }
}
