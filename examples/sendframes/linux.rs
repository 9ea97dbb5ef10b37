//! A packet socket that bypasses the queueing discipline, filled in batches.

use super::frames::{Frame, Profile, Source};
use anyhow::{Context, ensure};
use clap::Parser;
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, setsockopt, socket, sockopt,
};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Send frames out of an interface and print how many as JSON.
#[derive(Parser)]
struct Options {
    /// Where they go out.
    #[arg(short, long)]
    interface: String,
    /// What they are.
    #[arg(long, value_enum, default_value_t = Profile::Min64)]
    profile: Profile,
    /// Conversations of the profiles min64 and vlan [default: 10000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    flows: Option<u32>,
    /// Frames to send; without it and --seconds it goes on until it is interrupted.
    #[arg(long)]
    count: Option<u64>,
    /// How long to send, whatever --count says.
    #[arg(long)]
    seconds: Option<f64>,
    /// Frames a second; without it as fast as possible.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Another one gives another order of the same kind of frames.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The processor to stay on.
    #[arg(long)]
    cpu: Option<usize>,
}

/// Frames handed to the kernel at a time.
const BATCH: usize = 64;
/// How long a refused frame waits when there is a rate to keep.
const REFUSED: Duration = Duration::from_millis(1);
/// The most that a sender may lag behind its rate.
const MOST_BEHIND: Duration = Duration::from_millis(10);
/// Memory for frames that the device has not taken yet.
const BUFFER: usize = 16 << 20;

#[derive(Clone)]
struct QdiscBypass;
nix::setsockopt_impl!(QdiscBypass, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, bool, sockopt::SetBool);

pub fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    ensure!(
        options.flows.is_none() || options.profile.has_flows(),
        "--flows is for the profiles min64 and vlan; the others never use a 5-tuple twice"
    );
    if let Some(cpu) = options.cpu {
        pin(cpu).with_context(|| format!("cannot stay on processor {cpu}"))?;
    }
    let socket = open(&options.interface)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut sender = Sender::new(&options, socket);
    let ended = sender.run(&options, &stop);
    println!("{}", sender.report(&options));
    ended.with_context(|| format!("sending on `{}` stopped", options.interface))
}

fn pin(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// A packet socket that receives nothing.
fn open(interface: &str) -> anyhow::Result<OwnedFd> {
    let name = |context: &str| format!("{context} `{interface}`");
    let mut addresses = nix::ifaddrs::getifaddrs().context("cannot list the interfaces")?;
    let address = addresses.find_map(|entry| {
        let own = entry.interface_name == interface;
        own.then_some(entry.address)?.and_then(|address| address.as_link_addr().copied())
    });
    let address: LinkAddr = address.with_context(|| name("there is no interface"))?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None);
    let socket = socket.with_context(|| name("cannot open a packet socket for"))?;
    bind(socket.as_raw_fd(), &address).with_context(|| name("cannot bind to"))?;
    setsockopt(&socket, QdiscBypass, &true).with_context(|| name("cannot bypass the queueing discipline of"))?;
    // Needs CAP_NET_ADMIN; what there is by default is enough for a veth pair.
    let _ = setsockopt(&socket, sockopt::SndBufForce, &BUFFER);
    Ok(socket)
}

struct Sender {
    socket: OwnedFd,
    source: Source,
    headers: MultiHeaders<()>,
    began: Instant,
    sent: u64,
    tcp: u64,
    bytes: u64,
    refused: u64,
}

impl Sender {
    #[expect(clippy::disallowed_methods, reason = "measures how long sending takes")]
    fn new(options: &Options, socket: OwnedFd) -> Self {
        let source = Source::new(options.profile, options.flows.unwrap_or(10_000), options.seed);
        let headers = MultiHeaders::preallocate(BATCH, None);
        Self { socket, source, headers, began: Instant::now(), sent: 0, tcp: 0, bytes: 0, refused: 0 }
    }

    /// Sends until all is sent, time is up or `stop` is set.
    fn run(&mut self, options: &Options, stop: &AtomicBool) -> nix::Result<()> {
        let mut pace = options.rate.map(|rate| Pace::new(rate, self.began));
        let batch = pace.as_ref().map_or(BATCH, |pace| pace.batch);
        let mut frames = [Frame::EMPTY; BATCH];
        loop {
            let left = options.count.map_or(u64::MAX, |count| count - self.sent);
            let frames = &mut frames[..batch.min(usize::try_from(left).unwrap_or(usize::MAX))];
            frames.iter_mut().for_each(|frame| self.source.fill(frame));
            let mut waiting = &frames[..];
            while !waiting.is_empty() && !self.is_over(options, stop) {
                let sent = self.send(waiting)?;
                waiting = &waiting[sent..];
                match &mut pace {
                    Some(_) if sent == 0 => std::thread::sleep(REFUSED),
                    Some(pace) => pace.sent(sent),
                    None => {}
                }
            }
            if frames.is_empty() || !waiting.is_empty() {
                return Ok(());
            }
        }
    }

    fn is_over(&self, options: &Options, stop: &AtomicBool) -> bool {
        stop.load(Ordering::Relaxed) || options.seconds.is_some_and(|most| self.began.elapsed().as_secs_f64() >= most)
    }

    /// How many of `frames` the device took; none when it refused.
    fn send(&mut self, frames: &[Frame]) -> nix::Result<usize> {
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            std::array::from_fn(|n| [IoSlice::new(frames.get(n).map_or(&[], Frame::bytes))]);
        let slices = &slices[..frames.len()];
        let sent = sendmmsg(self.socket.as_raw_fd(), &mut self.headers, slices, [None; BATCH], [], MsgFlags::empty());
        let sent = match sent {
            // The results are one for each frame that was taken.
            Ok(results) => results.count(),
            Err(Errno::ENOBUFS | Errno::ENETDOWN | Errno::EAGAIN | Errno::EINTR) => {
                self.refused += 1;
                0
            }
            Err(error) => return Err(error),
        };
        for frame in &frames[..sent] {
            self.tcp += u64::from(frame.is_tcp());
            self.bytes += frame.bytes().len() as u64;
        }
        self.sent += sent as u64;
        Ok(sent)
    }

    fn report(&self, options: &Options) -> Value {
        let seconds = self.began.elapsed().as_secs_f64();
        json!({
            "interface": options.interface,
            "frames": self.sent,
            "bytes": self.bytes,
            "tcp_frames": self.tcp,
            "udp_frames": self.sent - self.tcp,
            "refused": self.refused,
            "seconds": seconds,
            "frames_per_second": self.sent as f64 / seconds,
        })
    }
}

/// When the next frames are due.
struct Pace {
    interval: Duration,
    batch: usize,
    due: Instant,
}

impl Pace {
    /// `rate` frames a second, as many at a time as are due within a millisecond.
    fn new(rate: u64, began: Instant) -> Self {
        let batch = usize::try_from(rate / 1000).unwrap_or(BATCH).clamp(1, BATCH);
        Self { interval: Duration::from_secs(1).div_f64(rate as f64), batch, due: began }
    }

    /// Waits until the next frames are due. What could not be sent in its time is not made up for in a burst.
    #[expect(clippy::disallowed_methods, reason = "keeps a rate")]
    fn sent(&mut self, frames: usize) {
        let now = Instant::now();
        self.due = (self.due + self.interval * frames as u32).max(now.checked_sub(MOST_BEHIND).unwrap_or(now));
        std::thread::sleep(self.due.saturating_duration_since(now));
    }
}
