//! Who netmon becomes, and how confined.

use super::numbers::parse_count;
use super::{Rule, Single};
use crate::config::mistake::quoted;
use crate::privilege::{self, UserName};
use schemars::{Schema, json_schema};
use serde_json::Value as Json;

/// A user name, a uid, `UID:GID`, or nothing. Whether there is such a user is known at the start only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User;

impl User {
    /// useradd(8).
    const MAX_LENGTH: usize = 32;
    /// The greatest number stands for "no change" in the system calls.
    const MAX_ID: u64 = 4_294_967_294;

    fn parse_id(text: &str) -> Option<u32> {
        parse_count(text, 0, Self::MAX_ID).ok()?.try_into().ok()
    }

    fn parse_ids(text: &str) -> Option<(u32, Option<u32>)> {
        match text.split_once(':') {
            Some((uid, gid)) => Some((Self::parse_id(uid)?, Some(Self::parse_id(gid)?))),
            None => Some((Self::parse_id(text)?, None)),
        }
    }

    fn is_name(text: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || "_-.@".contains(c);
        let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
        begins && text.len() <= Self::MAX_LENGTH && text.strip_suffix('$').unwrap_or(text).chars().all(is_part)
    }
}

impl Rule for User {
    type Value = Option<UserName>;

    fn parse(text: &str) -> Result<Option<UserName>, String> {
        match Self::parse_ids(text) {
            Some((0, _)) => return Err(format!("{} (netmon gives root up)", quoted(text))),
            Some((_, Some(0))) => return Err(format!("{} (the group 0 is root's)", quoted(text))),
            Some((uid, gid)) => return Ok(Some(UserName::Ids { uid, gid })),
            None => {}
        }
        match text {
            "" => Ok(None),
            "root" => Err(format!("{} (netmon gives root up)", quoted(text))),
            name if Self::is_name(name) => Ok(Some(UserName::Name(name.into()))),
            other => Err(quoted(other)),
        }
    }

    fn allowed() -> String {
        "the name or the number of a user, or `UID:GID`".into()
    }

    fn json(value: &Option<UserName>) -> Json {
        value.as_ref().map(UserName::to_string).unwrap_or_default().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": ["string", "integer"], "minimum": 1, "maximum": Self::MAX_ID, "maxLength": Self::MAX_LENGTH})
    }
}

impl Single for User {
    fn default() -> Option<UserName> {
        None
    }

    fn default_text() -> String {
        "`netmon` if there is one, else `nobody`".into()
    }
}

/// `auto`, `strict` or `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox;

impl Rule for Sandbox {
    type Value = privilege::Sandbox;

    fn parse(text: &str) -> Result<privilege::Sandbox, String> {
        privilege::Sandbox::ALL.into_iter().find(|sandbox| sandbox.name() == text).ok_or_else(|| quoted(text))
    }

    fn allowed() -> String {
        privilege::Sandbox::ALL.map(|sandbox| format!("`{}`", sandbox.name())).join(", ")
    }

    fn json(value: &privilege::Sandbox) -> Json {
        value.name().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "enum": privilege::Sandbox::ALL.map(privilege::Sandbox::name)})
    }
}

impl Single for Sandbox {
    fn default() -> privilege::Sandbox {
        privilege::Sandbox::default()
    }

    fn default_text() -> String {
        privilege::Sandbox::default().name().into()
    }
}
