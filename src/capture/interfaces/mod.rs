//! What can be captured on this machine, and which of it the user means.

#[cfg(target_os = "linux")]
mod linux;
mod monitor;
mod overlap;
mod pattern;
#[cfg(any(not(target_os = "linux"), test))]
mod portable;
mod selection;

pub use monitor::Monitor;
pub use overlap::overlaps;
pub use pattern::{Resolved, check_names, resolve};
pub use selection::{Change, Selection};

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use portable as system;

use super::pcap::refused;
use super::{CaptureError, Missing};
use crate::packet::Linktype;
use crate::stats::KernelCounters;
use ipnet::IpNet;
use pcap::Capture;

/// A network interface of this machine, in this network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name; on Windows a device path.
    pub name: String,
    /// The system's number for it.
    pub index: Option<u32>,
    /// What libpcap or the system says it is.
    pub description: Option<String>,
    /// Administratively up.
    pub up: bool,
    /// Has a carrier.
    pub running: bool,
    /// The loopback.
    pub loopback: bool,
    /// Wireless.
    pub wireless: bool,
    /// Its addresses with their networks.
    pub addresses: Vec<IpNet>,
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// What its link says of itself.
    pub link: Link,
    /// Index of the bridge, bond or other master that it is a port of. Linux only, like all that follow.
    pub master: Option<u32>,
    /// Index of the interface of this namespace that it stands on (a VLAN's, a tunnel's) or is paired with (veth).
    pub parent: Option<u32>,
    /// What the kernel calls its kind: `veth`, `bridge`, `vlan`; `None` for most hardware.
    pub kind: Option<String>,
    /// What the kernel counted on it.
    pub kernel: Option<KernelCounters>,
}

impl Interface {
    /// Whether only the kernel's counters differ, if anything.
    pub(crate) fn is_same_but_counters(&self, other: &Self) -> bool {
        // All of them by name: a new one has to be thought of here.
        let Self {
            name,
            index,
            description,
            up,
            running,
            loopback,
            wireless,
            addresses,
            mac,
            link,
            master,
            parent,
            kind,
            kernel: _,
        } = self;
        (index, up, running, loopback, wireless)
            == (&other.index, &other.up, &other.running, &other.loopback, &other.wireless)
            && (mac, link, master, parent) == (&other.mac, &other.link, &other.master, &other.parent)
            && (name, description, kind, addresses) == (&other.name, &other.description, &other.kind, &other.addresses)
    }
}

/// State of a link; `None` is "not available", as everywhere but on Linux.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Operational state; many virtual links do not know it.
    pub up: Option<bool>,
    /// Speed in bytes per second.
    pub speed: Option<u64>,
    /// Largest payload of a frame in bytes.
    pub mtu: Option<u32>,
}

/// The interfaces that could be captured; needs no privilege.
///
/// # Errors
/// [`CaptureError::ListInterfaces`] when the system does not say.
pub fn list() -> Result<Vec<Interface>, CaptureError> {
    system::list()
}

/// Link types that the interface offers, the one that is captured first; opens it for a moment.
///
/// # Errors
/// Why it could not be captured: [`CaptureError::NotPermitted`] says what is missing.
pub fn probe(name: &str) -> Result<Vec<Linktype>, CaptureError> {
    const SMALL_BUFFER: i32 = 256 << 10;
    let open = Capture::from_device(name).and_then(|handle| handle.snaplen(64).buffer_size(SMALL_BUFFER).open());
    let handle = open.map_err(|error| refused(name, &error))?;
    let mut linktypes = vec![linktype(handle.get_datalink())];
    for offered in handle.list_datalinks().unwrap_or_default().into_iter().map(linktype) {
        if !linktypes.contains(&offered) {
            linktypes.push(offered);
        }
    }
    Ok(linktypes)
}

/// What this process lacks to capture on any interface; `None` where nothing is known to be missing.
pub fn missing() -> Option<Missing> {
    system::missing()
}

/// The interface that packets to the rest of the world leave by; the loopback where there is none.
///
/// Linux: the default route with the least metric, of IPv4 before IPv6. Elsewhere: libpcap's own choice.
pub fn of_default_route() -> String {
    system::of_default_route().unwrap_or_else(loopback)
}

fn loopback() -> String {
    let list = list().unwrap_or_default();
    list.into_iter().find(|interface| interface.loopback).map_or_else(|| "lo".into(), |interface| interface.name)
}

/// The kernel's own 64-bit counters of an interface; `None` where it is gone or the system is not Linux.
pub fn kernel_counters(name: &str) -> Option<KernelCounters> {
    system::kernel_counters(name)
}

/// State, speed and MTU of a link.
pub fn link(name: &str) -> Link {
    system::link(name)
}

/// The error for a name that is not in `list`, with the names that are close.
pub(super) fn no_such(name: &str, list: &[Interface]) -> CaptureError {
    const SHOWN: usize = 8;
    let mut near: Vec<(usize, &str)> = list
        .iter()
        .map(|interface| (strsim::damerau_levenshtein(name, &interface.name), interface.name.as_str()))
        .collect();
    near.sort_unstable();
    let near = near.into_iter().take(SHOWN).map(|(_, name)| name.to_owned()).collect();
    CaptureError::NoSuchInterface { name: name.into(), near }
}

/// netmon's link type for libpcap's number (DLT_), which differs for raw IP only.
pub(super) fn linktype(dlt: pcap::Linktype) -> Linktype {
    u16::try_from(dlt.0).map_or(Linktype::Other(u16::MAX), Linktype::from_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_nearest_first() {
        let list = ["docker0", "eth0", "wlan0"].map(|name| Interface { name: name.into(), ..Interface::default() });
        assert_eq!(no_such("etho", &list).to_string(), "no interface `etho`; there are: eth0, wlan0, docker0");
        assert_eq!(no_such("x", &[]).to_string(), "no interface `x`");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_loopback_is_listed_with_its_counters_and_pseudo_devices_are_not() {
        let list = list().unwrap();
        let lo = list.iter().find(|interface| interface.name == "lo").unwrap();
        assert!(lo.loopback && lo.index.is_some() && lo.mac.is_none());
        assert!(kernel_counters("lo").is_some() && kernel_counters("no such").is_none());
        assert!(list.iter().all(|interface| interface.name != "any"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn rtnetlink_and_libpcap_agree_on_the_interfaces() {
        let (before, libpcap, after) = (list().unwrap(), portable::list().unwrap(), list().unwrap());
        // Whatever else this machine does: those that stayed as they were.
        let stable = before.iter().filter(|interface| after.iter().any(|later| later.is_same_but_counters(interface)));
        let facts = |interface: &Interface| {
            let addresses: std::collections::BTreeSet<IpNet> = interface.addresses.iter().copied().collect();
            (interface.index, interface.up, interface.running, interface.loopback, addresses)
        };
        for interface in stable {
            let witness = libpcap.iter().find(|witness| witness.name == interface.name).unwrap();
            assert_eq!(facts(interface), facts(witness), "{}", interface.name);
            assert!(interface.mac.is_none() || interface.mac == witness.mac, "{interface:?} {witness:?}");
        }
        let known = |name: &str| before.iter().chain(&after).any(|interface| interface.name == name);
        assert!(libpcap.iter().all(|witness| known(&witness.name)));
    }
}
