//! What Linux says of interfaces and privileges.
//!
//! Interfaces, addresses and counters come from rtnetlink, which needs no privilege, no /proc and no /sys, and which is
//! always of the network namespace that the socket was opened in. Only what rtnetlink does not tell, speed and whether
//! it is wireless, is read from /sys/class/net, where that can be read.

mod message;
mod netlink;
mod route;
mod sys;

pub(super) use route::of_default_route;

use super::{Interface, Link};
use crate::capture::{CaptureError, Missing};
use crate::stats::KernelCounters;
use message::Request;
use netlink::{Fault, Socket};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{User, geteuid};
use std::collections::HashMap;
use std::time::Duration;
use sys::Device;

/// Dumps that are begun again because the interfaces changed in the middle; the news of that change come later anyway.
const ATTEMPTS: u32 = 4;

/// Whether CAP_NET_RAW is missing, by asking for a packet socket. Its protocol is 0: it receives nothing.
pub(super) fn missing() -> Option<Missing> {
    match socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None) {
        Err(Errno::EPERM | Errno::EACCES) => Some(Missing::NetRaw { user: user() }),
        _ => None,
    }
}

/// Name of the effective user, or its number where it has none.
fn user() -> String {
    let uid = geteuid();
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

pub(super) fn list() -> Result<Vec<Interface>, CaptureError> {
    let mut interfaces = picture(&mut Socket::open(0)?)?;
    interfaces.iter_mut().for_each(|interface| Device::of(interface).describe(interface));
    Ok(interfaces)
}

pub(super) fn kernel_counters(name: &str) -> Option<KernelCounters> {
    one(name)?.kernel
}

pub(super) fn link(name: &str) -> Link {
    let Some(mut interface) = one(name) else { return Link::default() };
    Device::of(&interface).describe(&mut interface);
    interface.link
}

fn one(name: &str) -> Option<Interface> {
    let mut found = None;
    let take = |kind, payload: &[u8]| found = (kind == libc::RTM_NEWLINK).then(|| message::link(payload)).flatten();
    Socket::open(0).ok()?.ask(&Request::LinkOf(name), take).ok()?;
    found.filter(|interface: &Interface| interface.name == name)
}

/// All interfaces with their addresses, in the order of their indices.
fn picture(socket: &mut Socket) -> Result<Vec<Interface>, Fault> {
    let mut interfaces: Vec<Interface> = dump(socket, &Request::Links, libc::RTM_NEWLINK, message::link)?;
    interfaces.sort_unstable_by_key(|interface| interface.index);
    interfaces.dedup_by_key(|interface| interface.index);
    for (index, network) in dump(socket, &Request::Addresses, libc::RTM_NEWADDR, message::address)? {
        if let Ok(place) = interfaces.binary_search_by_key(&Some(index), |interface| interface.index) {
            interfaces[place].addresses.push(network);
        }
    }
    Ok(interfaces)
}

fn dump<T>(
    socket: &mut Socket,
    request: &Request<'_>,
    kind: u16,
    read: fn(&[u8]) -> Option<T>,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    for _ in 0..ATTEMPTS {
        found.clear();
        if socket.ask(request, |of, payload| found.extend((of == kind).then(|| read(payload)).flatten()))? {
            break;
        }
    }
    Ok(found)
}

/// Where a monitor's pictures and news come from.
#[derive(Debug)]
pub(super) struct Source {
    news: Socket,
    questions: Socket,
    /// What /sys said of a device, by index.
    devices: HashMap<u32, Device>,
}

impl Source {
    pub(super) fn open() -> Result<Self, CaptureError> {
        const GROUPS: i32 = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        let news = Socket::open(GROUPS.cast_unsigned())?;
        Ok(Self { news, questions: Socket::open(0)?, devices: HashMap::new() })
    }

    /// Whether there are news, or came some within `wait`; takes them away.
    pub(super) fn wait(&mut self, wait: Duration) -> Result<bool, CaptureError> {
        let news = self.news.is_readable(wait)?;
        if news {
            self.news.discard()?;
        }
        Ok(news)
    }

    pub(super) fn picture(&mut self) -> Result<Vec<Interface>, CaptureError> {
        let mut interfaces = picture(&mut self.questions)?;
        let mut devices = HashMap::with_capacity(interfaces.len());
        for interface in &mut interfaces {
            let Some(index) = interface.index else { continue };
            let device = Device::or_known(interface, self.devices.remove(&index));
            device.describe(interface);
            devices.insert(index, device);
        }
        self.devices = devices;
        Ok(interfaces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_interface_can_have_has_no_counters_and_an_unknown_link() {
        for name in ["", "no such", "a name of more than fifteen bytes", "no\0such"] {
            assert_eq!((kernel_counters(name), link(name)), (None, Link::default()), "{name:?}");
        }
    }

    #[test]
    fn one_link_asked_for_by_name_is_the_one_in_the_list() {
        let lo = list().unwrap().into_iter().find(|interface| interface.name == "lo").unwrap();
        assert_eq!(link("lo"), lo.link);
        let (before, after) = (lo.kernel.unwrap(), kernel_counters("lo").unwrap());
        assert!(before.packets[0] <= after.packets[0] && before.bytes[0] <= after.bytes[0]);
    }
}
