//! What can be captured on this machine, and which of it the user means.

#[cfg(target_os = "linux")]
mod linux;
mod pattern;

pub use pattern::{Resolved, resolve};

use super::pcap::refused;
use super::{CaptureError, Missing};
use crate::packet::Linktype;
use crate::stats::KernelCounters;
use ipnet::IpNet;
use pcap::{Capture, Device};
use std::net::IpAddr;

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
    let devices = Device::list().map_err(|error| CaptureError::ListInterfaces { message: error.to_string() })?;
    let mut interfaces: Vec<Interface> = devices.into_iter().filter_map(interface).collect();
    add_hardware_addresses(&mut interfaces);
    Ok(interfaces)
}

/// `None` for libpcap's other devices, which are no network interfaces (`any`, `nflog`, `usbmon0`).
fn interface(device: Device) -> Option<Interface> {
    let index = index(&device.name);
    if cfg!(unix) && index.is_none() {
        return None;
    }
    let addresses = device.addresses.iter().map(|address| network(address.addr, address.netmask)).collect();
    let link = link(&device.name);
    Some(Interface {
        index,
        description: device.desc,
        up: device.flags.is_up(),
        running: device.flags.is_running(),
        loopback: device.flags.is_loopback(),
        wireless: device.flags.is_wireless(),
        addresses,
        mac: None,
        link,
        name: device.name,
    })
}

fn network(address: IpAddr, mask: Option<IpAddr>) -> IpNet {
    mask.and_then(|mask| IpNet::with_netmask(address, mask).ok()).unwrap_or(IpNet::from(address))
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
    #[cfg(target_os = "linux")]
    return linux::missing();
    #[cfg(not(target_os = "linux"))]
    None
}

/// The interface that packets to the rest of the world leave by; the loopback where there is none.
///
/// Linux: the default route with the least metric, of IPv4 before IPv6. Elsewhere: libpcap's own choice.
pub fn of_default_route() -> String {
    #[cfg(target_os = "linux")]
    let found = linux::of_default_route();
    #[cfg(not(target_os = "linux"))]
    let found = Device::lookup().ok().flatten().map(|device| device.name);
    found.unwrap_or_else(loopback)
}

fn loopback() -> String {
    let list = list().unwrap_or_default();
    list.into_iter().find(|interface| interface.loopback).map_or_else(|| "lo".into(), |interface| interface.name)
}

/// The kernel's own 64-bit counters of an interface; `None` where it is gone or the system is not Linux.
pub fn kernel_counters(name: &str) -> Option<KernelCounters> {
    #[cfg(target_os = "linux")]
    return linux::kernel_counters(name);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = name;
        None
    }
}

/// State, speed and MTU of a link.
pub fn link(name: &str) -> Link {
    #[cfg(target_os = "linux")]
    return linux::link(name);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = name;
        Link::default()
    }
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

#[cfg(unix)]
fn index(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

#[cfg(not(unix))]
fn index(_: &str) -> Option<u32> {
    None
}

/// Hardware addresses as the system lists them; all zeros is none.
#[cfg(unix)]
fn add_hardware_addresses(interfaces: &mut [Interface]) {
    let Ok(addresses) = nix::ifaddrs::getifaddrs() else { return };
    for entry in addresses {
        let mac = entry.address.as_ref().and_then(|address| address.as_link_addr()?.addr());
        let Some(mac) = mac.filter(|mac| *mac != [0; 6]) else { continue };
        if let Some(interface) = interfaces.iter_mut().find(|interface| interface.name == entry.interface_name) {
            interface.mac = Some(mac);
        }
    }
}

#[cfg(not(unix))]
fn add_hardware_addresses(_: &mut [Interface]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_keeps_the_address_and_takes_the_mask() {
        let network = network("10.1.2.3".parse().unwrap(), Some("255.255.0.0".parse().unwrap()));
        assert_eq!((network.to_string(), network.addr().to_string()), ("10.1.2.3/16".into(), "10.1.2.3".into()));
        assert_eq!(super::network("::1".parse().unwrap(), None).to_string(), "::1/128");
    }

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
}
