//! Interfaces as libpcap lists them: all there is on systems other than Linux, and on Linux a second witness for tests.
//!
//! There are no news, no counters and no relations between interfaces here; what is not known is `None`.

use super::{Interface, Link};
use crate::capture::{CaptureError, Missing};
use crate::stats::KernelCounters;
use ipnet::IpNet;
use pcap::Device;
use std::net::IpAddr;
use std::time::Duration;

/// How often interfaces are listed anew.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn list() -> Result<Vec<Interface>, CaptureError> {
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
    Some(Interface {
        index,
        description: device.desc,
        up: device.flags.is_up(),
        running: device.flags.is_running(),
        loopback: device.flags.is_loopback(),
        wireless: device.flags.is_wireless(),
        addresses,
        name: device.name,
        ..Interface::default()
    })
}

fn network(address: IpAddr, mask: Option<IpAddr>) -> IpNet {
    mask.and_then(|mask| IpNet::with_netmask(address, mask).ok()).unwrap_or(IpNet::from(address))
}

pub(super) fn missing() -> Option<Missing> {
    None
}

pub(super) fn of_default_route() -> Option<String> {
    Device::lookup().ok().flatten().map(|device| device.name)
}

pub(super) fn kernel_counters(_: &str) -> Option<KernelCounters> {
    None
}

pub(super) fn link(_: &str) -> Link {
    Link::default()
}

/// Where a monitor's pictures come from; what is taken for news is that a second has passed.
#[derive(Debug)]
pub(super) struct Source {
    slept: Duration,
}

impl Source {
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux, where it can fail")]
    pub(super) fn open() -> Result<Self, CaptureError> {
        Ok(Self { slept: Duration::ZERO })
    }

    #[expect(clippy::unnecessary_wraps, reason = "as on Linux, where it can fail")]
    pub(super) fn wait(&mut self, wait: Duration) -> Result<bool, CaptureError> {
        let wait = wait.min(LOOK.saturating_sub(self.slept));
        std::thread::sleep(wait);
        self.slept += wait;
        let look = self.slept >= LOOK;
        if look {
            self.slept = Duration::ZERO;
        }
        Ok(look)
    }

    #[expect(clippy::unused_self, reason = "as on Linux, where it is asked of a socket")]
    pub(super) fn picture(&mut self) -> Result<Vec<Interface>, CaptureError> {
        list()
    }
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
    fn a_look_is_due_once_a_second_of_waiting_has_passed() {
        let mut source = Source::open().unwrap();
        source.slept = LOOK.checked_sub(Duration::from_millis(2)).unwrap();
        assert!(!source.wait(Duration::from_millis(1)).unwrap());
        assert!(source.wait(Duration::from_secs(60)).unwrap(), "it waits no longer than to the next look");
        assert!(!source.wait(Duration::ZERO).unwrap());
    }

    #[test]
    fn it_knows_nothing_that_libpcap_does_not_say() {
        assert_eq!((kernel_counters("lo"), link("lo"), missing()), (None, Link::default(), None));
        assert!(of_default_route().is_none_or(|name| !name.is_empty()));
        assert!(Source::open().unwrap().picture().unwrap().iter().all(|interface| interface.kernel.is_none()));
    }
}
