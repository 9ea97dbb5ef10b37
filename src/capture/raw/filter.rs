//! Programs for the filter of a packet socket, and libpcap to compile them with.

use super::spares;
use crate::capture::bpf::Instruction;
use crate::capture::filter::{FilterError, dlt, instructions};
use crate::capture::interfaces;
use crate::packet::Linktype;
use pcap::{Active, BpfProgram, Capture};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

/// A program that the kernel runs on each frame; what it returns is how many bytes to capture, 0 to pass over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFilter(Vec<Instruction>);

impl KernelFilter {
    /// Passes all frames, cut to `snaplen` bytes.
    pub(super) fn everything(snaplen: u32) -> Self {
        Self(vec![accept(snaplen)])
    }

    /// Passes no frame.
    pub(super) fn nothing() -> Self {
        Self(vec![accept(0)])
    }

    /// The same frames, cut to `snaplen` bytes.
    pub(super) fn limited(mut self, snaplen: u32) -> Self {
        for instruction in &mut self.0 {
            if instruction.code == RETURN && instruction.k > 0 {
                instruction.k = snaplen;
            }
        }
        self
    }

    /// The same frames except those that go out. On the loopback each of them comes in again.
    pub(super) fn without_outgoing(mut self) -> Self {
        let outgoing = u32::from(libc::PACKET_OUTGOING);
        let skip = Instruction { code: JUMP_EQUAL, jump_true: 0, jump_false: 1, k: outgoing };
        self.0.splice(0..0, [load_ancillary(libc::SKF_AD_PKTTYPE), skip, accept(0)]);
        self
    }

    pub(super) fn instructions(&self) -> &[Instruction] {
        &self.0
    }
}

/// `ret #k` of net/bpf.h.
const RETURN: u16 = 0x06;
/// `jeq #k`.
const JUMP_EQUAL: u16 = 0x15;

fn accept(snaplen: u32) -> Instruction {
    Instruction { code: RETURN, jump_true: 0, jump_false: 0, k: snaplen }
}

/// A byte-sized load of what the kernel knows of a frame beside its bytes.
pub(super) fn load_ancillary(what: libc::c_int) -> Instruction {
    Instruction { code: 0x30, jump_true: 0, jump_false: 0, k: (libc::SKF_AD_OFF + what).cast_unsigned() }
}

/// Compiles expressions for packet sockets, with and without privilege, for as long as it lives.
///
/// The kernel takes the outer VLAN tag out of a frame, and only the program of a live handle knows to look for it
/// beside the bytes; what a dead handle compiles for `vlan` never matches. So one live handle is opened while that is
/// allowed, on the loopback or another interface that is up, and then bound to nothing, so that it costs nothing.
pub struct Compiler(Option<Mutex<Capture<Active>>>);

impl Compiler {
    /// Opens the handle. Where none can be opened (no interface is up, or the privilege is missing) expressions that
    /// test VLAN tags are refused later.
    pub fn open() -> Self {
        let mut interfaces = interfaces::list().unwrap_or_default();
        interfaces.retain(|interface| interface.up);
        interfaces.sort_by_key(|interface| !interface.loopback);
        Self(interfaces.iter().find_map(|interface| live(&interface.name)).map(Mutex::new))
    }

    /// Whether expressions that test VLAN tags compile.
    pub fn knows_vlan_tags(&self) -> bool {
        self.0.is_some()
    }

    /// Compiles an expression in tcpdump syntax for frames of a link type.
    ///
    /// # Errors
    /// [`FilterError`] when libpcap refuses it, or when it tests VLAN tags and there is no live handle.
    pub fn compile(&self, expression: &str, linktype: Linktype) -> Result<KernelFilter, FilterError> {
        let program = match &self.0 {
            Some(live) if linktype == Linktype::Ethernet => {
                live.lock().unwrap_or_else(PoisonError::into_inner).compile(expression, true)
            }
            None if linktype == Linktype::Ethernet && mentions_vlan(expression) => {
                return Err(refused(
                    expression,
                    linktype,
                    "VLAN tags can be tested only if an interface was up at the start",
                ));
            }
            _ => Capture::dead(dlt(linktype)).and_then(|dead| dead.compile(expression, true)),
        };
        let program = program.map_err(|error| FilterError::new(expression, linktype, &error))?;
        kernel_filter(&program).ok_or_else(|| refused(expression, linktype, "the program cannot be read"))
    }
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler").field("live", &self.0.is_some()).finish()
    }
}

/// A live Ethernet handle that receives nothing.
fn live(name: &str) -> Option<Capture<Active>> {
    /// Room for a few frames; it is never read.
    const BUFFER: i32 = 64 << 10;
    let open = Capture::from_device(name).and_then(|handle| handle.snaplen(64).buffer_size(BUFFER).open());
    let mut handle = open.ok()?;
    if interfaces::linktype(handle.get_datalink()) != Linktype::Ethernet {
        return None;
    }
    // No frame is shorter than 0 bytes, and 0 bytes are no frame.
    handle.filter("less 0", true).ok()?;
    spares::silence(handle.as_fd()).ok()?;
    Some(handle)
}

/// Replaces the filter of a live handle of libpcap in one step. libpcap itself lets nothing in while it does that, and
/// counts nowhere what it lost.
pub(in crate::capture) fn replace(
    handle: &mut Capture<Active>,
    expression: &str,
) -> Result<std::io::Result<()>, pcap::Error> {
    let program = handle.compile(expression, true)?;
    let unreadable = || pcap::Error::PcapError("the program cannot be read".into());
    let filter = kernel_filter(&program).ok_or_else(unreadable)?;
    Ok(super::open::attach(handle.as_fd(), &filter))
}

fn mentions_vlan(expression: &str) -> bool {
    expression.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "vlan")
}

fn kernel_filter(program: &BpfProgram) -> Option<KernelFilter> {
    instructions(program).map(KernelFilter)
}

fn refused(expression: &str, linktype: Linktype, message: &str) -> FilterError {
    FilterError { expression: expression.into(), linktype, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_replaces_the_length_of_every_accept_and_no_reject() {
        let [accepts, rejects] = [accept(65_535), accept(0)];
        let filter = KernelFilter(vec![accepts, rejects]).limited(96);
        assert_eq!(filter.instructions(), [accept(96), accept(0)]);
    }

    #[test]
    fn outgoing_frames_are_rejected_before_the_rest_of_the_program() {
        let filter = KernelFilter::everything(96).without_outgoing();
        let codes: Vec<_> = filter.instructions().iter().map(|i| (i.code, i.jump_false, i.k)).collect();
        assert_eq!(codes, [(0x30, 0, 0xffff_f004), (0x15, 1, 4), (0x06, 0, 0), (0x06, 0, 96)]);
    }

    #[test]
    fn without_a_live_handle_only_expressions_on_tags_are_refused() {
        let compiler = Compiler(None);
        let error = compiler.compile("tcp or (vlan 42 and udp)", Linktype::Ethernet).unwrap_err();
        assert!(error.message.contains("VLAN tags can be tested only"), "{error}");
        assert!(compiler.compile("udp port 53", Linktype::Ethernet).is_ok());
        assert!(compiler.compile("udp port 53", Linktype::Raw).is_ok());
        let error = compiler.compile("tcp prot 443", Linktype::Ethernet).unwrap_err();
        assert_eq!(error.message, "syntax error");
    }
}
