//! What /proc says of a process.

use std::time::Duration;

/// A process, by its id.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// Open descriptors that stay open: the least of what is seen in a while, since connections of a moment ago may not be
    /// closed yet.
    pub fn descriptors(self) -> usize {
        let look = |_| {
            std::thread::sleep(Duration::from_millis(20));
            self.entries("fd")
        };
        (0..10).map(look).min().unwrap_or_default()
    }

    /// Threads.
    pub fn threads(self) -> usize {
        self.entries("task")
    }

    /// Processor time of all its threads, in user and kernel mode, in steps of 10 ms.
    pub fn cpu(self) -> Duration {
        // The unit of these fields is fixed at 100 a second on every Linux that netmon runs on.
        const TICK: Duration = Duration::from_millis(10);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).expect("it runs");
        // The name in parentheses may hold anything; utime and stime are the 14th and 15th field of all.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u32 = fields[11..13].iter().map(|field| field.parse::<u32>().expect("it is a number")).sum();
        TICK * ticks
    }

    fn entries(self, directory: &str) -> usize {
        std::fs::read_dir(format!("/proc/{}/{directory}", self.0)).expect("it runs").count()
    }
}
