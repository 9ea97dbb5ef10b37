//! Reads the merged layers into the types of the file, and reports everything that does not fit, not only the first.
//!
//! Serde stops at the first error. So a value that does not fit is noted, taken out, and reading begins again; what was
//! taken out has its default then, which cannot cause a mistake of its own. The number of rounds is bounded by
//! [`Mistakes::MAX_LISTED`](super::Mistakes::MAX_LISTED).

use super::mistake::quoted;
use config::{Value, ValueKind};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// A value that does not fit.
#[derive(Debug)]
pub(super) struct Misfit {
    /// The way to it from the root.
    path: Vec<Step>,
    /// What is wrong; reads on behind the path.
    pub(super) message: String,
}

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// Reads `merged`, taking out of it what does not fit.
pub(super) fn read<T: DeserializeOwned + Default>(merged: &mut Value, max_misfits: usize) -> (T, Vec<Misfit>) {
    let mut misfits = Vec::new();
    while misfits.len() <= max_misfits {
        match T::deserialize(Reader(merged)) {
            Ok(read) => return (read, misfits),
            Err(misfit) => {
                take_out(merged, &misfit.path);
                misfits.push(misfit);
            }
        }
    }
    (T::default(), misfits)
}

impl Misfit {
    /// The path as people write it: `aggregation.windows[1]`.
    pub(super) fn key(&self) -> String {
        let mut key = String::new();
        for step in &self.path {
            match step {
                Step::Key(name) if key.is_empty() => key.push_str(name),
                Step::Key(name) => key.extend([".", name]),
                Step::Item(n) => key.push_str(&format!("[{n}]")),
            }
        }
        key
    }

    fn below(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

/// Leaves `Nil` in the place of a value, so that the items behind it keep their numbers.
fn take_out(root: &mut Value, path: &[Step]) {
    let Some((step, path)) = path.split_first() else {
        root.kind = ValueKind::Nil;
        return;
    };
    match (step, &mut root.kind) {
        (Step::Key(key), ValueKind::Table(table)) => {
            if let Some(below) = table.get_mut(key) {
                take_out(below, path);
            }
        }
        (Step::Item(n), ValueKind::Array(items)) if *n < items.len() => take_out(&mut items[*n], path),
        // The path was made on the way through this very value.
        _ => root.kind = ValueKind::Nil,
    }
}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: Vec::new(), message: message.to_string() }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Seq => "a list".into(),
            de::Unexpected::Map => "a map".into(),
            de::Unexpected::Str(text) => quoted(text),
            other => other.to_string(),
        };
        Self::custom(format!("is {found}, allowed {expected}"))
    }
}

impl std::error::Error for Misfit {}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.key(), self.message)
    }
}

/// A merged value for serde. All scalars are texts.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a Value);

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.kind {
            ValueKind::String(text) => visitor.visit_str(text),
            ValueKind::Array(items) => visitor.visit_seq(Items { items, next: 0, numbered: true, whole: false }),
            ValueKind::Table(table) => visitor.visit_map(Entries { entries: sorted(table).into_iter(), value: None }),
            _ => visitor.visit_unit(),
        }
    }

    /// One value where a list belongs is a list of one.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.kind {
            ValueKind::String(_) => {
                let items = std::slice::from_ref(self.0);
                visitor.visit_seq(Items { items, next: 0, numbered: false, whole: false })
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// A list of maps. An item that was taken out is an empty map, so that those behind it keep their numbers.
    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.kind {
            ValueKind::Array(items) => visitor.visit_seq(Items { items, next: 0, numbered: true, whole: true }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let found = match &self.0.kind {
            ValueKind::String(text) => quoted(text),
            ValueKind::Array(_) => "a list".into(),
            ValueKind::Nil => return visitor.visit_map(Entries { entries: BTreeMap::new().into_iter(), value: None }),
            _ => return self.deserialize_any(visitor),
        };
        let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
        Err(de::Error::custom(format!("is {found}, allowed a map with the keys {}", fields.join(", "))))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct tuple_struct map enum identifier ignored_any
    }
}

/// Hash order would make the order of the messages differ from run to run.
fn sorted(table: &config::Map<String, Value>) -> BTreeMap<&str, &Value> {
    table.iter().filter(|(_, value)| value.kind != ValueKind::Nil).map(|(key, value)| (key.as_str(), value)).collect()
}

/// The items of a list; those taken out are passed over but still counted in the size hint.
struct Items<'a> {
    items: &'a [Value],
    next: usize,
    /// Not for the one item of a list that was written as a value.
    numbered: bool,
    /// What was taken out is given too.
    whole: bool,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        while let Some(item) = self.items.get(self.next) {
            let number = self.next;
            self.next += 1;
            if self.whole || item.kind != ValueKind::Nil {
                let read = seed.deserialize(Reader(item));
                return read
                    .map(Some)
                    .map_err(|misfit| if self.numbered { misfit.below(Step::Item(number)) } else { misfit });
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map, without those taken out.
struct Entries<'a> {
    entries: std::collections::btree_map::IntoIter<&'a str, &'a Value>,
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        self.value = self.entries.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        let read = seed.deserialize(key.into_deserializer());
        read.map(Some).map_err(|misfit: Misfit| misfit.below(Step::Key(key.into())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some((key, value)) = self.value.take() else { return Err(de::Error::custom("has no value")) };
        seed.deserialize(Reader(value)).map_err(|misfit| misfit.below(Step::Key(key.into())))
    }
}
