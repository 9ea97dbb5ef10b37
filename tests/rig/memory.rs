//! A memory control group (version 1), removed at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const ROOT: &str = "/sys/fs/cgroup/memory";

/// A group with a limit. Needs root.
pub struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// Makes one of `limit` bytes; says that a test is skipped on a machine without version 1 of the memory controller.
    pub fn new(limit: u64) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !Path::new(ROOT).join("memory.limit_in_bytes").exists() {
            eprintln!("skipped: there is no memory controller (version 1) at {ROOT}");
            return None;
        }
        let name = format!("netmon-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let group = Self(Path::new(ROOT).join(name));
        std::fs::create_dir(&group.0).expect("root makes groups");
        group.write("memory.limit_in_bytes", &limit.to_string());
        Some(group)
    }

    /// `command` inside.
    pub fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        inside.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs"));
        inside.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        inside
    }

    /// The most bytes that were in use.
    pub fn peak(&self) -> u64 {
        self.read("memory.max_usage_in_bytes").trim().parse().expect("it is a number")
    }

    /// Processes that the kernel killed for want of memory.
    pub fn kills(&self) -> u64 {
        let text = self.read("memory.oom_control");
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.expect("the kernel counts them").parse().expect("it is a number")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).expect("a file of the group")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("a file of the group");
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
