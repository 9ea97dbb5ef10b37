//! Dealing the frames of one interface to several rings, each flow to one of them.
//!
//! The kernel's own hash takes ports into account where it sees them, so the fragments of a datagram may go another way
//! than its flow, and it looks into tunnels. The program here takes the outermost pair of addresses only, in either
//! order: both directions, all fragments and a whole tunnel stay together. Frames without an IP header, or whose header
//! is not where it should be, go to the first ring.

use super::filter::load_ancillary;
use super::ring;
use super::spares::Lease;
use crate::capture::bpf::Instruction;
use crate::packet::{Linktype, VlanStack};
use std::io;
use std::os::fd::AsFd;

/// Makes a group of `members`, which are bound to the same interface. They can only be closed afterwards.
///
/// Kernels before 6.13 refuse it while the interface is down.
pub(super) fn join<'a>(members: impl Iterator<Item = &'a mut Lease>, linktype: Linktype) -> io::Result<()> {
    let mut group = None;
    for member in members {
        let socket = member.as_fd();
        match group {
            Some(group) => ring::set(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, group)?,
            None => {
                ring::set(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, NEW_GROUP)?;
                // Number, kind and flags of the group, as the others have to name it.
                group = Some(ring::read(socket, libc::PACKET_FANOUT)?);
                ring::attach(socket, libc::SOL_PACKET, libc::PACKET_FANOUT_DATA, &program(linktype))?;
            }
        }
        member.joined_fanout();
    }
    Ok(())
}

/// A group that a program of ours deals to, with a number that the kernel finds.
const NEW_GROUP: libc::c_int = ((libc::PACKET_FANOUT_CBPF | libc::PACKET_FANOUT_FLAG_UNIQUEID) << 16).cast_signed();

/// The program whose result, modulo the number of rings, is the ring of a frame.
pub(super) fn program(linktype: Linktype) -> Vec<Instruction> {
    let start = if linktype == Linktype::Ethernet { ethernet_start() } else { raw_start() };
    [start, walk_tags(), addresses()].concat()
}

/// X = where the bytes behind type and tags begin, A = their type.
///
/// A frame that comes in begins behind its Ethernet header, and its type is known beside it; one that goes out begins
/// with the header.
fn ethernet_start() -> Vec<Instruction> {
    vec![
        load_ancillary(libc::SKF_AD_PKTTYPE),
        if_equal(libc::PACKET_OUTGOING.into(), 3, 0),
        constant_to_x(0),
        load_ancillary(libc::SKF_AD_PROTOCOL),
        jump(2),
        constant_to_x(14),
        load_half(12),
    ]
}

/// As above, for frames that begin with the IP header.
fn raw_start() -> Vec<Instruction> {
    vec![constant_to_x(0), load_ancillary(libc::SKF_AD_PROTOCOL)]
}

/// Steps over the tags that are in the bytes: A = type behind them, X = where that begins.
pub(super) fn walk_tags() -> Vec<Instruction> {
    const STEP: u32 = 10;
    let steps = u32::try_from(VlanStack::MAX_TAGS).unwrap_or(u32::MAX);
    let step = |n: u32| {
        [
            if_equal(0x8100, 3, 0),
            if_equal(0x88a8, 2, 0),
            if_equal(0x9100, 1, 0),
            jump((steps - 1 - n) * STEP + STEP - 4),
            load_half_at_x(2),
            store(0),
            x_to_a(),
            operate_constant(ADD, 4),
            a_to_x(),
            load_memory(0),
        ]
    };
    (0..steps).flat_map(step).collect()
}

/// A = type of what begins at X; returns a number made of both its addresses, the same in either order.
pub(super) fn addresses() -> Vec<Instruction> {
    let ipv6 = ipv6();
    let ipv4 = [load_word_at_x(12), store(0), load_word_at_x(16), store(1)];
    let over_ipv6 = u32::try_from(ipv6.len()).unwrap_or(u32::MAX);
    let mut program = vec![if_equal(0x0800, 2, 0), if_equal(0x86dd, 6, 0), ret(0)];
    program.extend(ipv4);
    program.push(jump(over_ipv6));
    program.extend(ipv6);
    program.extend(mix());
    program
}

/// Folds each address into 32 bits: M[0] is the source's, M[1] the destination's.
fn ipv6() -> Vec<Instruction> {
    let words = (0..8_u32).flat_map(|word| [load_word_at_x(8 + 4 * word), store(word)]);
    let fold = |first: u32| {
        let rest = (1..4).flat_map(move |word| [load_memory_to_x(first + word), operate_x(XOR)]);
        [load_memory(first)].into_iter().chain(rest)
    };
    words.chain(fold(0)).chain([store(0)]).chain(fold(4)).chain([store(1)]).collect()
}

/// (a ^ b) and (a + b) do not change with the order; odd factors spread them into the upper half, which is returned.
fn mix() -> [Instruction; 12] {
    [
        load_memory(0),
        load_memory_to_x(1),
        operate_x(XOR),
        operate_constant(MULTIPLY, 0x9e37_79b1),
        store(2),
        load_memory(0),
        operate_x(ADD),
        operate_constant(MULTIPLY, 0x85eb_ca6b),
        load_memory_to_x(2),
        operate_x(XOR),
        operate_constant(SHIFT_RIGHT, 16),
        instruction(0x16, 0),
    ]
}

// The operations of net/bpf.h that are used, by its numbers.
const ADD: u16 = 0x00;
const MULTIPLY: u16 = 0x20;
const SHIFT_RIGHT: u16 = 0x70;
const XOR: u16 = 0xa0;

fn instruction(code: u16, k: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, k }
}

fn load_half(at: u32) -> Instruction {
    instruction(0x28, at)
}

fn load_half_at_x(offset: u32) -> Instruction {
    instruction(0x48, offset)
}

fn load_word_at_x(offset: u32) -> Instruction {
    instruction(0x40, offset)
}

fn load_memory(slot: u32) -> Instruction {
    instruction(0x60, slot)
}

fn load_memory_to_x(slot: u32) -> Instruction {
    instruction(0x61, slot)
}

fn store(slot: u32) -> Instruction {
    instruction(0x02, slot)
}

pub(super) fn constant_to_x(value: u32) -> Instruction {
    instruction(0x01, value)
}

fn x_to_a() -> Instruction {
    instruction(0x87, 0)
}

fn a_to_x() -> Instruction {
    instruction(0x07, 0)
}

fn operate_constant(operation: u16, value: u32) -> Instruction {
    instruction(0x04 | operation, value)
}

fn operate_x(operation: u16) -> Instruction {
    instruction(0x0c | operation, 0)
}

fn jump(over: u32) -> Instruction {
    instruction(0x05, over)
}

fn if_equal(value: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: 0x15, jump_true, jump_false, k: value }
}

fn ret(value: u32) -> Instruction {
    instruction(0x06, value)
}
