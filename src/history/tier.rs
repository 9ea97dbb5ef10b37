//! The resolutions that are kept.

use std::fmt;

/// One resolution. A record of a tier covers the seconds (start, start + length], and starts are multiples of the
/// length; the second that [`Tick::second`](crate::time::Tick::second) calls `s` starts at `s − 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// 1 s.
    Second,
    /// 10 s.
    TenSeconds,
    /// 60 s.
    Minute,
    /// 1 h.
    Hour,
}

impl Tier {
    /// All, finest first, in the order of every array indexed by tier.
    pub const ALL: [Self; 4] = [Self::Second, Self::TenSeconds, Self::Minute, Self::Hour];

    /// Length of a record in seconds.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    /// As in configuration, labels and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "1s",
            Self::TenSeconds => "10s",
            Self::Minute => "60s",
            Self::Hour => "1h",
        }
    }

    /// The tier of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// The next coarser one.
    pub const fn coarser(self) -> Option<Self> {
        match self {
            Self::Second => Some(Self::TenSeconds),
            Self::TenSeconds => Some(Self::Minute),
            Self::Minute => Some(Self::Hour),
            Self::Hour => None,
        }
    }

    /// The start of the record that the second starting at `second` belongs to.
    pub const fn start_of(self, second: u64) -> u64 {
        second - second % self.seconds()
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
