//! Reads `Retry-After` in both its forms, seconds or a date. The wait is passed on, however long it is.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

/// How long the provider asks to wait. A date is compared with the `Date` of the same answer, so that the clocks need
/// not agree; `now` replaces a missing `Date`. A date in the past means no wait.
pub(crate) fn retry_after(
    headers: &HeaderMap,
    now: impl FnOnce() -> SystemTime,
) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    if let Some(seconds) = fraction(text) {
        return Some(seconds);
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let since = date(headers, DATE).unwrap_or_else(now);
    Some(until.duration_since(since).unwrap_or_default())
}

/// Seconds with a fraction, as some services send them against the standard.
fn fraction(text: &str) -> Option<Duration> {
    let is_sign = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let seconds = text.bytes().all(is_sign).then(|| text.parse().ok())??;
    Duration::try_from_secs_f64(seconds).ok()
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

    fn wait(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, || httpdate::parse_http_date(NOW).unwrap())
    }

    #[test]
    fn seconds_and_all_three_forms_of_a_date_are_read() {
        let secs = |n| Some(Duration::from_secs(n));
        assert_eq!(wait("120"), secs(120));
        assert_eq!(wait(" 0 "), secs(0));
        assert_eq!(wait("Thu, 01 Jan 2026 00:01:30 GMT"), secs(90));
        assert_eq!(wait("Thursday, 01-Jan-26 00:01:30 GMT"), secs(90));
        assert_eq!(wait("Thu Jan  1 00:01:30 2026"), secs(90));
        assert_eq!(wait("Wed, 31 Dec 2025 23:00:00 GMT"), secs(0));
        assert_eq!(wait("99999999999999999999999"), secs(u64::MAX));
        assert_eq!(wait("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(wait("."), None);
    }

    #[test]
    fn other_values_are_ignored() {
        for value in ["", "soon", "-5", "1.5.0", "+3", "5 minutes"] {
            assert_eq!(wait(value), None, "{value}");
        }
        assert_eq!(
            retry_after(&HeaderMap::new(), || SystemTime::UNIX_EPOCH),
            None
        );
    }

    #[test]
    fn a_date_is_compared_with_the_clock_of_the_provider() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Thu, 01 Jan 2026 09:00:00 GMT".parse().unwrap());
        headers.insert(
            RETRY_AFTER,
            "Thu, 01 Jan 2026 09:00:10 GMT".parse().unwrap(),
        );
        let wait = retry_after(&headers, || httpdate::parse_http_date(NOW).unwrap());
        assert_eq!(wait, Some(Duration::from_secs(10)));
    }
}
