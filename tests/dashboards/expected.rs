//! What the queries should say in this scene. A query that is in no list has to say something other than zero.

/// How the answer to a query has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Some sample that is not 0.
    Something,
    /// Samples, all of them 0.
    Zero,
    /// Samples, of which nobody can say whether they are 0.
    Either,
    /// No sample at all.
    Nothing,
    /// Nobody can say whether there is one.
    Any,
}

/// Parts of queries, what to expect of those that have them, and why. The first that fits counts.
const LISTED: &[(&str, Expected, &str)] = &[];

/// What to expect of a query as it is written.
pub fn of(written: &str) -> Expected {
    place(written).map_or(Expected::Something, |n| LISTED[n].1)
}

/// Where in the list a query is.
fn place(written: &str) -> Option<usize> {
    LISTED.iter().position(|(part, ..)| written.contains(part))
}

/// Parts that fit no query.
pub fn idle<'a>(written: impl Iterator<Item = &'a str>) -> Vec<&'static str> {
    let used: Vec<usize> = written.filter_map(place).collect();
    LISTED.iter().enumerate().filter(|(n, _)| !used.contains(n)).map(|(_, (part, ..))| *part).collect()
}

impl Expected {
    /// Whether samples are as expected.
    pub fn fits(self, values: &[f64]) -> bool {
        let other_than_zero = values.iter().any(|value| value.is_finite() && *value != 0.0);
        match self {
            Self::Something => other_than_zero,
            Self::Zero => !values.is_empty() && !other_than_zero,
            Self::Either => !values.is_empty(),
            Self::Nothing => values.is_empty(),
            Self::Any => true,
        }
    }
}
