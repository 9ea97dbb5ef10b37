//! The live page: the files of `dashboards/web`, built into the program.
//!
//! The page asks nobody but the daemon it came from; the policy sent with it has browsers refuse everything else.

use super::negotiate;
use axum::body::Bytes;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::OnceLock;

/// What a browser may do with the page: run its scripts, use its styles, talk to where it came from; nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    /// Packed when first asked for.
    packed: OnceLock<Packed>,
}

/// A file as it is sent.
struct Packed {
    gzip: Bytes,
    /// Of the contents, so that a browser keeps what did not change.
    tag: HeaderValue,
}

macro_rules! asset {
    ($name:literal, $path:literal, $content_type:expr) => {
        Asset {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../dashboards/web/", $path)),
            packed: OnceLock::new(),
        }
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

static PAGE: Asset = asset!("", "index.html", "text/html; charset=utf-8");

static ASSETS: [Asset; 16] = [
    asset!("alerts.js", "alerts.js", SCRIPT),
    asset!("app.js", "app.js", SCRIPT),
    asset!("chart.js", "chart.js", SCRIPT),
    asset!("dom.js", "dom.js", SCRIPT),
    asset!("flows.js", "flows.js", SCRIPT),
    asset!("format.js", "format.js", SCRIPT),
    asset!("icon.svg", "icon.svg", "image/svg+xml"),
    asset!("interfaces.js", "interfaces.js", SCRIPT),
    asset!("panels.js", "panels.js", SCRIPT),
    asset!("series.js", "series.js", SCRIPT),
    asset!("stream.js", "stream.js", SCRIPT),
    asset!("style.css", "style.css", STYLE),
    asset!("theme.js", "theme.js", SCRIPT),
    asset!("truth.js", "truth.js", SCRIPT),
    asset!("uPlot.iife.min.js", "vendor/uPlot.iife.min.js", SCRIPT),
    asset!("uPlot.min.css", "vendor/uPlot.min.css", STYLE),
];

/// `GET /`.
pub(super) async fn page(headers: HeaderMap) -> Response {
    let mut response = PAGE.answer(&headers);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// `GET /assets/{name}`; `None` where there is no such file.
pub(super) fn asset(name: &str, headers: &HeaderMap) -> Option<Response> {
    ASSETS.iter().find(|asset| asset.name == name).map(|asset| asset.answer(headers))
}

impl Asset {
    fn answer(&'static self, headers: &HeaderMap) -> Response {
        let packed = self.packed.get_or_init(|| Packed::new(self.bytes));
        // Whoever has a file asks whether it is still the one: a new version is seen at once.
        let kept = [
            (ETAG, packed.tag.clone()),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (VARY, HeaderValue::from_static("Accept-Encoding")),
        ];
        if headers.get_all(IF_NONE_MATCH).iter().any(|tag| *tag == packed.tag) {
            return (StatusCode::NOT_MODIFIED, kept).into_response();
        }
        let content_type = [(CONTENT_TYPE, self.content_type)];
        if negotiate::accepts_gzip(headers) {
            return (kept, content_type, [(CONTENT_ENCODING, "gzip")], packed.gzip.clone()).into_response();
        }
        (kept, content_type, self.bytes).into_response()
    }
}

impl Packed {
    fn new(bytes: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory does not fail.
        let gzip = encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default();
        let mut sum = flate2::Crc::new();
        sum.update(bytes);
        // Weak: packed and plain are the same to a reader, not the same bytes.
        let tag = format!("W/\"{:08x}-{:x}\"", sum.sum(), bytes.len());
        Self {
            gzip: gzip.into(),
            tag: HeaderValue::from_str(&tag).unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of the page, with those of others.
    fn on_disk() -> Vec<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/web");
        let names = |directory: &std::path::Path| -> Vec<String> {
            let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
            entries
                .filter(|entry| entry.path().is_file())
                .map(|entry| entry.file_name().into_string().unwrap())
                .collect()
        };
        let mut names = [names(&root), names(&root.join("vendor"))].concat();
        names.sort();
        names
    }

    #[test]
    fn every_file_of_the_page_is_served_but_licences() {
        let mut served: Vec<&str> =
            ASSETS.iter().map(|asset| asset.name).chain(["index.html", "uPlot-LICENSE"]).collect();
        served.sort_unstable();
        assert_eq!(served, on_disk());
    }

    #[test]
    fn every_asset_is_asked_for_and_all_that_is_asked_for_exists() {
        let page = std::str::from_utf8(PAGE.bytes).unwrap();
        let of_page = page.split('"').filter_map(|text| text.strip_prefix("assets/"));
        let scripts = ASSETS.iter().filter(|asset| asset.content_type == SCRIPT && !asset.name.starts_with("uPlot"));
        let imports = scripts.flat_map(|asset| std::str::from_utf8(asset.bytes).unwrap().split('"'));
        let mut asked: Vec<&str> = of_page.chain(imports.filter_map(|text| text.strip_prefix("./"))).collect();
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked, ASSETS.iter().map(|asset| asset.name).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_of_the_page_names_another_origin() {
        for asset in ASSETS.iter().chain([&PAGE]) {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            let foreign: Vec<_> =
                text.match_indices("://").map(|(at, _)| &text[at.saturating_sub(8)..at + 24]).collect();
            // The name space of SVG and the address of the chart library's home are read by nobody.
            let known = |found: &&&str| found.contains("www.w3.org/") || found.contains("github.com/leeoniya");
            assert_eq!(foreign.iter().find(|found| !known(found)), None, "{}", asset.name);
        }
    }
}
