//! Sends frames out of an interface, as fast as one core can or at a steady rate, and prints how many as JSON.
//!
//! For interfaces of test namespaces: it floods what it is given. Frames have the least size, IPv4 with TCP or UDP, and
//! MAC addresses of nobody, so that the kernel at the far end drops them behind the taps and answers none. The same
//! options make the same frames. Linux, with the capability CAP_NET_RAW.
//!
//! A frame that the device refuses (its link is down, its queue is full) is tried again, and not sent faster later to
//! catch up. SIGINT and SIGTERM end it early with what was sent so far; a device that is gone ends it with exit 1.
//!
//! `sendframes --interface g0 --profile min64 --flows 100000 --count 10000000 --cpu 0`
#![expect(clippy::cast_possible_truncation, reason = "frames are made of the low bits of larger numbers")]

#[cfg(target_os = "linux")]
mod frames;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!("packet sockets are a thing of Linux")
}
