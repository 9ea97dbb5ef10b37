//! Every metric family, declared once. Names, types, units and labels are the contract with dashboards and rules.
//!
//! A row gives the name as text 0.0.4 writes it, HELP, labels, and where its value comes from. HELP is one static
//! sentence without line breaks. Receive and transmit are separate families for volume; TCP health has a `direction`
//! label because its sum over directions means something.

mod alerts;
mod capture;
mod export;
mod flows;
mod history;
mod http;
mod interface;
mod notifications;
mod options;
mod own;
mod pushes;
mod tcp;

use super::family::{Family, Value};

/// The groups of the catalogue, in order of exposition.
pub(crate) const GROUPS: &[(&str, &[Family])] = &[
    ("self and configuration", own::FAMILIES),
    ("the API", http::FAMILIES),
    ("history", history::FAMILIES),
    ("pushing to a collector", pushes::FAMILIES),
    ("flows that leave", export::FAMILIES),
    ("interface volume", interface::VOLUME),
    ("kernel view and coverage", capture::KERNEL),
    ("capture and parse health", capture::HEALTH),
    ("protocols", interface::PROTOCOLS),
    ("TCP health", tcp::FAMILIES),
    ("flows", flows::FAMILIES),
    ("address classes, VLANs, ports, talkers", options::FAMILIES),
    ("alerts", alerts::FAMILIES),
    ("notifications", notifications::FAMILIES),
];

/// Index of arrays by direction.
const RECEIVE: usize = 0;
/// Index of arrays by direction.
const TRANSMIT: usize = 1;

/// A value that is always there.
#[expect(clippy::unnecessary_wraps, reason = "a row reads an optional value, this one is always there")]
const fn count<'v>(value: u64) -> Option<Value<'v>> {
    Some(Value::Integer(value))
}

/// A yes or no as 1 or 0.
const fn yes<'v>(value: bool) -> Option<Value<'v>> {
    count(value as u64)
}

/// A number that may be fractional; infinite and undefined ones are not available.
fn real<'v>(value: f64) -> Option<Value<'v>> {
    value.is_finite().then_some(Value::Real(value))
}
