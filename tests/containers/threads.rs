//! What the kernel says of the threads in a container, read from the host.

/// `status` of one thread, proc_pid_status(5).
#[derive(Debug)]
pub struct Thread(String);

impl Thread {
    /// Those of a process.
    pub fn all(process: u32) -> Vec<Self> {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
        let read = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status"));
        tasks.map(|task| Self(task.and_then(read).expect("it can be read"))).collect()
    }

    /// A field without its name.
    pub fn field(&self, name: &str) -> &str {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(field, _)| *field == name).unwrap_or_else(|| panic!("no {name}")).1.trim()
    }
}

/// Asserts that every thread is the image's user and nobody else, without any capability, `bounding` aside, under
/// no_new_privs and seccomp.
pub fn assert_confined(process: u32, bounding: &str) {
    let threads = Thread::all(process);
    assert!(threads.len() >= 6, "{} threads", threads.len());
    for thread in &threads {
        for ids in ["Uid", "Gid"] {
            assert_eq!(thread.field(ids).split_whitespace().collect::<Vec<_>>(), ["65532"; 4], "{thread:?}");
        }
        // The runtime names the user's own group once more.
        assert!(["", "65532"].contains(&thread.field("Groups")), "{thread:?}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(thread.field(set), "0000000000000000", "{set} of {thread:?}");
        }
        assert_eq!(thread.field("CapBnd"), bounding, "{thread:?}");
        assert_eq!((thread.field("NoNewPrivs"), thread.field("Seccomp")), ("1", "2"), "{thread:?}");
    }
}
