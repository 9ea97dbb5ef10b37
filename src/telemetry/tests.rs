//! What a log line may and may not hold, with a clock of the test's own.

use super::*;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was written, and the clock in milliseconds.
#[derive(Clone, Default)]
struct Bench {
    written: Arc<Mutex<Vec<u8>>>,
    millis: Arc<AtomicU64>,
}

impl Write for Bench {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.written).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bench {
    /// Runs `work` with its events logged here, and returns the lines.
    fn lines(&self, format: Format, level: &str, work: impl FnOnce(&Telemetry)) -> Vec<String> {
        let millis = Arc::clone(&self.millis);
        let clock: Clock = Box::new(move || {
            let elapsed = Duration::from_millis(millis.load(Ordering::Relaxed));
            (Timestamp::MIN.saturating_add(elapsed), elapsed)
        });
        let log = Log::new(format, Box::new(self.clone()), clock);
        let (filter, levels) = reload::Layer::new(level.parse::<Levels>().unwrap().targets());
        let telemetry = Telemetry { sink: Arc::clone(&log.sink), levels };
        let subscriber = Registry::default().with(None::<SpanLayer>).with(log.with_filter(filter));
        tracing::subscriber::with_default(subscriber, || work(&telemetry));
        drop(telemetry);
        let text = String::from_utf8(std::mem::take(&mut *lock(&self.written))).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }
}

const HOSTILE: &str = "eth0\n1970-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{202e}\0\r\u{85}\u{2028}";

fn log_hostile_text() {
    tracing::info!(name = HOSTILE, shown = %HOSTILE, debugged = ?HOSTILE, "seen {HOSTILE}");
}

#[test]
fn text_has_time_level_target_message_and_fields() {
    let lines = Bench::default().lines(Format::Text, "info", |_| {
        tracing::warn!(target: "netmon::app", interface = "eth0", filter = "not port 22", n = 3, "capturing");
    });
    assert_eq!(
        lines,
        [r#"1970-01-01T00:00:00.000000000Z WARN  netmon::app: capturing interface=eth0 filter="not port 22" n=3"#]
    );
}

#[test]
fn json_has_the_same_as_one_object() {
    let lines = Bench::default().lines(Format::Json, "info", |_| {
        let span = tracing::info_span!("request", path = "/metrics", status = tracing::field::Empty);
        let _entered = span.enter();
        span.record("status", 200);
        tracing::info!(target: "netmon::http", n = 3, ok = true, "served");
    });
    assert_eq!(lines.len(), 1);
    let object: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    let expected = serde_json::json!({
        "timestamp": "1970-01-01T00:00:00.000000000Z", "level": "INFO", "target": "netmon::http", "message": "served",
        "fields": {"n": 3, "ok": true},
        "spans": [{"name": "request", "fields": {"path": "/metrics", "status": 200}}],
    });
    assert_eq!(object, expected);
}

#[test]
fn spans_stand_before_the_message() {
    let lines = Bench::default().lines(Format::Text, "info", |_| {
        let _entered = tracing::info_span!("request", path = "/x y").entered();
        tracing::info!(target: "netmon::http", "served");
    });
    assert_eq!(lines, [r#"1970-01-01T00:00:00.000000000Z INFO  netmon::http: request{path="/x y"}: served"#]);
}

#[test]
fn hostile_text_stays_on_one_line_without_control_characters() {
    for format in Format::ALL {
        let lines = Bench::default().lines(format, "info", |_| log_hostile_text());
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(!lines[0].chars().any(is_unsafe), "{lines:?}");
    }
}

#[test]
fn json_gives_hostile_text_back_unchanged() {
    let lines = Bench::default().lines(Format::Json, "info", |_| log_hostile_text());
    let object: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(object["fields"]["name"], HOSTILE);
    assert_eq!(object["message"], format!("seen {HOSTILE}"));
}

#[test]
fn a_long_value_is_cut() {
    let long = "ä".repeat(100_000);
    let lines = Bench::default().lines(Format::Text, "info", |_| tracing::info!(name = long, "{long}"));
    assert!(lines[0].len() < 5_000, "{}", lines[0].len());
    assert!(lines[0].ends_with('…'));
}

#[test]
fn one_cause_writes_ten_lines_a_second_and_then_its_count() {
    let bench = Bench::default();
    let flood = || (0..25).for_each(|n| tracing::warn!(target: "netmon::test", n, "flood"));
    let lines = bench.lines(Format::Text, "info", |_| {
        flood();
        tracing::info!(target: "netmon::test", "another cause");
        bench.millis.store(999, Ordering::Relaxed);
        flood();
        bench.millis.store(1000, Ordering::Relaxed);
        flood();
    });
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count(": flood"), 20);
    assert_eq!(count("another cause"), 1);
    assert_eq!(count("suppressed=40"), 1);
    assert_eq!(count("suppressed=15"), 1);
    assert!(lines.last().unwrap().contains("similar lines were suppressed suppressed=15 cause=src"), "{lines:?}");
}

#[test]
fn the_count_is_reported_without_another_event() {
    let bench = Bench::default();
    let lines = bench.lines(Format::Text, "info", |telemetry| {
        (0..11).for_each(|_| tracing::warn!("flood"));
        telemetry.report_suppressed();
        bench.millis.store(1000, Ordering::Relaxed);
        telemetry.report_suppressed();
        telemetry.report_suppressed();
    });
    assert_eq!(lines.len(), 11);
    assert!(lines[10].contains("suppressed=1 "));
}

#[test]
fn levels_are_kept_by_target() {
    let lines = Bench::default().lines(Format::Text, "warn,netmon::capture=debug", |_| {
        tracing::info!(target: "netmon::http", "no");
        tracing::debug!(target: "netmon::capture::pcap", "yes");
        tracing::trace!(target: "netmon::capture", "no");
    });
    assert_eq!(lines.len(), 1);
}

#[test]
fn the_level_can_change_while_running() {
    let lines = Bench::default().lines(Format::Text, "warn", |telemetry| {
        let say = |text| tracing::info!(target: "netmon::test", text);
        say("before");
        telemetry.set_level(&"info".parse().unwrap());
        say("louder");
        telemetry.set_level(&"info,netmon::test=off".parse().unwrap());
        say("silent");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("text=louder"), "{lines:?}");
}

#[test]
fn a_closed_output_loses_lines_only() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let log = Log::new(Format::Text, Box::new(Closed), Box::new(|| (Timestamp::MIN, Duration::ZERO)));
    let sink = Arc::clone(&log.sink);
    tracing::subscriber::with_default(Registry::default().with(log), || {
        (0..20).for_each(|_| tracing::error!("lost"));
    });
    sink.report(true);
    assert!(lock(&sink.limiter).take_suppressed(Duration::MAX).is_empty());
}
