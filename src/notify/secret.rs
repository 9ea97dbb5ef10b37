//! Secrets: where they come from, and that they go nowhere but to their receiver.
//!
//! A secret comes from a file or from the environment. A file has to be private: whoever else can read it, or put
//! another one in its place, has the secret or the receiver. Files are read again before every attempt, so a rotated
//! secret needs no reload; while one cannot be read, the last good one is used and the log says so.

mod file;

pub use file::SecretError;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// A text that is shown nowhere: not printed, not serialized, wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one place it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A private file with one line.
    File(PathBuf),
    /// An environment variable, read at the start and on reload.
    Variable(String),
}

impl Source {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Variable(_) => None,
        }
    }
}

/// What secrets are read from.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The user that netmon becomes: its files are as good as root's own. `None` where it stays who it is.
    pub user: Option<u32>,
}

impl Surroundings<'static> {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self { variable: &|name| std::env::var_os(name), user: None }
    }
}

/// A secret with its source: always the present one.
#[derive(Debug)]
pub struct Credential {
    source: Source,
    user: Option<u32>,
    last: Mutex<Arc<Secret>>,
}

impl Credential {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// It is not there, not private, or no text of one line.
    pub fn open(source: &Source, around: Surroundings<'_>) -> Result<Self, SecretError> {
        let secret = match source {
            Source::File(path) => file::read(path, around.user)?,
            Source::Variable(name) => from_variable(name, (around.variable)(name))?,
        };
        Ok(Self { source: source.clone(), user: around.user, last: Mutex::new(Arc::new(secret)) })
    }

    /// The secret as its file has it now.
    pub fn current(&self) -> Arc<Secret> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Source::File(path) = &self.source {
            match file::read(path, self.user) {
                Ok(read) if read != **last => *last = Arc::new(read),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a secret cannot be read again; the one before is used"),
            }
        }
        Arc::clone(&last)
    }
}

fn from_variable(name: &str, value: Option<OsString>) -> Result<Secret, SecretError> {
    let of = format!("environment variable `{name}`");
    match value.map(OsString::into_string) {
        None => Err(SecretError::Absent { name: name.into() }),
        Some(Err(_)) => Err(SecretError::Malformed { of, found: "no UTF-8" }),
        Some(Ok(text)) => file::one_line(&Zeroizing::new(text), of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(value: Option<&str>) -> Result<Credential, SecretError> {
        let variable = |_: &str| value.map(OsString::from);
        let around = Surroundings { variable: &variable, user: None };
        Credential::open(&Source::Variable("HOOK_URL".into()), around)
    }

    #[test]
    fn a_secret_shows_itself_to_nobody_who_does_not_ask_for_it() {
        let credential = variable(Some(" canary-1 \n")).expect("it is set");
        assert_eq!(credential.current().expose(), "canary-1");
        let shown = format!("{credential:?} {:#?} {:?}", credential, credential.current());
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn a_variable_that_is_missing_or_empty_is_named() {
        let absent = variable(None).expect_err("it is not set").to_string();
        assert_eq!(absent, "environment variable `HOOK_URL` is not set");
        let empty = variable(Some(" ")).expect_err("it is empty").to_string();
        assert_eq!(empty, "environment variable `HOOK_URL` is empty, allowed one line of text");
    }
}
