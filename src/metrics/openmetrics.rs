//! OpenMetrics 1.0 text, through `prometheus-client`: a collector reads one snapshot and lends its labels.
//!
//! The library lets a collector pass exemplars of a histogram, but only its own metric types can make them (the fields
//! are private). So the families that have them are encoded by the library first, and the exemplars are put behind
//! their bucket lines afterwards.

use super::decimal::Decimal;
use super::family::{Family, Kind, Labels, Scale, Value};
use super::view::View;
use crate::stats::{Buckets, Exemplar};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar as NoExemplar;
use prometheus_client::registry::{Registry, Unit};
use std::fmt::{self, Write};
use std::sync::Arc;

/// Appends one family; nothing if no series is available.
pub(crate) fn encode(page: &mut String, family: &'static Family, view: &Arc<View>) -> fmt::Result {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(FamilyCollector { family, view: Arc::clone(view) }));
    let Kind::Histogram { exemplars: true, scale, .. } = family.kind else {
        return text::encode_registry(page, &registry);
    };
    let mut plain = String::new();
    text::encode_registry(&mut plain, &registry)?;
    with_exemplars(page, &plain, family, &exemplars(family, view)?, scale)
}

/// Ends a page.
pub(crate) fn finish(page: &mut String) -> fmt::Result {
    text::encode_eof(page)
}

/// One family over one snapshot.
#[derive(Debug)]
struct FamilyCollector {
    family: &'static Family,
    view: Arc<View>,
}

impl Collector for FamilyCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut any = false;
        let seen = self.view.walk(self.family, &mut |_, _| {
            any = true;
            Err(fmt::Error)
        });
        debug_assert_eq!(seen.is_err(), any, "the walk stops at the first series");
        if !any {
            return Ok(());
        }
        let (name, unit) = base_name(self.family);
        let kind = match self.family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Info => MetricType::Info,
            Kind::Histogram { .. } => MetricType::Histogram,
        };
        let bounds = bounds(self.family.kind);
        let mut metric = encoder.encode_descriptor(name, self.family.help, unit.as_ref(), kind)?;
        self.view.walk(self.family, &mut |labels, value| {
            if labels.pairs().is_empty() {
                series(&mut metric, self.family, value, &bounds)
            } else if self.family.kind == Kind::Info {
                metric.encode_info(&labels)
            } else {
                series(&mut metric.encode_family(&labels)?, self.family, value, &bounds)
            }
        })
    }
}

/// The name as the library wants it: without `_total`, `_info` and the unit, which it adds itself.
fn base_name(family: &Family) -> (&'static str, Option<Unit>) {
    let suffix = match family.kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Gauge | Kind::Histogram { .. } => "",
    };
    let name = family.name.strip_suffix(suffix).unwrap_or(family.name);
    let unit = match family.unit {
        "" => return (name, None),
        "bytes" => Unit::Bytes,
        "seconds" => Unit::Seconds,
        other => Unit::Other(other.into()),
    };
    let without_unit = name.strip_suffix(family.unit).and_then(|name| name.strip_suffix('_'));
    (without_unit.unwrap_or(name), Some(unit))
}

fn series(metric: &mut MetricEncoder<'_>, family: &Family, value: Value<'_>, bounds: &[f64]) -> fmt::Result {
    let none = None::<&NoExemplar<NoLabelSet, f64>>;
    match (family.kind, value) {
        (Kind::Counter, Value::Integer(value)) => metric.encode_counter(&value, none),
        (Kind::Counter, Value::Real(value)) => metric.encode_counter(&value, none),
        (Kind::Gauge, Value::Integer(value)) => metric.encode_gauge(&value),
        (Kind::Gauge, Value::Real(value)) => metric.encode_gauge(&value),
        (Kind::Histogram { scale, .. }, Value::Histogram(buckets)) => histogram(metric, buckets, scale, bounds),
        _ => Err(fmt::Error),
    }
}

/// The upper bounds of a histogram in its base unit, infinity included; made once for all of its series.
fn bounds(kind: Kind) -> Vec<f64> {
    let Kind::Histogram { bounds, scale, .. } = kind else { return Vec::new() };
    let finite = bounds.iter().map(|bound| Decimal { value: (*bound).into(), scale }.to_f64());
    finite.chain([f64::INFINITY]).collect()
}

fn histogram(metric: &mut MetricEncoder<'_>, buckets: &Buckets, scale: Scale, bounds: &[f64]) -> fmt::Result {
    let counts: Vec<_> = bounds.iter().copied().zip(buckets.counts().iter().copied()).collect();
    let sum = Decimal { value: buckets.sum(), scale }.to_f64();
    metric.encode_histogram::<NoLabelSet>(sum, buckets.count(), &counts, None)
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.pairs().iter().try_for_each(|pair| pair.encode(encoder.encode_label()))
    }
}

/// The exemplars of a family, in the order of its bucket lines.
fn exemplars(family: &Family, view: &View) -> Result<Vec<Option<Exemplar>>, fmt::Error> {
    let mut all = Vec::new();
    view.walk(family, &mut |_, value| {
        if let Value::Histogram(buckets) = value {
            all.extend_from_slice(buckets.exemplars());
        }
        Ok(())
    })?;
    Ok(all)
}

fn with_exemplars(
    page: &mut String,
    plain: &str,
    family: &Family,
    exemplars: &[Option<Exemplar>],
    scale: Scale,
) -> fmt::Result {
    let is_bucket = |line: &str| line.strip_prefix(family.name).is_some_and(|behind| behind.starts_with("_bucket{"));
    let mut exemplars = exemplars.iter();
    for line in plain.split_terminator('\n') {
        page.push_str(line);
        if let Some(Some(Exemplar { value, flow })) = is_bucket(line).then(|| exemplars.next()).flatten() {
            let value = Decimal { value: (*value).into(), scale };
            write!(page, " # {{flow_id=\"{flow:016x}\"}} {value}")?;
        }
        page.push('\n');
    }
    Ok(())
}
