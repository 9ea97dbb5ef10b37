//! Noticing that the configuration file says something else, where nobody sends a signal: the kubelet swaps the files of a
//! ConfigMap without a word to whoever reads them.
//!
//! What the file says is compared, not its times: a swapped link, a file replaced by name and one written in place are all
//! the same news, and a file that was only touched is none. The file is small and read every few seconds at most, which
//! needs none of the system calls that a notification would, and works on every file system.

use crate::config::Loaded;
use std::time::Instant;

/// Looks at the file now and then.
#[derive(Debug, Default)]
pub(super) struct FileWatch {
    due: Option<Instant>,
    /// What the last look found; `None` where it could not be read.
    seen: Option<Vec<u8>>,
    /// What was not taken, until something is.
    refused: Option<Option<Vec<u8>>>,
}

impl FileWatch {
    pub(super) fn new(loaded: &Loaded) -> Self {
        if loaded.config.watch.is_some() && loaded.file.is_none() {
            tracing::warn!("`reload.watch` is set, but there is no configuration file to watch");
        }
        Self::default()
    }

    /// Whether the file says something new, which stayed the same from one look to the next.
    pub(super) fn has_news(&mut self, loaded: &Loaded, now: Instant) -> bool {
        let Some(every) = loaded.config.watch.filter(|_| loaded.file.is_some()) else { return false };
        if self.due.is_some_and(|due| now < due) {
            return false;
        }
        self.due = Some(now + every);
        let has_news = self.look(loaded.on_disk(), loaded.written());
        if has_news {
            tracing::info!("the configuration file changed");
        }
        has_news
    }

    /// Remembers how reading it went, so that what was refused is refused once.
    pub(super) fn tried(&mut self, taken: bool) {
        self.refused = (!taken).then(|| self.seen.clone());
    }

    fn look(&mut self, found: Option<Vec<u8>>, in_force: &[u8]) -> bool {
        let known = self.refused.as_ref().map_or(Some(in_force), |refused| refused.as_deref());
        let is_news = found.as_deref() != known;
        let is_settled = found == self.seen;
        self.seen = found;
        is_news && is_settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{NO_CHECKS, load_with};
    use std::time::Duration;

    const OLD: &[u8] = b"interfaces: [eth0]\n";

    fn looks(watch: &mut FileWatch, found: &[Option<&str>]) -> Vec<bool> {
        found.iter().map(|found| watch.look(found.map(|text| text.as_bytes().to_vec()), OLD)).collect()
    }

    #[test]
    fn news_counts_once_it_stayed_for_a_look() {
        let mut watch = FileWatch::default();
        let old = std::str::from_utf8(OLD).ok();
        assert_eq!(
            looks(&mut watch, &[old, old, Some("half"), Some("whole"), Some("whole")]),
            [false, false, false, false, true]
        );
    }

    #[test]
    fn what_was_refused_is_tried_once_and_what_comes_after_it_again() {
        let mut watch = FileWatch::default();
        assert_eq!(looks(&mut watch, &[Some("bad"), Some("bad")]), [false, true]);
        watch.tried(false);
        assert_eq!(looks(&mut watch, &[Some("bad"), Some("bad")]), [false, false]);
        // The one in force is news then too: the file would start again.
        let old = std::str::from_utf8(OLD).ok();
        assert_eq!(looks(&mut watch, &[old, old]), [false, true]);
        watch.tried(true);
        assert_eq!(looks(&mut watch, &[old, old]), [false, false]);
    }

    #[test]
    fn a_file_that_is_gone_for_a_moment_is_no_news_and_one_that_stays_away_is_told_once() {
        let mut watch = FileWatch::default();
        let old = std::str::from_utf8(OLD).ok();
        assert_eq!(looks(&mut watch, &[old, None, old, old]), [false; 4]);
        assert_eq!(looks(&mut watch, &[None, None]), [false, true]);
        watch.tried(false);
        assert_eq!(looks(&mut watch, &[None, None]), [false, false]);
    }

    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    #[test]
    fn it_looks_at_the_file_as_often_as_it_is_told_and_never_where_it_is_not() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("netmon.yaml");
        let load = |text: &str| {
            std::fs::write(&file, text).expect("it is ours");
            load_with(Some(&file), [], &[], NO_CHECKS).expect("it is right")
        };
        let start = Instant::now();
        let news = |watch: &mut FileWatch, loaded: &Loaded, after: u64| {
            watch.has_news(loaded, start + Duration::from_secs(after))
        };
        let unwatched = load("capture: { bpf: tcp }\n");
        let watched = load("reload: { watch: 10s }\n");
        std::fs::write(&file, "capture: { bpf: udp }\n").expect("it is ours");
        let mut watch = FileWatch::new(&watched);
        assert!((0..4).all(|n| !news(&mut watch, &unwatched, n)));
        assert_eq!([0, 9, 10].map(|after| news(&mut watch, &watched, after)), [false, false, true]);
    }
}
