//! Looking back: questions to the history as text, answers as documents.
//!
//! The command line and the HTTP interface ask with the same parameters and get the same documents, so both are made
//! here, once. Key names are part of the contract with users.
//!
//! ```
//! use netmon::lookback::{Question, Topic};
//! use netmon::time::Timestamp;
//!
//! let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
//! let question = Question::parse(Topic::Bandwidth, [("from", "-1h"), ("step", "60s")], now)?;
//! assert_eq!(question.range().to - question.range().from, 3600);
//! let mistake = Question::parse(Topic::Bandwidth, [("form", "-1h")], now).unwrap_err();
//! assert!(mistake.to_string().starts_with("`form` is no parameter of bandwidth, allowed `from`, `to`"));
//! # Ok::<(), netmon::lookback::BadQuery>(())
//! ```

mod document;
mod question;

pub use document::{Refusal, answer, end_of};
pub use question::{BadQuery, Question, Topic};
