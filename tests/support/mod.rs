//! What the tests of the built program share: running it, reading its documents, writing captures.
//!
//! Each test binary uses a part of it.
#![allow(dead_code)]

pub mod facts;
pub mod program;
pub mod running;
pub mod savefile;

use std::path::{Path, PathBuf};

/// A file below `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// `path` as a command line argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of the tests are UTF-8")
}
