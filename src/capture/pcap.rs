//! Live capture of one interface through libpcap.
//!
//! The handle never blocks: [`Adapter::poll`] waits in poll(2) for at most the time it is given and then takes one ring
//! block, so a capture thread can stop within one wait. (A blocking libpcap call on a silent interface would not return;
//! its time-out is a buffering delay.) Windows has no poll(2) for it: there the handle is looked at every 10 ms. Immediate
//! mode stays off: it makes libpcap fall back to a ring without blocks.

use super::filter::FilterError;
use super::interfaces::{self, Interface};
use super::{Adapter, CaptureError, Config, FrameSink, InterfaceInfo, LiveAdapter, Missing, Poll, Statistics};
use crate::packet::{Frame, InterfaceId, Linktype, PacketMeta, Perspective};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use pcap::{Active, Capture, Inactive, Packet, Stat};
use std::time::Duration;

/// How long the kernel may keep frames back to fill a block, in milliseconds: below the 100 ms tick.
const BUFFERING_MS: i32 = 50;

/// Nanoseconds of one unit of libpcap's time fraction. libpcap grants nanoseconds on every Linux device.
const FRACTION_NANOS: u64 = if cfg!(target_os = "linux") { 1 } else { 1000 };

/// Frames taken at once. A ring block bounds it on Unix; elsewhere the number does, so that the thread soon sees what else
/// is asked of it.
const BATCH: Option<usize> = if cfg!(unix) { None } else { Some(1024) };

/// A libpcap handle on one interface.
///
/// It is touched by its own thread only; filter changes and statistics happen between two polls.
pub struct PcapAdapter {
    handle: Capture<Active>,
    interface: [InterfaceInfo; 1],
    promiscuous: bool,
    announced: bool,
    counted: Counted,
}

impl PcapAdapter {
    /// Opens `name` and sets the filter of `config`; its frames carry `id`.
    ///
    /// # Errors
    /// No such interface, a missing privilege, a filter that does not compile, or what else libpcap says.
    pub fn open(name: &str, id: InterfaceId, config: &Config) -> Result<Self, CaptureError> {
        let list = interfaces::list()?;
        let Some(described) = list.iter().find(|interface| interface.name == name) else {
            return Err(interfaces::no_such(name, &list));
        };
        let (mut handle, promiscuous) = activate(name, config)?;
        let linktype = prefer_known_linktype(&mut handle);
        let interface =
            InterfaceInfo { id, name: name.into(), linktypes: vec![linktype], perspective: perspective(described) };
        let counted = Counted::default();
        let handle = handle.setnonblock().map_err(|error| failed(name, &error))?;
        let mut adapter = Self { handle, interface: [interface], promiscuous, announced: false, counted };
        // Without any filter libpcap leaves whole super-frames in the buffer; with one the kernel cuts them.
        adapter.install_filter(config.bpf.as_deref())?;
        Ok(adapter)
    }

    /// Whether the interface was asked for all frames: as configured, unless it has no such mode.
    pub fn is_promiscuous(&self) -> bool {
        self.promiscuous
    }

    /// Sets the filter by libpcap, which empties the buffer meanwhile.
    fn install_filter(&mut self, expression: Option<&str>) -> Result<(), CaptureError> {
        let expression = expression.unwrap_or_default();
        let linktype = self.linktype();
        let set = self.handle.filter(expression, true);
        set.map_err(|error| FilterError::new(expression, linktype, &error).into())
    }

    /// Replaces the filter of the socket below libpcap, which does not look at frames once the kernel has.
    #[cfg(target_os = "linux")]
    fn replace_filter(&mut self, expression: &str) -> Result<(), CaptureError> {
        let linktype = self.linktype();
        let attached = super::raw::replace(&mut self.handle, expression);
        let attached = attached.map_err(|error| FilterError::new(expression, linktype, &error))?;
        let interface = self.name().to_owned();
        attached.map_err(|error| CaptureError::Live { interface, message: error.to_string() })
    }

    fn name(&self) -> &str {
        let [interface] = &self.interface;
        &interface.name
    }

    fn linktype(&self) -> Linktype {
        let [interface] = &self.interface;
        interface.linktypes.first().copied().unwrap_or(Linktype::Ethernet)
    }

    /// Waits until a block is there; a signal ends the wait early.
    #[cfg(unix)]
    fn is_readable(&self, wait: Duration) -> Result<bool, CaptureError> {
        use nix::errno::Errno;
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;

        let mut fds = [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(CaptureError::Live { interface: self.name().into(), message: error.desc().into() }),
        }
    }

