//! Which interfaces are followed, while they come and go: a machine without sockets and clock.

use super::Interface;
use super::pattern::{glob, is_name};
use std::collections::{BTreeMap, HashMap, HashSet};

/// One step for whoever follows interfaces by name, in the order in which it is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An interface that was not known is followed from now on.
    Joined(Interface),
    /// A name that was gone has an interface again, of the same index or another.
    Back(Interface),
    /// No interface has the name any more, or another one has it now ([`Change::Back`] then comes in the same update).
    /// A handle that is still open is the old interface's. The name is waited for.
    Gone {
        /// The name.
        name: String,
    },
    /// The interface is the same, its name is another one that is asked for, too: capture goes on under the new name.
    Renamed {
        /// The name it had; nothing is known by it any more.
        from: String,
        /// It now. If its name was gone before, it is no longer.
        to: Interface,
    },
    /// Something about it is other than before: state, MTU, addresses, hardware address, master.
    Link(Interface),
    /// Nobody asks for it: the patterns are others now, or a glob had matched it and it has a name that none matches.
    Left {
        /// The name it had.
        name: String,
    },
}

/// Follows the interfaces that a list of patterns means (see [`resolve`](super::resolve)).
///
/// - A name is waited for, for ever.
/// - A glob means what it matches, up or down. What is gone is waited for until [`Selection::forget`].
/// - `any` means all that are up; one that goes down stays followed.
/// - `!pattern` leaves out, whatever else matches. With nothing but these, `any` is meant; without any, nothing is.
///
/// Bounds: one entry for each interface that exists, and those gone and not forgotten.
#[derive(Clone, Debug)]
pub struct Selection {
    patterns: Patterns,
    /// By name; the interface as it was when last seen.
    known: BTreeMap<String, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    interface: Interface,
    is_gone: bool,
}

impl Selection {
    /// Follows nothing yet; the first [`Selection::update`] tells who joins.
    pub fn new(patterns: &[String]) -> Self {
        Self { patterns: Patterns::new(patterns), known: BTreeMap::new() }
    }

    /// Asks for others; the next [`Selection::update`] tells who leaves and who joins.
    pub fn set_patterns(&mut self, patterns: &[String]) {
        self.patterns = Patterns::new(patterns);
    }

    /// What changed from the last list of all interfaces to this one. Counters alone are no change.
    ///
    /// Whoever takes the steps one by one never has two interfaces of one name; those that took each other's names are
    /// therefore gone and back. What is of one name and index in both lists has [`Change::Link`] at most.
    pub fn update(&mut self, list: &[Interface]) -> Vec<Change> {
        let now = Now::new(list);
        let followed = Followed::of(&self.known);
        let mut changes = Vec::new();
        for name in self.known.keys().cloned().collect::<Vec<_>>() {
            if let Some(change) = self.step(&name, &now, &followed) {
                self.take(&name, &change);
                changes.push(change);
            }
        }
        let missing = |interface: &&Interface| self.known.get(&interface.name).is_none_or(|known| known.is_gone);
        let wanted = |interface: &&Interface| self.patterns.want(interface, followed.has(interface));
        let coming: Vec<&Interface> = list.iter().filter(missing).filter(wanted).collect();
        changes.extend(coming.into_iter().map(|interface| self.follow(interface)));
        changes
    }

    /// Waits no longer for an interface that is gone, unless it is asked for by its name. True: nothing is known of it any
    /// more, it would join anew.
    pub fn forget(&mut self, name: &str) -> bool {
        let is_waited_for = self.known.get(name).is_none_or(|known| !known.is_gone) || self.patterns.ask_for(name);
        !is_waited_for && self.known.remove(name).is_some()
    }

    /// What became of the interface that had `name`.
    fn step(&self, name: &str, now: &Now<'_>, followed: &Followed) -> Option<Change> {
        let known = self.known.get(name)?;
        if !self.patterns.mean(name) {
            return Some(Change::Left { name: name.into() });
        }
        if known.is_gone {
            return None;
        }
        let gone = Change::Gone { name: name.into() };
        let Some(same) = now.by_identity.get(&Identity::of(&known.interface)).copied() else { return Some(gone) };
        if same.name == name {
            return (!same.is_same_but_counters(&known.interface)).then(|| Change::Link(same.clone()));
        }
        if self.patterns.mean(&same.name) && !followed.names.contains(&same.name) {
            return Some(Change::Renamed { from: name.into(), to: same.clone() });
        }
        let is_waited_for = now.names.contains(name) || self.patterns.ask_for(name) || self.patterns.mean(&same.name);
        Some(if is_waited_for { gone } else { Change::Left { name: name.into() } })
    }

