//! Spans of netmon's own work, kept for whoever sends them.
//!
//! Only what is written with [`trace_span!`](crate::telemetry::trace_span) becomes a span: it has a target of its own,
//! which the log leaves out and nothing else is of, so no library's spans get in and no log line changes. Where nobody
//! asked for spans, such a place in the code costs one load. Nothing waits for who sends them: they queue up to
//! [`SpanQueue::CAPACITY`], and what finds no room is counted.

use super::SpanLayer;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::transform::common::tonic::{Attributes, ResourceAttributesWithSchema};
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layer;

/// The target of what becomes a span.
pub(crate) const TARGET: &str = "netmon::trace";

/// A span of netmon's own work: a name that is one of few, and fields. `otel.kind` and `otel.status_code` mean what
/// they do in `tracing-opentelemetry`.
///
/// Never one for each packet.
macro_rules! trace_span {
    ($name:literal $(, $($fields:tt)*)?) => {
        tracing::info_span!(target: "netmon::trace", $name $(, $($fields)*)?)
    };
}
pub(crate) use trace_span;

/// Which traces are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// How it is decided.
    pub sampler: Sampler,
    /// The share that the samplers by ratio keep, 0 to 1.
    pub ratio: f64,
}

impl Default for Sampling {
    /// One in ten: an evaluation of rules every tick makes about one span a second.
    fn default() -> Self {
        Self { sampler: Sampler::default(), ratio: 0.1 }
    }
}

/// The samplers of the OpenTelemetry specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A share of all.
    TraceIdRatio,
    /// What its caller keeps, and all without a caller.
    ParentBasedAlwaysOn,
    /// What its caller keeps.
    ParentBasedAlwaysOff,
    /// What its caller keeps, and a share of those without a caller.
    #[default]
    ParentBasedTraceIdRatio,
}

impl Sampler {
    /// All.
    pub const ALL: [Self; 6] = [
        Self::AlwaysOn,
        Self::AlwaysOff,
        Self::TraceIdRatio,
        Self::ParentBasedAlwaysOn,
        Self::ParentBasedAlwaysOff,
        Self::ParentBasedTraceIdRatio,
    ];

    /// As in `OTEL_TRACES_SAMPLER`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlwaysOn => "always_on",
            Self::AlwaysOff => "always_off",
            Self::TraceIdRatio => "traceidratio",
            Self::ParentBasedAlwaysOn => "parentbased_always_on",
            Self::ParentBasedAlwaysOff => "parentbased_always_off",
            Self::ParentBasedTraceIdRatio => "parentbased_traceidratio",
        }
    }
}

impl Sampling {
    fn sampler(self) -> opentelemetry_sdk::trace::Sampler {
        use opentelemetry_sdk::trace::Sampler::{AlwaysOff, AlwaysOn, ParentBased, TraceIdRatioBased};
        match self.sampler {
            Sampler::AlwaysOn => AlwaysOn,
            Sampler::AlwaysOff => AlwaysOff,
            Sampler::TraceIdRatio => TraceIdRatioBased(self.ratio),
            Sampler::ParentBasedAlwaysOn => ParentBased(Box::new(AlwaysOn)),
            Sampler::ParentBasedAlwaysOff => ParentBased(Box::new(AlwaysOff)),
            Sampler::ParentBasedTraceIdRatio => ParentBased(Box::new(TraceIdRatioBased(self.ratio))),
        }
    }
}

/// What makes spans of what netmon does, for [`init_with`](super::init_with), and where they are to be taken from.
pub fn spans(sampling: Sampling) -> (SpanLayer, SpanQueue) {
    let (sender, receiver) = mpsc::channel(SpanQueue::CAPACITY);
    let dropped = Arc::<AtomicU64>::default();
    let processor = Keeping { sender, dropped: Arc::clone(&dropped) };
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(sampling.sampler())
        .with_resource(Resource::builder_empty().build())
        .with_max_attributes_per_span(32)
        .with_max_events_per_span(8)
        .with_max_links_per_span(8)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer_with_scope(scope()))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_level(false)
        .with_target(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE));
    (layer.boxed(), SpanQueue { receiver, dropped, provider })
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION")).build()
}

/// Puts ended spans into the queue, in the thread that ended them.
#[derive(Debug)]
struct Keeping {
    sender: mpsc::Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

impl SpanProcessor for Keeping {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.sender.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Spans that wait to be sent.
#[derive(Debug)]
pub struct SpanQueue {
    receiver: mpsc::Receiver<SpanData>,
    dropped: Arc<AtomicU64>,
    /// Spans are made as long as it is there.
    provider: SdkTracerProvider,
}

impl SpanQueue {
    /// The most spans that wait, about 1 KiB each.
    pub const CAPACITY: usize = 2_048;

    /// Those that found no room, and those that [`SpanQueue::give_up`] was told of.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Waits for a span, and then takes what there is, up to `most` in all.
    pub async fn take(&mut self, batch: &mut SpanBatch, most: usize) {
        let room = most.saturating_sub(batch.0.len());
        self.receiver.recv_many(&mut batch.0, room).await;
    }

    /// Takes what there is, up to `most` in all.
    pub fn take_now(&mut self, batch: &mut SpanBatch, most: usize) {
        while batch.0.len() < most {
            let Ok(span) = self.receiver.try_recv() else { return };
            batch.0.push(span);
        }
    }

    /// A span of what was done before anybody could say so.
    pub fn record(&self, name: &'static str, from: SystemTime, to: SystemTime) {
        use opentelemetry::trace::{Span as _, Tracer};
        let tracer = self.provider.tracer_with_scope(scope());
        tracer.span_builder(name).with_start_time(from).start(&tracer).end_with_timestamp(to);
    }

