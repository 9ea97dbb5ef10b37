//! What netmon tells of itself: its log, and spans of its work.
//!
//! Logs: one event is one line on stderr, of text or of JSON, with its time in UTC.
//!
//! Names from the wire, from HTTP and from other machines end up in logs. So everything printed is [`Escaped`], a long
//! value is cut, and one cause (one place in the code) gets at most [`LINES_PER_SECOND`]; what was held back is counted
//! and reported. A stderr that is closed or full loses lines, never the process.
//!
//! ```text
//! 2026-01-02T03:04:05.000000000Z INFO  netmon::app: capturing interface=eth0 filter="not port 22"
//! {"timestamp":"2026-01-02T03:04:05.000000000Z","level":"INFO","target":"netmon::app","message":"capturing",…}
//! ```

mod escape;
mod levels;
mod limit;
mod line;
mod spans;
mod stderr;

pub use escape::Escaped;
pub(crate) use escape::is_unsafe;
pub use levels::{LevelError, Levels};
pub use limit::LINES_PER_SECOND;
pub use spans::{Sampler, Sampling, SpanBatch, SpanQueue, spans};
pub(crate) use spans::{continue_from, trace_span};

use crate::time::Timestamp;
use limit::{Limiter, Verdict};
use line::{Fields, Line};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracing::subscriber::set_global_default;
use tracing::{Event, Subscriber, span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, Layered, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;

/// How netmon logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What is logged; `info` unless told.
    pub level: Levels,
    /// One line of text, or one JSON object, for each event.
    pub format: Format,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Format {
    /// All.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];

    /// The value in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Starts logging to stderr, for the whole process.
///
/// # Errors
/// [`AlreadyLogging`]; nothing changes then.
pub fn init(config: &Config) -> Result<Telemetry, AlreadyLogging> {
    init_with(config, None)
}

/// A layer below the log: that of [`spans`].
pub type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What the log stands on.
type Base = Layered<Option<SpanLayer>, Registry>;

/// [`init`], with spans of netmon's work if they are asked for.
///
/// # Errors
/// [`AlreadyLogging`]; nothing changes then.
pub fn init_with(config: &Config, spans: Option<SpanLayer>) -> Result<Telemetry, AlreadyLogging> {
    let log = Log::new(config.format, Box::new(stderr::Stderr), machine_clock());
    let (filter, levels) = reload::Layer::new(config.level.targets());
    let telemetry = Telemetry { sink: Arc::clone(&log.sink), levels };
    set_global_default(Registry::default().with(spans).with(log.with_filter(filter))).map_err(|_| AlreadyLogging)?;
    Ok(telemetry)
}

/// The process has a log already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("logging was started already")]
pub struct AlreadyLogging;

/// The running log. Dropping it reports what is still held back; logging itself goes on.
pub struct Telemetry {
    sink: Arc<Sink>,
    levels: reload::Handle<Targets, Base>,
}

impl Telemetry {
    /// Reports the lines held back in seconds that are over. To be called about once a second, so that the count of a
    /// burst is seen even when nothing else is logged.
    pub fn report_suppressed(&self) {
        self.sink.report(false);
    }

    /// What is logged from now on.
    pub fn set_level(&self, levels: &Levels) {
        // The subscriber of a process lives as long as the process, so there is somebody to hear it.
        let _ = self.levels.reload(levels.targets());
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.sink.report(true);
    }
}

/// The layer that turns events into lines.
struct Log {
    sink: Arc<Sink>,
}

impl Log {
    fn new(format: Format, output: Box<dyn Write + Send>, clock: Clock) -> Self {
        let output = Mutex::new(output);
        Self { sink: Arc::new(Sink { format, output, clock, limiter: Mutex::new(Limiter::default()) }) }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let (timestamp, elapsed) = (self.sink.clock)();
        let verdict = lock(&self.sink.limiter).admit(metadata, elapsed);
        if verdict == Verdict::Suppress {
            return;
        }
        self.sink.report(false);
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Line::new(timestamp, *metadata.level(), metadata.target(), fields);
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            line.push_span(span.name(), span.extensions().get::<Fields>());
        }
        self.sink.write(&line);
    }
}

/// Where lines go, shared by the layer and [`Telemetry`].
struct Sink {
    format: Format,
    output: Mutex<Box<dyn Write + Send>>,
    clock: Clock,
    limiter: Mutex<Limiter>,
}

impl Sink {
    /// One line at a time, so that lines of several threads do not mix. A failing stderr cannot be reported anywhere, so
    /// its error is dropped.
    fn write(&self, line: &Line) {
        let text = line.render(self.format);
        let _ = lock(&self.output).write_all(text.as_bytes());
    }

    /// Writes one line for each cause that was held back; with `now`, also for the current second.
    fn report(&self, now: bool) {
        let (timestamp, elapsed) = (self.clock)();
        let held_back = lock(&self.limiter).take_suppressed(if now { Duration::MAX } else { elapsed });
        for cause in held_back {
            self.write(&Line::suppressed(timestamp, cause.metadata, cause.lines));
        }
    }
}

/// The wall clock for the line and a monotonic one for the limit.
type Clock = Box<dyn Fn() -> (Timestamp, Duration) + Send + Sync>;

#[expect(clippy::disallowed_methods, reason = "log lines carry the time of the machine; nothing is computed from it")]
fn machine_clock() -> Clock {
    let start = Instant::now();
    Box::new(move || {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Timestamp::MIN.saturating_add(since_epoch), start.elapsed())
    })
}

/// A panic elsewhere while the lock was held leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
