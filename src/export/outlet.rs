//! The way to one collector or file: a bounded queue and a thread.

use super::counts::{Counts, Loss};
use super::{Flow, Pressure};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// When everything has to be over; nothing while it goes on. All clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending(Arc<OnceLock<Instant>>);

impl Ending {
    /// From now on no outlet may take longer than `patience`.
    pub(super) fn begin(&self, patience: Duration) {
        let _ = self.0.set(now() + patience);
    }

    /// Whether the time is over.
    pub(super) fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// The time that is left; `None` while there is no end in sight.
    fn left(&self) -> Option<Duration> {
        self.0.get().map(|end| end.saturating_duration_since(now()))
    }

    /// Waits for `time`, or until the end is over if that comes first.
    pub(super) fn sleep(&self, time: Duration) {
        let until = now() + time;
        loop {
            let left = until.saturating_duration_since(now());
            if left.is_zero() || self.is_over() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock of exports: intervals of sending and the end of it")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// What comes out of a queue.
pub(super) enum Next {
    Flow(Flow),
    /// Nothing for as long as was asked for.
    Quiet,
    /// Nothing will come any more, or there is no time for it.
    End,
}

/// The worker's end of a queue.
pub(super) struct Inbox {
    flows: Receiver<Flow>,
    pub(super) ending: Ending,
}

impl Inbox {
    pub(super) fn next(&self, patience: Duration) -> Next {
        if self.ending.is_over() {
            return Next::End;
        }
        match self.flows.recv_timeout(patience) {
            Ok(flow) => Next::Flow(flow),
            Err(RecvTimeoutError::Timeout) => Next::Quiet,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    /// How many flows are left that nobody will send.
    pub(super) fn abandon(&self) -> u64 {
        self.flows.try_iter().count() as u64
    }
}

/// A queue with its thread.
#[derive(Debug)]
pub(super) struct Outlet {
    flows: Sender<Flow>,
    pressure: Pressure,
    counts: Arc<Counts>,
    thread: JoinHandle<Option<String>>,
}

impl Outlet {
    /// Starts `work`, which takes flows until the end and gives what went wrong for good.
    pub(super) fn start(
        name: &str,
        queue: usize,
        pressure: Pressure,
        ending: &Ending,
        work: impl FnOnce(Inbox, Arc<Counts>) -> Option<String> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (flows, inbox) = bounded(queue);
        let counts = Arc::new(Counts::default());
        let (inbox, of_work) = (Inbox { flows: inbox, ending: ending.clone() }, Arc::clone(&counts));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(inbox, of_work))?;
        Ok(Self { flows, pressure, counts, thread })
    }

    pub(super) fn offer(&self, flow: &Flow) {
        let is_taken = match self.pressure {
            Pressure::Wait => self.flows.send(flow.clone()).is_ok(),
            Pressure::Drop => self.flows.try_send(flow.clone()).is_ok(),
        };
        if !is_taken {
            self.counts.lost(Loss::QueueFull, 1);
        }
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Waits for the thread until the end is over and a little longer; one that the system holds is left behind.
    pub(super) fn close(self, ending: &Ending) -> Option<String> {
        drop(self.flows);
        while !self.thread.is_finished() {
            if ending.is_over() {
                std::thread::sleep(GRACE);
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if !self.thread.is_finished() {
            return Some("an export did not end in time: the system holds it".to_owned());
        }
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// What a thread gets to notice that the time is over.
const GRACE: Duration = Duration::from_millis(200);