    /// Counts spans that nobody took.
    pub fn give_up(&self, spans: usize) {
        self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
    }
}

/// Spans to be sent together.
#[derive(Debug, Default)]
pub struct SpanBatch(Vec<SpanData>);

impl SpanBatch {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a message of OTLP (`ExportTraceServiceRequest`) from the resource with these attributes.
    pub fn message(self, resource: &[(String, String)]) -> Vec<u8> {
        let attribute = |(key, value): &(String, String)| KeyValue {
            key: key.clone(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.clone())) }),
            key_strindex: 0,
        };
        let attributes = Attributes(resource.iter().map(attribute).collect());
        let resource = ResourceAttributesWithSchema { attributes, schema_url: None };
        let resource_spans = group_spans_by_resource_and_scope(self.0, &resource);
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }
}

/// Makes `span` go on with what a caller began, as its `traceparent` header says (W3C Trace Context, version 00). A
/// header that is none changes nothing.
pub(crate) fn continue_from(span: &tracing::Span, traceparent: &str) {
    if span.is_disabled() {
        return;
    }
    if let Some(caller) = caller(traceparent) {
        // Fails where nobody asked for spans.
        drop(span.set_parent(Context::new().with_remote_span_context(caller)));
    }
}

fn caller(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let mut hexadecimal = |length: usize| {
        let part = parts.next()?;
        let is_good = part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_good.then_some(part)
    };
    let (version, trace, span, flags) = (hexadecimal(2)?, hexadecimal(32)?, hexadecimal(16)?, hexadecimal(2)?);
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    (version != "ff" && context.is_valid()).then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry::Registry;

    const ON: Sampling = Sampling { sampler: Sampler::AlwaysOn, ratio: 0.0 };

    /// The spans of `work`, in the order of their ends.
    fn spans_of(sampling: Sampling, work: impl FnOnce()) -> Vec<SpanData> {
        let (layer, mut queue) = spans(sampling);
        tracing::subscriber::with_default(Registry::default().with(layer), work);
        let mut batch = SpanBatch::default();
        queue.take_now(&mut batch, SpanQueue::CAPACITY);
        batch.0
    }

    #[test]
    fn only_what_is_written_as_a_span_of_work_becomes_one() {
        let spans = spans_of(ON, || {
            let _work = trace_span!("work", n = 3).entered();
            let _library = tracing::info_span!(target: "h2::client", "frame").entered();
            let _other = tracing::info_span!("request").entered();
            tracing::info!("an event");
            drop(trace_span!("part").entered());
        });
        let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(names, ["part", "work"]);
        assert_eq!(spans[0].parent_span_id, spans[1].span_context.span_id());
        assert!(spans[1].events.is_empty());
        assert_eq!(spans[1].attributes.len(), 1, "{:?}", spans[1].attributes);
    }

    #[test]
    fn a_request_goes_on_with_the_trace_of_its_caller_and_is_kept_as_that_says() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let request = |flags: &str| {
            let header = format!("00-{trace}-b7ad6b7169203331-{flags}");
            let sampling = Sampling { sampler: Sampler::ParentBasedAlwaysOff, ratio: 0.0 };
            spans_of(sampling, || {
                let span = trace_span!("request");
                continue_from(&span, &header);
                let _entered = span.entered();
                drop(trace_span!("part").entered());
            })
        };
        assert!(request("00").is_empty());
        let kept = request("01");
        assert_eq!(kept.len(), 2);
        assert!(kept.iter().all(|span| span.span_context.trace_id().to_string() == trace));
        assert!(kept[1].parent_span_is_remote);
    }

    #[test]
    fn what_is_no_traceparent_begins_a_trace_of_its_own() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(caller(good).is_some() && caller(&format!("{good}-later")).is_some());
        for bad in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(caller(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_share_of_traces_is_kept_whole() {
        let sampling = Sampling { sampler: Sampler::ParentBasedTraceIdRatio, ratio: 0.5 };
        let kept = spans_of(sampling, || {
            for _ in 0..400 {
                let _work = trace_span!("work").entered();
                drop(trace_span!("part").entered());
            }
        });
        assert!((100..300).contains(&(kept.len() / 2)), "{}", kept.len());
        assert!(kept.chunks(2).all(|pair| pair[0].parent_span_id == pair[1].span_context.span_id()));
        assert_eq!(spans_of(Sampling { sampler: Sampler::AlwaysOff, ..sampling }, || drop(trace_span!("a"))).len(), 0);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (layer, mut queue) = spans(ON);
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            (0..SpanQueue::CAPACITY + 7).for_each(|_| drop(trace_span!("work")));
        });
        assert_eq!(queue.dropped().load(Ordering::Relaxed), 7);
        let mut batch = SpanBatch::default();
        queue.take_now(&mut batch, 512);
        assert_eq!(batch.len(), 512);
        queue.give_up(batch.len());
        assert_eq!(queue.dropped().load(Ordering::Relaxed), 519);
    }

    #[test]
    fn a_message_has_the_spans_the_scope_and_the_resource() {
        let spans = spans_of(ON, || drop(trace_span!("work", otel.kind = "server")));
        let bytes = SpanBatch(spans).message(&[("service.name".into(), "netmon".into())]);
        let request = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
        let of_resource = &request.resource_spans[0];
        assert_eq!(of_resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
        let of_scope = &of_resource.scope_spans[0];
        assert_eq!(of_scope.scope.as_ref().unwrap().name, "netmon");
        assert_eq!((of_scope.spans.len(), of_scope.spans[0].kind), (1, 2));
    }
}
