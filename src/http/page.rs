//! The rendered `/metrics` page, shared by all scrapers.

use super::negotiate::TextForm;
use super::{PAGE_LIFETIME, Sources};
use axum::body::Bytes;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The newest page of each form.
///
/// A page is used for [`PAGE_LIFETIME`], the length of a tick: any number of scrapers costs ten renderings a second
/// and form. Rendering takes milliseconds and does not wait, so it is done in place; a client that goes away meanwhile
/// does not undo it.
#[derive(Debug, Default)]
pub(super) struct Pages {
    prometheus: Mutex<Option<Page>>,
    open_metrics: Mutex<Option<Page>>,
}

#[derive(Debug)]
struct Page {
    rendered: Instant,
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Pages {
    /// The page in a form, compressed if asked for.
    pub(super) async fn page(&self, sources: &Sources, form: TextForm, gzip: bool) -> Bytes {
        let shared = match form {
            TextForm::Prometheus => &self.prometheus,
            TextForm::OpenMetrics => &self.open_metrics,
        };
        let mut shared = shared.lock().await;
        let fresh = shared.take().filter(|page| page.rendered.elapsed() < PAGE_LIFETIME);
        let page = shared.insert(fresh.unwrap_or_else(|| Page {
            rendered: Instant::now(),
            plain: (sources.metrics)(form).into(),
            gzip: None,
        }));
        if gzip { page.gzip.get_or_insert_with(|| compress(&page.plain)).clone() } else { page.plain.clone() }
    }
}

/// The fastest level: the text is repetitive, and even so it shrinks to less than a tenth.
fn compress(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 8), Compression::fast());
    // Writing to memory does not fail.
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    debug_assert!(written.is_ok());
    written.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    fn counting() -> (Arc<AtomicU64>, Sources) {
        let rendered = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&rendered);
        let sources = Sources {
            snapshot: Box::new(Arc::default),
            metrics: Box::new(move |form| format!("{form:?} {}\n", counter.fetch_add(1, Relaxed))),
            process: Box::new(Default::default),
            health: super::super::Health::new(),
            requests: super::super::Requests::default(),
            hosts: super::super::Hosts::default(),
            access: super::super::Access::default(),
            seconds: super::super::Seconds::default(),
            rooms: super::super::Rooms::default(),
        };
        (rendered, sources)
    }

    #[tokio::test(start_paused = true)]
    async fn many_scrapers_share_ten_renderings_a_second() {
        let (rendered, sources) = counting();
        let (sources, pages) = (Arc::new(sources), Arc::new(Pages::default()));
        for _ in 0..10 {
            let scrapers = (0..256).map(|n| {
                let (sources, pages) = (Arc::clone(&sources), Arc::clone(&pages));
                async move { pages.page(&sources, TextForm::OpenMetrics, n % 2 == 0).await }
            });
            let scrapers: tokio::task::JoinSet<_> = scrapers.collect();
            let answers = scrapers.join_all().await;
            assert_eq!(answers.iter().collect::<std::collections::HashSet<_>>().len(), 2, "plain and compressed");
            tokio::time::advance(PAGE_LIFETIME).await;
        }
        assert_eq!(rendered.load(Relaxed), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn each_form_has_its_own_page() {
        let (_, sources) = counting();
        let pages = Pages::default();
        assert_eq!(pages.page(&sources, TextForm::OpenMetrics, false).await, "OpenMetrics 0\n");
        assert_eq!(pages.page(&sources, TextForm::Prometheus, false).await, "Prometheus 1\n");
        assert_eq!(pages.page(&sources, TextForm::OpenMetrics, false).await, "OpenMetrics 0\n");
    }
}
