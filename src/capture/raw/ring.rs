//! The only unsafe code of capture: options of packet sockets, and the memory that the kernel shares.
//!
//! Everything here is a system call or a pointer into the mapping. What the kernel writes into a block is read in
//! [`super::block`], which is safe code over a byte slice.
#![expect(unsafe_code, reason = "socket options and a shared mapping have no safe interface in std or nix")]

use crate::capture::bpf::Instruction;
use libc::{c_int, c_void, socklen_t};
use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the owner of a block is written: the kernel, or this process.
const STATUS: usize = offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, block_status);

// Fields of 16 bits whose values libc has as `int`.
const AF_PACKET: u16 = 17;
const MR_PROMISC: u16 = 1;
const _: () = assert!(AF_PACKET as c_int == libc::AF_PACKET && MR_PROMISC as c_int == libc::PACKET_MR_PROMISC);

/// Asks for the cache lines that the smallest frame at `at` takes, if they are inside `memory`.
#[inline]
pub(super) fn prefetch(memory: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(ahead) = memory.get(at..at + 3 * 64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for line in ahead.chunks_exact(64) {
            // SAFETY: PREFETCHT0 (Intel SDM volume 2, PREFETCHh) reads nothing that the program can see and never
            // faults; the pointer is into the slice all the same.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (memory, at);
}

/// Sets an option whose value is one `int`.
pub(super) fn set(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set_option(socket, level, name, &value)
}

/// Replaces the socket's filter, or the program of its fan-out group, in one step.
pub(super) fn attach(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    instructions: &[Instruction],
) -> io::Result<()> {
    let mut program: Vec<libc::sock_filter> = instructions.iter().map(instruction).collect();
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // The kernel copies the program during the call, which `program` outlives.
    set_option(socket, level, name, &libc::sock_fprog { len, filter: program.as_mut_ptr() })
}

fn instruction(of: &Instruction) -> libc::sock_filter {
    libc::sock_filter { code: of.code, jt: of.jump_true, jf: of.jump_false, k: of.k }
}

/// Joins or leaves the promiscuous members of an interface.
pub(super) fn set_promiscuous(socket: BorrowedFd<'_>, index: c_int, join: bool) -> io::Result<()> {
    let name = if join { libc::PACKET_ADD_MEMBERSHIP } else { libc::PACKET_DROP_MEMBERSHIP };
    let request = libc::packet_mreq { mr_ifindex: index, mr_type: MR_PROMISC, mr_alen: 0, mr_address: [0; 8] };
    set_option(socket, libc::SOL_PACKET, name, &request)
}

/// Receives frames of `protocol` on one interface, or on all with index 0.
///
/// Protocol 0 stands for the one the socket has already, so it cannot be used to stop receiving.
pub(super) fn bind(socket: BorrowedFd<'_>, protocol: u16, index: c_int) -> io::Result<()> {
    let mut address = no_address();
    address.sll_family = AF_PACKET;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index;
    // SAFETY: the pointer is to a sockaddr_ll that lives through the call, and the length is its size.
    let result =
        unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_as_len::<libc::sockaddr_ll>()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Index of the interface the socket is bound to, -1 once it is gone, and its hardware type (`ARPHRD_`).
pub(super) fn bound_to(socket: BorrowedFd<'_>) -> io::Result<(c_int, u16)> {
    let mut address = no_address();
    let mut len = size_as_len::<libc::sockaddr_ll>();
    // SAFETY: both pointers live through the call, and `len` is the size of what the first points to.
    let result = unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
    if result == 0 { Ok((address.sll_ifindex, address.sll_hatype)) } else { Err(io::Error::last_os_error()) }
}

fn no_address() -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: 0,
        sll_protocol: 0,
        sll_ifindex: 0,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

/// Counts since they were last read; reading makes them 0.
pub(super) fn take_statistics(socket: BorrowedFd<'_>) -> io::Result<libc::tpacket_stats_v3> {
    let none = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
    read_option(socket, libc::PACKET_STATISTICS, none)
}

/// Reads a packet option that is one `int`.
pub(super) fn read(socket: BorrowedFd<'_>, name: c_int) -> io::Result<c_int> {
    read_option(socket, name, 0)
}

/// What may be copied to and from the kernel: plain integers in C's layout.
trait Plain: Copy {}
impl Plain for c_int {}
impl Plain for libc::sock_fprog {}
impl Plain for libc::packet_mreq {}
impl Plain for libc::tpacket_req3 {}
impl Plain for libc::tpacket_stats_v3 {}

fn set_option<T: Plain>(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let pointer: *const c_void = std::ptr::from_ref(value).cast();
    // SAFETY: the pointer and length are those of `value`, which lives through the call; the kernel only reads it.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, pointer, size_as_len::<T>()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn read_option<T: Plain>(socket: BorrowedFd<'_>, name: c_int, mut value: T) -> io::Result<T> {
    let mut len = size_as_len::<T>();
    let pointer: *mut c_void = (&raw mut value).cast();
    // SAFETY: the kernel writes at most `len` bytes, the size of `value`, and any bytes are a valid `Plain` that is
    // read here: integers without a niche (a `sock_fprog`, which has a pointer, is only ever set).
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_PACKET, name, pointer, &raw mut len) };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

#[expect(clippy::cast_possible_truncation, reason = "asserted to be small")]
fn size_as_len<T>() -> socklen_t {
    const { assert!(size_of::<T>() <= 256, "an option is small") };
    size_of::<T>() as socklen_t
}

/// Blocks of a ring, and how long the kernel may keep frames back to fill one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// A multiple of the page size.
    pub(super) block_bytes: u32,
    /// At least two, or the kernel has nowhere to write while one is read.
    pub(super) blocks: u32,
    /// In milliseconds.
    pub(super) retire_ms: u32,
}

/// Frees the ring's memory in the kernel; nothing may be mapped any more.
pub(super) fn remove(socket: BorrowedFd<'_>) -> io::Result<()> {
    request(socket, Geometry { block_bytes: 0, blocks: 0, retire_ms: 0 })
}

fn request(socket: BorrowedFd<'_>, geometry: Geometry) -> io::Result<()> {
    /// Version 3 packs frames of any length; this only has to divide the block.
    const FRAME: u32 = 2048;
    let request = libc::tpacket_req3 {
        tp_block_size: geometry.block_bytes,
        tp_block_nr: geometry.blocks,
        tp_frame_size: if geometry.blocks == 0 { 0 } else { FRAME },
        tp_frame_nr: geometry.block_bytes / FRAME * geometry.blocks,
        tp_retire_blk_tov: geometry.retire_ms,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    set_option(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)
}

/// A receive ring of a packet socket, mapped; dropping it unmaps.
#[derive(Debug)]
pub(super) struct Ring {
    start: NonNull<u8>,
    block_bytes: usize,
    blocks: usize,
    /// The block that the kernel fills next after all that were read.
    current: usize,
    /// `false` for the memory of a test.
    is_mapping: bool,
}

// SAFETY: the mapping belongs to the process, not to a thread, and only this value has the pointer.
unsafe impl Send for Ring {}

impl Ring {
    /// Makes the ring of `socket`, whose `PACKET_VERSION` is 3, and maps it.
    pub(super) fn map(socket: BorrowedFd<'_>, geometry: Geometry) -> io::Result<Self> {
        request(socket, geometry)?;
        let (block_bytes, blocks) = (geometry.block_bytes as usize, geometry.blocks as usize);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; the kernel checks that the ring has this length.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), block_bytes * blocks, protection, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        match NonNull::new(address.cast()) {
            Some(start) if address != libc::MAP_FAILED => {
                Ok(Self { start, block_bytes, blocks, current: 0, is_mapping: true })
            }
            _ => {
                let error = io::Error::last_os_error();
                remove(socket)?;
                Err(error)
            }
        }
    }

    /// Lends the next block that the kernel has filled, then gives it back; `None` when there is none yet.
    pub(super) fn take<R>(&mut self, read: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        if !self.is_ready(self.current) {
            return None;
        }
        // SAFETY: the block lies inside the mapping, which lives as long as `self`. Its status says that it is ours:
        // the kernel writes nothing into it until the status is set back below, and `&mut self` keeps others away. The
        // load of the status was an acquire, so all that the kernel wrote before is seen.
        let block = unsafe { std::slice::from_raw_parts_mut(self.block(self.current).as_ptr(), self.block_bytes) };
        let result = read(block);
        self.status(self.current).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.current = (self.current + 1) % self.blocks;
        Some(result)
    }

    /// Blocks that wait to be read.
    #[cfg(test)]
    pub(super) fn ready(&self) -> usize {
        (0..self.blocks).take_while(|n| self.is_ready((self.current + n) % self.blocks)).count()
    }

    fn is_ready(&self, block: usize) -> bool {
        self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    fn status(&self, block: usize) -> &AtomicU32 {
        // SAFETY: inside the block and aligned, since blocks are whole pages; no slice of the block is alive outside
        // `take`'s callback, and the kernel accesses the word atomically too.
        unsafe { AtomicU32::from_ptr(self.block(block).add(STATUS).cast().as_ptr()) }
    }

    fn block(&self, block: usize) -> NonNull<u8> {
        debug_assert!(block < self.blocks, "block {block} of {}", self.blocks);
        // SAFETY: `block` is below `blocks` at every caller (reduced modulo it), so this stays inside the mapping.
        unsafe { self.start.add(block * self.block_bytes) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.is_mapping {
            // SAFETY: what `map` mapped, once; nothing borrowed from it can be alive.
            let result = unsafe { libc::munmap(self.start.as_ptr().cast(), self.block_bytes * self.blocks) };
            debug_assert_eq!(result, 0, "{}", io::Error::last_os_error());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 4096;

    /// A ring over plain memory; the test is the kernel.
    fn ring(memory: &mut [u64], blocks: usize) -> Ring {
        let start = NonNull::new(memory.as_mut_ptr().cast()).unwrap();
        Ring { start, block_bytes: BLOCK, blocks, current: 0, is_mapping: false }
    }

    fn fill(ring: &Ring, block: usize) {
        ring.status(block).store(libc::TP_STATUS_USER | libc::TP_STATUS_BLK_TMO, Ordering::Release);
    }

    #[test]
    fn blocks_are_lent_in_the_order_of_the_ring_and_given_back() {
        let mut memory = vec![0_u64; 3 * BLOCK / 8];
        let mut ring = ring(&mut memory, 3);
        assert_eq!((ring.ready(), ring.take(|_| ())), (0, None));
        for round in 0..4_u8 {
            for block in 0..3 {
                fill(&ring, block);
            }
            assert_eq!(ring.ready(), 3);
            for _ in 0..3 {
                let before = ring.take(|block| {
                    block[BLOCK - 1] += 1;
                    block[BLOCK - 1]
                });
                assert_eq!(before, Some(round + 1));
            }
            assert_eq!(ring.ready(), 0);
        }
    }

    #[test]
    fn a_block_behind_one_that_is_not_filled_waits() {
        let mut memory = vec![0_u64; 2 * BLOCK / 8];
        let mut ring = ring(&mut memory, 2);
        fill(&ring, 1);
        assert_eq!((ring.ready(), ring.take(|_| ())), (0, None));
        fill(&ring, 0);
        assert_eq!(ring.ready(), 2);
    }
}