    fn take(&mut self, name: &str, change: &Change) {
        match change {
            Change::Gone { .. } => {
                if let Some(known) = self.known.get_mut(name) {
                    known.is_gone = true;
                }
            }
            Change::Left { .. } => {
                self.known.remove(name);
            }
            Change::Renamed { to, .. } => {
                self.known.remove(name);
                self.follow(to);
            }
            Change::Link(interface) | Change::Joined(interface) | Change::Back(interface) => {
                self.follow(interface);
            }
        }
    }

    fn follow(&mut self, interface: &Interface) -> Change {
        let known = Known { interface: interface.clone(), is_gone: false };
        match self.known.insert(interface.name.clone(), known) {
            Some(_) => Change::Back(interface.clone()),
            None => Change::Joined(interface.clone()),
        }
    }
}

/// What makes an interface the same one: its index, its name where the system has no indices.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Identity {
    Index(u32),
    Name(String),
}

impl Identity {
    fn of(interface: &Interface) -> Self {
        interface.index.map_or_else(|| Self::Name(interface.name.clone()), Self::Index)
    }
}

/// The interfaces of a list.
struct Now<'a> {
    by_identity: HashMap<Identity, &'a Interface>,
    names: HashSet<&'a str>,
}

impl<'a> Now<'a> {
    fn new(list: &'a [Interface]) -> Self {
        let by_identity = list.iter().map(|interface| (Identity::of(interface), interface)).collect();
        Self { by_identity, names: list.iter().map(|interface| interface.name.as_str()).collect() }
    }
}

/// Those that were followed up to now and not gone.
struct Followed {
    identities: HashSet<Identity>,
    names: HashSet<String>,
}

impl Followed {
    fn of(known: &BTreeMap<String, Known>) -> Self {
        let followed = || known.values().filter(|known| !known.is_gone).map(|known| &known.interface);
        let names = followed().map(|interface| interface.name.clone()).collect();
        Self { identities: followed().map(Identity::of).collect(), names }
    }

    fn has(&self, interface: &Interface) -> bool {
        self.identities.contains(&Identity::of(interface))
    }
}

/// The patterns by their kinds.
#[derive(Clone, Debug, Default)]
struct Patterns {
    any: bool,
    /// Names and globs.
    globs: Vec<String>,
    excluded: Vec<String>,
}

impl Patterns {
    fn new(patterns: &[String]) -> Self {
        let mut sorted = Self::default();
        for pattern in patterns {
            match pattern.strip_prefix('!') {
                Some(excluded) => sorted.excluded.push(excluded.into()),
                None if pattern == "any" => sorted.any = true,
                None => sorted.globs.push(pattern.clone()),
            }
        }
        sorted.any |= sorted.globs.is_empty() && !sorted.excluded.is_empty();
        sorted
    }

    /// Whether an interface of this name is meant, in whatever state.
    fn mean(&self, name: &str) -> bool {
        !self.exclude(name) && (self.any || self.mean_when_down(name))
    }

    fn mean_when_down(&self, name: &str) -> bool {
        self.globs.iter().any(|pattern| glob(pattern.as_bytes(), name.as_bytes()))
    }

    fn exclude(&self, name: &str) -> bool {
        self.excluded.iter().any(|pattern| pattern == "any" || glob(pattern.as_bytes(), name.as_bytes()))
    }

    /// Whether the name itself is asked for.
    fn ask_for(&self, name: &str) -> bool {
        !self.exclude(name) && self.globs.iter().any(|pattern| is_name(pattern) && pattern == name)
    }

    fn want(&self, interface: &Interface, is_followed: bool) -> bool {
        self.mean(&interface.name) && (interface.up || is_followed || self.mean_when_down(&interface.name))
    }
}

#[cfg(test)]
mod tests;
