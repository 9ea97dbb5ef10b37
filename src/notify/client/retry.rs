//! `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.

use hyper::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// The longest wait that is granted: a receiver cannot silence netmon for a year.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);

/// What the receiver asks for, at most [`LONGEST`]; a date that is over is no wait. `None` where it asks for nothing that
/// can be understood, such as a negative number.
pub(crate) fn after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn asked(text: &str) -> Option<u64> {
        // 1994-11-06T08:49:37Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let value = HeaderValue::from_str(text).expect("it can be sent");
        after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_obeyed_up_to_an_hour() {
        assert_eq!(asked("0"), Some(0));
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(asked("Sat, 06 Nov 2004 08:49:37 GMT"), Some(3600));
        assert_eq!(asked("315360000"), Some(3600));
        assert_eq!(asked("99999999999999999999999999"), Some(3600));
    }

    #[test]
    fn what_is_no_wait_is_none() {
        for text in ["-5", "", "soon", "1.5", "+3", "1e3", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(asked(text), None, "{text}");
        }
    }
}
