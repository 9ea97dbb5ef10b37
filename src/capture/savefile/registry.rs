//! The capture points of a run: equal names are one, whichever file or section they come from.

use super::Batch;
use crate::capture::{FrameSink, InterfaceInfo};
use crate::packet::{InterfaceId, Linktype, Perspective};
use std::collections::HashMap;
use std::net::IpAddr;

/// The most capture points of a run, and of one pcapng section. More is damage: each costs counters and windows.
pub(in crate::capture) const MAX_INTERFACES: usize = 1024;
/// The most link types of one capture point.
pub(super) const MAX_LINKTYPES: usize = 64;
/// The most addresses of one capture point; further ones are left out.
const MAX_ADDRESSES: usize = 64;
/// The most characters of a name; longer ones are cut.
const MAX_NAME: usize = 128;

/// What a file says of one interface.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) linktype: Linktype,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) mac: Option<[u8; 6]>,
}

/// Names to ids, in order of appearance.
#[derive(Debug, Default)]
pub(super) struct Registry {
    interfaces: Vec<InterfaceInfo>,
    by_name: HashMap<String, InterfaceId>,
    /// Those that are new or have learned something since they were announced.
    news: Vec<InterfaceId>,
}

impl Registry {
    pub(super) fn interfaces(&self) -> &[InterfaceInfo] {
        &self.interfaces
    }

    /// Tells the sink of new interfaces and new addresses, behind the frames that came before them.
    #[inline]
    pub(super) fn announce(&mut self, batch: &mut Batch<'_>, sink: &mut dyn FrameSink) {
        if self.news.is_empty() {
            return;
        }
        batch.flush(sink);
        for id in self.news.drain(..) {
            if let Some(info) = self.interfaces.get(usize::from(id.0)) {
                sink.interface(info);
            }
        }
    }

    /// The id of the described interface; `None` where a bound of this module is reached.
    pub(super) fn register(&mut self, description: Description) -> Option<InterfaceId> {
        let Description { name, linktype, addresses, mac } = description;
        let name = printable(&name);
        let id = match self.by_name.get(&name) {
            Some(id) => *id,
            None => self.add(name)?,
        };
        let info = self.interfaces.get_mut(usize::from(id.0))?;
        if !info.linktypes.contains(&linktype) {
            if info.linktypes.len() == MAX_LINKTYPES {
                return None;
            }
            info.linktypes.push(linktype);
        }
        info.perspective.mac = info.perspective.mac.or(mac);
        for address in addresses {
            let known = &mut info.perspective.addresses;
            if !known.contains(&address) && known.len() < MAX_ADDRESSES {
                known.push(address);
            }
        }
        if self.news.last() != Some(&id) {
            self.news.push(id);
        }
        Some(id)
    }

    fn add(&mut self, name: String) -> Option<InterfaceId> {
        if self.interfaces.len() == MAX_INTERFACES {
            return None;
        }
        let id = InterfaceId(u16::try_from(self.interfaces.len()).ok()?);
        let perspective = Perspective { loopback: is_loopback_name(&name), ..Perspective::default() };
        self.by_name.insert(name.clone(), id);
        self.interfaces.push(InterfaceInfo { id, name, linktypes: Vec::new(), perspective });
        Some(id)
    }
}

/// Loopback interfaces by the names that Linux, the BSDs and Npcap give them.
fn is_loopback_name(name: &str) -> bool {
    name == "lo" || name == "lo0" || name.ends_with("NPF_Loopback")
}

/// Control characters never reach a terminal or a label.
fn printable(name: &str) -> String {
    let shown = name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    shown.take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str, linktype: Linktype) -> Description {
        Description { name: name.into(), linktype, addresses: Vec::new(), mac: None }
    }

    #[test]
    fn equal_names_are_one_interface_with_all_link_types() {
        let mut registry = Registry::default();
        let first = registry.register(described("eth0", Linktype::Ethernet));
        let other = registry.register(described("wlan0", Linktype::Ethernet));
        assert_eq!(registry.register(described("eth0", Linktype::Raw)), first);
        assert_ne!(first, other);
        assert_eq!(registry.interfaces()[0].linktypes, [Linktype::Ethernet, Linktype::Raw]);
    }

    #[test]
    fn a_name_is_cut_and_loses_control_characters() {
        let mut registry = Registry::default();
        registry.register(described(&format!("a\x1b[{}", "x".repeat(500)), Linktype::Ethernet));
        let name = &registry.interfaces()[0].name;
        assert!(name.starts_with("a\u{fffd}[x") && name.chars().count() == MAX_NAME);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut registry = Registry::default();
        for n in 0..MAX_INTERFACES {
            assert!(registry.register(described(&n.to_string(), Linktype::Ethernet)).is_some());
        }
        assert_eq!(registry.register(described("one more", Linktype::Ethernet)), None);
        for n in 0..u16::try_from(MAX_LINKTYPES).unwrap() - 1 {
            assert!(registry.register(described("7", Linktype::Other(1000 + n))).is_some());
        }
        assert_eq!(registry.register(described("7", Linktype::Other(999))), None);
    }
}