    /// Without poll(2) one can only look.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix, where waiting can fail")]
    fn is_readable(&self, _: Duration) -> Result<bool, CaptureError> {
        Ok(true)
    }
}

impl std::fmt::Debug for PcapAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PcapAdapter").field("interface", &self.interface).finish_non_exhaustive()
    }
}

impl Adapter for PcapAdapter {
    /// Takes what libpcap has, one ring block at most; frames are handed out one by one, as libpcap lends them.
    fn poll(&mut self, wait: Duration, sink: &mut dyn FrameSink) -> Result<Poll, CaptureError> {
        if !std::mem::replace(&mut self.announced, true) {
            sink.interface(&self.interface[0]);
        }
        if !self.is_readable(wait)? {
            return Ok(Poll::Idle);
        }
        let [interface] = &self.interface;
        let (id, linktype) = (interface.id, self.linktype());
        let taken = self.handle.dispatch(BATCH, |packet| {
            let meta = meta(&packet, id, linktype);
            sink.frames(&[Frame { meta, bytes: packet.data }]);
        });
        match taken {
            Ok(0) => {
                wait_without_poll(wait);
                Ok(Poll::Idle)
            }
            Ok(_) => Ok(Poll::Frames),
            Err(error) => Err(failed(self.name(), &error)),
        }
    }

    fn interfaces(&self) -> &[InterfaceInfo] {
        &self.interface
    }

    fn statistics(&mut self) -> Result<Option<Statistics>, CaptureError> {
        match self.handle.stats() {
            Ok(stat) => Ok(Some(self.counted.add(stat))),
            Err(error) => Err(failed(self.name(), &error)),
        }
    }
}

impl LiveAdapter for PcapAdapter {
    /// On Linux no frame is lost for it.
    fn set_filter(&mut self, expression: Option<&str>) -> Result<(), CaptureError> {
        #[cfg(target_os = "linux")]
        if self.linktype() == Linktype::Ethernet {
            return self.replace_filter(expression.unwrap_or_default());
        }
        self.install_filter(expression)
    }

    fn backend(&self) -> &'static str {
        "libpcap"
    }
}

fn meta(packet: &Packet<'_>, interface: InterfaceId, linktype: Linktype) -> PacketMeta {
    let (timestamp, timed) = match time(packet) {
        Some(timestamp) => (timestamp, true),
        None => (Timestamp::MIN, false),
    };
    let (caplen, wire_len) = (packet.header.caplen, packet.header.len);
    PacketMeta { timestamp, timed, interface, linktype, caplen, wire_len, direction: None, gso_size: 0 }
}

/// `None` for times before 1970.
fn time(packet: &Packet<'_>) -> Option<Timestamp> {
    let seconds = u64::try_from(packet.header.ts.tv_sec).ok()?;
    let fraction = u64::try_from(packet.header.ts.tv_usec).ok()?;
    let nanos = seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(fraction.checked_mul(FRACTION_NANOS)?)?;
    Some(Timestamp::from_nanos(nanos))
}

/// Totals of libpcap's counters, which have 32 bits and wrap.
#[derive(Debug, Default)]
struct Counted {
    last: Option<Stat>,
    seen: u64,
    dropped: u64,
    interface_dropped: u64,
}

impl Counted {
    /// Adds what came since the last reading, which must be less than 2^32 of anything.
    fn add(&mut self, now: Stat) -> Statistics {
        let last = self.last.replace(now).unwrap_or(Stat { received: 0, dropped: 0, if_dropped: 0 });
        self.seen += u64::from(now.received.wrapping_sub(last.received));
        self.dropped += u64::from(now.dropped.wrapping_sub(last.dropped));
        self.interface_dropped += u64::from(now.if_dropped.wrapping_sub(last.if_dropped));
        Statistics {
            // The kernel counts a frame as seen before it finds that there is no room for it.
            received: self.seen.saturating_sub(self.dropped),
            kernel_dropped: self.dropped,
            interface_dropped: self.interface_dropped,
            freezes: 0,
        }
    }
}

/// An active handle, and whether it is promiscuous: a device without that mode is opened without.
fn activate(name: &str, config: &Config) -> Result<(Capture<Active>, bool), CaptureError> {
    let open = |promiscuous| inactive(name, config).and_then(|handle| handle.promisc(promiscuous).open());
    open(config.promiscuous)
        .map(|handle| (handle, config.promiscuous))
        .or_else(|error| open(false).map(|handle| (handle, false)).map_err(|_| error))
        .map_err(|error| refused(name, &error))
}

