//! Which text form and encoding a scraper gets, by `Accept` and `Accept-Encoding` (RFC 9110 section 12.5).

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

/// A text form of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// Prometheus text format 0.0.4; 1.0.0 differs only in names netmon does not use.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// A form and the `Content-Type` that announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub form: TextForm,
    pub content_type: &'static str,
}

const TEXT: Offer = Offer { form: TextForm::Prometheus, content_type: "text/plain; version=0.0.4; charset=utf-8" };

/// The supported offer with the highest quality; among equals the first. Text 0.0.4 when nothing fits, never 406: a
/// scraper that asks for something else can still try.
pub(super) fn form(headers: &HeaderMap) -> Offer {
    let ranges = list(headers, &ACCEPT);
    let offers = ranges.iter().filter_map(|range| Some((range.quality, offer(range)?)));
    offers.fold((0, TEXT), |best, offered| if offered.0 > best.0 { offered } else { best }).1
}

/// Whether the answer may be compressed.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = list(headers, &ACCEPT_ENCODING);
    let quality = |name| codings.iter().find(|coding| coding.name == name).map(|coding| coding.quality);
    quality("gzip").or_else(|| quality("x-gzip")).or_else(|| quality("*")).is_some_and(|quality| quality > 0)
}

fn offer(range: &Element) -> Option<Offer> {
    let unicode = range.parameter("escaping").is_some_and(|scheme| scheme == "allow-utf-8");
    let offer = |form, content_type| Some(Offer { form, content_type });
    match (range.name.as_str(), range.parameter("version")) {
        ("application/openmetrics-text", Some("0.0.1")) => {
            offer(TextForm::OpenMetrics, "application/openmetrics-text; version=0.0.1; charset=utf-8")
        }
        ("application/openmetrics-text", None | Some("1.0.0")) => offer(
            TextForm::OpenMetrics,
            // Names are of the legacy set, so `allow-utf-8` and `underscores` give the same bytes; `dots` and `values`
            // would rewrite underscores, and are answered with `underscores`.
            if unicode {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            } else {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            },
        ),
        ("text/plain", Some("1.0.0")) => offer(
            TextForm::Prometheus,
            if unicode {
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            } else {
                "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
            },
        ),
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => Some(TEXT),
        _ => None,
    }
}

/// One element of a comma-separated header: a media range or a content coding.
#[derive(Debug)]
struct Element {
    name: String,
    parameters: Vec<(String, String)>,
    /// In thousandths, 0 to 1000; what is no number counts as 0.
    quality: u16,
}

impl Element {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let pairs = parts.filter_map(|part| part.split_once('='));
        let parameters: Vec<_> = pairs
            .map(|(name, value)| {
                (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"').to_ascii_lowercase())
            })
            .collect();
        let quality = parameters.iter().find(|(name, _)| name == "q").map_or(1000, |(_, value)| thousandths(value));
        Self { name, parameters, quality }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A quality value: `0`, `1`, `0.5` with at most three digits behind the point.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.len() <= 3 && part.bytes().all(|c| c.is_ascii_digit());
    match whole {
        "1" if digits(fraction) => 1000,
        "0" if digits(fraction) => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<Element> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(Element::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a legal header value"))])
    }

    #[test]
    fn accept_decides_the_form() {
        let modern = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
        let modern_unicode = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
        let draft = "application/openmetrics-text; version=0.0.1; charset=utf-8";
        let plain = "text/plain; version=0.0.4; charset=utf-8";
        let plain_1 = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
        for (accept, expected) in [
            // Prometheus 2.42, 3.0, 3.0 with native histograms, curl, a browser.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                modern,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                modern_unicode,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.9,\
                 text/plain;version=0.0.4;q=0.3,application/openmetrics-text;version=1.0.0;q=0.7",
                modern,
            ),
            ("*/*", plain),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", plain),
            // One thing each.
            ("application/openmetrics-text", modern),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", modern),
            ("application/openmetrics-text;version=0.0.1", draft),
            ("application/openmetrics-text;version=2.0.0", plain),
            ("application/openmetrics-text;version=1.0.0;escaping=dots", modern),
            ("text/plain;version=1.0.0;escaping=allow-utf-8", plain_1),
            ("text/plain", plain),
            ("text/*", plain),
            // Quality.
            ("application/openmetrics-text;q=0.5, text/plain;q=0.6", plain),
            ("text/plain;q=0.6, application/openmetrics-text;q=0.61", modern),
            ("text/plain, application/openmetrics-text", plain),
            ("application/openmetrics-text;q=0", plain),
            ("application/openmetrics-text;q=nan, text/plain;q=0.001", plain),
            ("application/openmetrics-text;q=2", plain),
            // Nothing that fits.
            ("image/png", plain),
            ("", plain),
            (";;;,,,=", plain),
        ] {
            assert_eq!(form(&headers(ACCEPT, accept)).content_type, expected, "{accept}");
        }
        assert_eq!(form(&HeaderMap::new()), TEXT);
    }

    #[test]
    fn gzip_is_used_only_where_it_is_accepted() {
        for (accept, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("x-gzip", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(&headers(ACCEPT_ENCODING, accept)), expected, "{accept}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
