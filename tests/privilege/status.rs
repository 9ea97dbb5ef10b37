//! What the kernel says of threads.

use crate::again::NOBODY;

/// `status` of one thread, proc_pid_status(5).
#[derive(Debug)]
pub struct Thread(String);

impl Thread {
    /// Those of a process.
    pub fn all(process: &str) -> Vec<Self> {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        tasks.map(|task| Self(std::fs::read_to_string(task.unwrap().path().join("status")).unwrap())).collect()
    }

    /// A field without its name.
    pub fn field(&self, name: &str) -> &str {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(field, _)| *field == name).unwrap().1.trim()
    }
}

/// Asserts for each of at least six threads: an ordinary user and group four times, `capabilities` permitted and
/// effective, no other capability, no_new_privs, and the given seccomp mode.
pub fn assert_confined(threads: &[Thread], capabilities: &str, seccomp: u8) {
    assert!(threads.len() >= 6, "{} threads", threads.len());
    for thread in threads {
        for ids in ["Uid", "Gid"] {
            let ids: Vec<u32> = thread.field(ids).split_whitespace().map(|id| id.parse().unwrap()).collect();
            assert_eq!(ids, [NOBODY; 4], "{thread:?}");
        }
        for (set, expected) in
            [("CapInh", crate::NONE), ("CapAmb", crate::NONE), ("CapPrm", capabilities), ("CapEff", capabilities)]
        {
            assert_eq!(thread.field(set), expected, "{set} of {thread:?}");
        }
        assert_eq!(thread.field("NoNewPrivs"), "1", "{thread:?}");
        assert_eq!(thread.field("Seccomp"), seccomp.to_string(), "{thread:?}");
    }
}
