//! What is pushed to a collector, and how.

use super::{Rule, Single};
use crate::config::mistake::quoted;
use crate::otlp::{Compression, Protocol};
use crate::telemetry::{Sampler, is_unsafe};
use schemars::{Schema, json_schema};
use serde_json::Value as Json;
use std::fmt::Debug;
use std::marker::PhantomData;

/// A closed set of words.
pub trait Words: Copy + Debug + Default + PartialEq + 'static {
    /// All values with their words.
    fn all() -> Vec<(Self, &'static str)>;
}

impl Words for Protocol {
    fn all() -> Vec<(Self, &'static str)> {
        Self::ALL.map(|protocol| (protocol, protocol.name())).into()
    }
}

impl Words for Compression {
    fn all() -> Vec<(Self, &'static str)> {
        Self::ALL.map(|compression| (compression, compression.name())).into()
    }
}

impl Words for Sampler {
    fn all() -> Vec<(Self, &'static str)> {
        Self::ALL.map(|sampler| (sampler, sampler.name())).into()
    }
}

/// One of the words of `T`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<T>(PhantomData<T>);

impl<T: Words> Choice<T> {
    fn word(value: T) -> &'static str {
        T::all().into_iter().find(|(known, _)| *known == value).map_or("", |(_, word)| word)
    }
}

impl<T: Words> Rule for Choice<T> {
    type Value = T;

    fn parse(text: &str) -> Result<T, String> {
        T::all().into_iter().find(|(_, word)| *word == text).map(|(value, _)| value).ok_or_else(|| quoted(text))
    }

    fn allowed() -> String {
        T::all().iter().map(|(_, word)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    }

    fn json(value: &T) -> Json {
        Self::word(*value).into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "enum": T::all().iter().map(|(_, word)| *word).collect::<Vec<_>>()})
    }
}

impl<T: Words> Single for Choice<T> {
    fn default() -> T {
        T::default()
    }

    fn default_text() -> String {
        Self::word(T::default()).into()
    }
}

/// What a service is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName;

impl Rule for ServiceName {
    type Value = String;

    fn parse(text: &str) -> Result<String, String> {
        if is_plain(text) { Ok(text.into()) } else { Err(quoted(text)) }
    }

    fn allowed() -> String {
        format!("a name of 1 to {MAX_LEN} bytes without control characters")
    }

    fn json(value: &String) -> Json {
        value.as_str().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_LEN})
    }
}

impl Single for ServiceName {
    fn default() -> String {
        "netmon".into()
    }

    fn default_text() -> String {
        "netmon".into()
    }
}

/// An attribute of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAttribute;

impl Rule for ResourceAttribute {
    type Value = (String, String);

    fn parse(text: &str) -> Result<Self::Value, String> {
        let pair = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let is_good = |(name, value): &(&str, &str)| is_plain(name) && is_plain(value) && !name.contains(' ');
        pair.filter(is_good).map(|(name, value)| (name.into(), value.into())).ok_or_else(|| quoted(text))
    }

    fn allowed() -> String {
        "an attribute such as `deployment.environment.name=production`".into()
    }

    fn json((name, value): &Self::Value) -> Json {
        format!("{name}={value}").into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[^= ]+=.+$"})
    }
}

fn is_plain(text: &str) -> bool {
    (1..=MAX_LEN).contains(&text.len()) && text.trim() == text && !text.contains(is_unsafe)
}

const MAX_LEN: usize = 255;
