//! The capture thread of one interface: adapter, dealer and shard in one loop.

use super::wall_clock;
use crate::capture::{self, Adapter, CaptureError, PcapAdapter, Poll, Statistics, interfaces};
use crate::http::Heartbeat;
use crate::packet::InterfaceId;
use crate::pipeline::{Dealer, Publisher};
use crate::stats::{Capture, DropStage};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait for frames; a stop or a tick is noticed within it.
const WAIT: Duration = Duration::from_millis(50);
/// How often statistics are read, under load too.
const STATISTICS: Duration = Duration::from_secs(1);
/// How far an idle clock stays behind the wall clock: frames may wait that long in the kernel's buffer.
const BEHIND: u64 = NANOS_PER_SECOND / 5;

/// One interface and its handle.
pub(super) struct Live {
    name: String,
    id: InterfaceId,
    /// `None` while the interface is gone.
    adapter: Option<PcapAdapter>,
    config: capture::Config,
    publisher: Publisher,
    stop: Arc<AtomicBool>,
    restarts: u64,
    reported: Statistics,
    lag: Option<Duration>,
}

impl Live {
    pub(super) fn new(
        name: &str,
        adapter: PcapAdapter,
        config: capture::Config,
        publisher: Publisher,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let id = adapter.interfaces().first().map_or(InterfaceId(0), |interface| interface.id);
        let (restarts, reported) = (0, Statistics::default());
        Self { name: name.into(), id, adapter: Some(adapter), config, publisher, stop, restarts, reported, lag: None }
    }

    /// Captures until told to stop, then ends all flows.
    #[expect(clippy::disallowed_methods, reason = "reads statistics by the monotonic clock")]
    pub(super) fn run(mut self, mut dealer: Dealer, heartbeat: &Heartbeat) {
        let mut due = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            heartbeat.beat();
            self.poll(&mut dealer);
            if Instant::now() >= due {
                due = Instant::now() + STATISTICS;
                self.report(&mut dealer);
            }
        }
        self.report(&mut dealer);
        if let Some(shard) = dealer.shard() {
            shard.shutdown();
        }
        dealer.finish();
    }

    /// Takes what is there, or lets time pass.
    fn poll(&mut self, dealer: &mut Dealer) {
        let Some(adapter) = &mut self.adapter else {
            std::thread::sleep(WAIT);
            return dealer.idle(behind(wall_clock()));
        };
        match adapter.poll(WAIT, dealer) {
            Ok(Poll::Frames) => {
                if let Some(first) = dealer.take_oldest() {
                    let lag = Duration::from_nanos(wall_clock().nanos_since(first));
                    self.lag = self.lag.max(Some(lag));
                }
            }
            Ok(Poll::Idle) => dealer.idle(behind(wall_clock())),
            Ok(Poll::End) => self.lose(&CaptureError::InterfaceGone { interface: self.name.clone() }),
            Err(error) => self.lose(&error),
        }
    }

    fn lose(&mut self, error: &CaptureError) {
        tracing::warn!(interface = self.name, error = %error, "capture stopped; trying again every second");
        self.adapter = None;
        self.reported = Statistics::default();
    }

    /// Once a second: losses to the shard, state to the collector; a lost interface is opened again when it is back.
    fn report(&mut self, dealer: &mut Dealer) {
        if self.adapter.is_none()
            && let Ok(adapter) = PcapAdapter::open(&self.name, self.id, &self.config)
        {
            tracing::info!(interface = self.name, "capturing again");
            self.restarts += 1;
            self.adapter = Some(adapter);
        }
        let statistics = match self.adapter.as_mut().map(Adapter::statistics) {
            Some(Ok(statistics)) => statistics,
            Some(Err(error)) => {
                self.lose(&error);
                None
            }
            None => None,
        };
        if let (Some(now), Some(shard)) = (statistics, dealer.shard()) {
            shard.dropped(self.id, DropStage::Kernel, now.kernel_dropped.saturating_sub(self.reported.kernel_dropped));
            let interface_dropped = now.interface_dropped.saturating_sub(self.reported.interface_dropped);
            shard.dropped(self.id, DropStage::Interface, interface_dropped);
            self.reported = now;
        }
        let state = self.state();
        self.publisher.capture(self.id, state);
    }

    fn state(&mut self) -> Capture {
        let link = interfaces::link(&self.name);
        let info = self.adapter.as_ref().and_then(|adapter| adapter.interfaces().first());
        let linktype = info.and_then(|info| info.linktypes.first().copied());
        Capture {
            loopback: info.is_some_and(|info| info.perspective.loopback),
            up: self.adapter.is_some(),
            backend: "libpcap",
            linktype,
            restarts: self.restarts,
            filtered: self.config.bpf.is_some(),
            // Nothing handled since the last report is nothing waiting.
            lag: Some(self.lag.take().unwrap_or_default()),
            link_up: link.up,
            speed: link.speed,
            kernel: interfaces::kernel_counters(&self.name),
            ..Capture::default()
        }
    }
}

/// Where an idle clock may stand.
fn behind(wall: Timestamp) -> Timestamp {
    Timestamp::from_nanos(wall.as_nanos().saturating_sub(BEHIND))
}
