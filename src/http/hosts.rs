//! The names under which the server may be asked; they can change while it serves.

use arc_swap::ArcSwap;
use std::sync::Arc;

/// The names of `api.hosts`. Cheap to clone; all clones are one. A request is judged by one list from begin to end.
///
/// ```
/// use netmon::http::Hosts;
///
/// let hosts = Hosts::new(vec!["netmon.example".into()]);
/// hosts.clone().set(Vec::new());
/// assert!(hosts.now().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<ArcSwap<Vec<String>>>);

impl Hosts {
    /// These names.
    pub fn new(names: Vec<String>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(names)))
    }

    /// From the next request on, these names in place of the ones before.
    pub fn set(&self, names: Vec<String>) {
        self.0.store(Arc::new(names));
    }

    /// The names in force.
    pub fn now(&self) -> Arc<Vec<String>> {
        self.0.load_full()
    }
}
