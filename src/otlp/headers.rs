//! Headers for the collector, in the form of `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` pairs separated by commas, values
//! percent-encoded. They are secrets: nothing here repeats them.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// Why a text gives no headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No pairs.
    #[error("the headers are no pairs `name=value` separated by commas")]
    Malformed,
    /// One that netmon sets itself.
    #[error("one of the headers is for netmon to set (its length, its type, or how the connection is used)")]
    Reserved,
}

/// Set for each request, or about the connection (RFC 9110 section 7.6.1).
const RESERVED: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-encoding",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Reads the headers.
pub(super) fn parse(text: &str) -> Result<HeaderMap, HeaderError> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(HeaderError::Malformed)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| HeaderError::Malformed)?;
        let value = percent_decoded(value.trim());
        let mut value = HeaderValue::from_str(&value).map_err(|_| HeaderError::Malformed)?;
        value.set_sensitive(true);
        if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("grpc-") {
            return Err(HeaderError::Reserved);
        }
        headers.append(name, value);
    }
    Ok(headers)
}

/// `%2C` as `,` and so on; what is no such code stays as it is.
pub(crate) fn percent_decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits are at most 255.
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(u8::MAX));
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_marked_as_secret() {
        let headers = parse(" authorization = Basic%20Y2FuYXJ5PT0= , x-scope-orgid=a,").expect("they are headers");
        assert_eq!(headers["authorization"], "Basic Y2FuYXJ5PT0=");
        assert_eq!(headers["x-scope-orgid"], "a");
        assert!(!format!("{headers:?}").contains("Basic"));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_repeating_it() {
        for bad in ["canary", "can ary=1", "a=1,canary", "a=%0d%0acanary", "=canary"] {
            let error = parse(bad).expect_err(bad);
            assert!(!error.to_string().contains("canary"));
        }
        for reserved in ["Host=a", "te=trailers", "grpc-timeout=1S", "content-type=a"] {
            assert_eq!(parse(reserved), Err(HeaderError::Reserved), "{reserved}");
        }
    }

    #[test]
    fn percent_codes_are_decoded_and_what_is_none_stays() {
        assert_eq!(percent_decoded("a%20b%2c%E2%82%AC%zz%4"), "a b,€%zz%4");
    }
}
