//! Rules as types of the file: a key with one value, a list, a name that the user chooses.

use super::mistake::quoted;
use super::rules::{Rule, Single};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// The value of one key; its default where none is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting<R: Rule>(pub R::Value);

impl<R: Single> Default for Setting<R> {
    fn default() -> Self {
        Self(R::default())
    }
}

impl<'de, R: Single> Deserialize<'de> for Setting<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let allowed = || format!("{} (default {})", R::allowed(), R::default_text());
        deserializer.deserialize_str(TextVisitor::<R, _>(allowed, PhantomData)).map(Self)
    }
}

impl<R: Single> Serialize for Setting<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        R::json(&self.0).serialize(serializer)
    }
}

impl<R: Single> JsonSchema for Setting<R> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<R>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        saying(R::schema(), R::allowed())
    }
}

/// `MIN` to `MAX` values, none twice. One value alone is a list of one.
#[derive(Clone, Debug, PartialEq)]
pub struct List<R: Rule, const MIN: usize, const MAX: usize>(pub Vec<R::Value>);

impl<R: Rule, const MIN: usize, const MAX: usize> Default for List<R, MIN, MAX> {
    fn default() -> Self {
        Self(R::default_list())
    }
}

impl<'de, R: Rule, const MIN: usize, const MAX: usize> Deserialize<'de> for List<R, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<R: Rule, const MIN: usize, const MAX: usize> Serialize for List<R, MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|value| list.serialize_element(&R::json(value)))?;
        list.end()
    }
}

impl<R: Rule, const MIN: usize, const MAX: usize> JsonSchema for List<R, MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<Self>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let list = json_schema!({
            "type": "array", "items": R::schema(), "minItems": MIN, "maxItems": MAX, "uniqueItems": true,
        });
        saying(json_schema!({"anyOf": [list, R::schema()]}), format!("a list of {MIN} to {MAX}, each {}", R::allowed()))
    }
}

/// The name in the schema of what may be written, in words: for the reference pages. Validators take no notice of it.
pub(super) const ALLOWED: &str = "x-allowed";

fn saying(mut schema: Schema, allowed: String) -> Schema {
    schema.insert(ALLOWED.into(), allowed.into());
    schema
}

/// A text that may be left out; what it means depends on the values beside it, so these check it together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given(pub Option<String>);

impl Given {
    /// Whether it was left out.
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(GivenVisitor)
    }
}

struct GivenVisitor;

impl Visitor<'_> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Given, E> {
        Ok(Given(Some(text.into())))
    }
}

impl Serialize for Given {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for Given {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Given".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}

/// Texts that are checked together with the values beside them; one value alone is a list of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl Texts {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value, or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(Given(text)) = items.next_element()? {
            texts.extend(text);
        }
        Ok(Texts(texts))
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for Texts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]})
    }
}

/// Up to `MAX` maps of the keys of `T`.
#[derive(Clone, Debug, PartialEq)]
pub struct Maps<T, const MAX: usize>(pub Vec<T>);

impl<T, const MAX: usize> Default for Maps<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Maps<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(MAX, MapsVisitor(PhantomData))
    }
}

impl<T: Serialize, const MAX: usize> Serialize for Maps<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema, const MAX: usize> JsonSchema for Maps<T, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Maps_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "items": T::json_schema(generator), "maxItems": MAX})
    }
}

struct MapsVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for MapsVisitor<T, MAX> {
    type Value = Maps<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} maps")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let len = items.size_hint().unwrap_or_default();
        if len > MAX {
            return Err(de::Error::custom(format!("has {len} items, allowed 0 to {MAX}")));
        }
        let mut maps = Vec::with_capacity(len);
        while let Some(map) = items.next_element()? {
            maps.push(map);
        }
        Ok(Maps(maps))
    }
}

/// The name of an address class: a label value, so of few characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassName(pub String);

impl ClassName {
    /// The most classes: each pair of them is a series.
    pub const MAX_CLASSES: usize = 8;
    const MAX_LEN: usize = 32;
    const PATTERN: &str = "^(?!other$)[a-z0-9_-]{1,32}$";
}

impl<'de> Deserialize<'de> for ClassName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if name.is_empty() || name.len() > Self::MAX_LEN || !is_plain {
            let message = "is no name of a class, allowed 1 to 32 of a-z, 0-9, _ and -";
            return Err(de::Error::custom(message));
        }
        if name == "other" {
            return Err(de::Error::custom("is the class of what is in no other, it cannot be given networks"));
        }
        Ok(Self(name))
    }
}

impl Serialize for ClassName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for ClassName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ClassName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": Self::PATTERN})
    }
}

/// Reads one text by a rule; the function says what is allowed, for the message.
struct TextVisitor<R, A>(A, PhantomData<R>);

impl<R: Rule, A: Fn() -> String> Visitor<'_> for TextVisitor<R, A> {
    type Value = R::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&(self.0)())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<R::Value, E> {
        R::parse(text).map_err(|found| E::custom(format!("is {found}, allowed {}", (self.0)())))
    }
}

/// Reads one item of a list.
struct Item<R>(PhantomData<R>);

impl<'de, R: Rule> DeserializeSeed<'de> for Item<R> {
    type Value = R::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<R::Value, D::Error> {
        deserializer.deserialize_str(TextVisitor::<R, _>(R::allowed, PhantomData))
    }
}

struct ListVisitor<R, const MIN: usize, const MAX: usize>(PhantomData<R>);

impl<'de, R: Rule, const MIN: usize, const MAX: usize> Visitor<'de> for ListVisitor<R, MIN, MAX> {
    type Value = List<R, MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {MIN} to {MAX}, each {}", R::allowed())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let len = items.size_hint().unwrap_or_default();
        if !(MIN..=MAX).contains(&len) {
            return Err(de::Error::custom(format!("has {len} items, allowed {MIN} to {MAX}")));
        }
        let mut values = Vec::with_capacity(len);
        while let Some(value) = items.next_element_seed(Item::<R>(PhantomData))? {
            if values.contains(&value) {
                let value = R::json(&value);
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                return Err(de::Error::custom(format!("has {} twice, allowed once", quoted(&value))));
            }
            values.push(value);
        }
        Ok(List(values))
    }
}