fn inactive(name: &str, config: &Config) -> Result<Capture<Inactive>, pcap::Error> {
    let handle = Capture::from_device(name)?
        .snaplen(i32::try_from(config.snaplen).unwrap_or(i32::MAX))
        .buffer_size(i32::try_from(config.buffer_bytes).unwrap_or(i32::MAX))
        .timeout(BUFFERING_MS);
    #[cfg(target_os = "linux")]
    let handle = handle.immediate_mode(false).precision(pcap::Precision::Nano);
    Ok(handle)
}

/// Where there is no poll(2), what would have been waited in it after a look that found nothing.
fn wait_without_poll(wait: Duration) {
    const LOOK_AGAIN: Duration = Duration::from_millis(10);
    if cfg!(not(unix)) {
        std::thread::sleep(wait.min(LOOK_AGAIN));
    }
}

/// The device's own link type, or one that netmon reads where the device offers a choice.
fn prefer_known_linktype(handle: &mut Capture<Active>) -> Linktype {
    let own = interfaces::linktype(handle.get_datalink());
    if own.is_supported() {
        return own;
    }
    let offered = handle.list_datalinks().unwrap_or_default();
    let known = offered.into_iter().find(|offered| interfaces::linktype(*offered).is_supported());
    match known {
        Some(known) if handle.set_datalink(known).is_ok() => interfaces::linktype(known),
        _ => own,
    }
}

/// What an interface tells of the direction of its frames.
pub(super) fn perspective(interface: &Interface) -> Perspective {
    Perspective {
        mac: interface.mac,
        addresses: interface.addresses.iter().map(|network| network.addr()).collect(),
        local_networks: Vec::new(),
        loopback: interface.loopback,
    }
}

/// Why a handle could not be opened on an interface that exists.
pub(super) fn refused(name: &str, error: &pcap::Error) -> CaptureError {
    let message = text(error);
    let interface = name.to_owned();
    if let Some(missing) = interfaces::missing() {
        return CaptureError::NotPermitted { interface, missing };
    }
    if message.contains("ermission") || message.contains("not permitted") {
        return CaptureError::NotPermitted { interface, missing: Missing::Access(message) };
    }
    CaptureError::OpenInterface { interface, message }
}

/// Why an open handle gave no frames.
fn failed(name: &str, error: &pcap::Error) -> CaptureError {
    let (interface, message) = (name.to_owned(), text(error));
    // libpcap has no code for it that the crate hands on; these are its words since 1.10 and the kernel's before.
    if message.contains("disappeared") || message.contains("No such device") {
        return CaptureError::InterfaceGone { interface };
    }
    CaptureError::Live { interface, message }
}

/// libpcap's words, without the crate's "libpcap error" in front.
fn text(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(received: u32, dropped: u32, if_dropped: u32) -> Stat {
        Stat { received, dropped, if_dropped }
    }

    #[test]
    fn counters_that_wrap_go_on_in_64_bits() {
        let mut counted = Counted::default();
        counted.add(stat(u32::MAX - 1, 10, 0));
        let statistics = counted.add(stat(3, 12, 7));
        assert_eq!(statistics.received + statistics.kernel_dropped, u64::from(u32::MAX) + 4);
        assert_eq!((statistics.kernel_dropped, statistics.interface_dropped), (12, 7));
    }

    #[test]
    fn dropped_frames_are_not_received_ones() {
        assert_eq!(
            Counted::default().add(stat(100, 30, 0)),
            Statistics { received: 70, kernel_dropped: 30, interface_dropped: 0, freezes: 0 }
        );
    }

    #[test]
    fn a_deleted_interface_is_gone_and_other_failures_keep_libpcaps_words() {
        let gone = failed("veth0", &pcap::Error::PcapError("The interface disappeared".into()));
        assert_eq!(gone.to_string(), "interface `veth0` is gone");
        let live = failed("veth0", &pcap::Error::PcapError("recvfrom failed: I/O error".into()));
        assert_eq!(live.to_string(), "capture on `veth0` failed: libpcap: recvfrom failed: I/O error");
    }

    #[test]
    fn an_unknown_name_is_refused_with_its_neighbours() {
        let error = PcapAdapter::open("no-such-interface", InterfaceId(0), &Config::default()).unwrap_err();
        assert!(error.is_usage() && error.to_string().starts_with("no interface `no-such-interface`"), "{error}");
    }
}
