//! What a hijacked process would try, in one table.
//!
//! Every action is meant to do no harm should it succeed: numbers and names that are not there, signals of number 0.
//! It counts as refused only with an error that says so; "no such file" would mean that it got as far as looking.

use crate::again::abstract_name;
use crate::alone::{call, exit};
use netmon::privilege::Needs;
use nix::errno::Errno;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

/// How an action that was not refused is printed.
pub const ALLOWED: &str = "allowed";

/// One action.
pub struct Probe {
    pub name: &'static str,
    /// Whether any user may do it without a sandbox, so that the table can be checked there.
    pub ordinary: bool,
    act: fn(&Place) -> Outcome,
}

type Outcome = Result<(), Errno>;

/// Where the actions take place.
pub struct Place {
    /// A directory within reach.
    pub own: PathBuf,
    /// One that is not, with the same files.
    pub outside: PathBuf,
    /// A port to listen on and connect to.
    pub port: u16,
    /// A port of the test above, out of reach.
    listening: u16,
    /// A process of the same user.
    neighbour: usize,
    /// Our network namespace, opened before.
    namespace: OwnedFd,
}

impl Place {
    /// From what the scene says of itself.
    pub fn new(text: &str) -> Self {
        let [port, listening, neighbour, folder] = text.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
        let number = |text: &str| text.parse().unwrap();
        Self {
            own: Path::new(folder).join("own"),
            outside: Path::new(folder).join("outside"),
            port: number(port),
            listening: number(listening),
            neighbour: neighbour.parse().unwrap(),
            namespace: File::open("/proc/self/ns/net").unwrap().into(),
        }
    }

    pub fn needs(&self) -> Needs {
        let ports = vec![self.port];
        Needs { read: vec![], write: vec![self.own.clone()], listen: ports.clone(), connect: ports }
    }

    fn outside(&self, name: &str) -> CString {
        text(&self.outside.join(name))
    }

    fn own(&self, name: &str) -> CString {
        text(&self.own.join(name))
    }
}

impl Probe {
    /// What came of it: [`ALLOWED`], or the name of an error.
    pub fn outcome(&self, place: &Place) -> String {
        (self.act)(place).map_or_else(|error| format!("{error:?}"), |()| ALLOWED.into())
    }
}

/// The outcomes that a run of all probes printed.
pub fn outcomes(output: &str) -> Vec<(String, String)> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("probe ")?.rsplit_once(": "));
    lines.map(|(name, outcome)| (name.to_owned(), outcome.to_owned())).collect()
}

/// Whether an outcome says that the action is not permitted, or that there is no such thing for this process.
pub fn is_refusal(outcome: &str) -> bool {
    ["EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT", "EXDEV"].contains(&outcome)
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn at(text: &CString) -> usize {
    text.as_ptr() as usize
}

fn io(result: io::Result<impl Sized>) -> Outcome {
    result.map(drop).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

fn sys(number: libc::c_long, arguments: &[usize]) -> Outcome {
    call(number, arguments).map(drop)
}

/// A system call that gives a descriptor, which is closed.
fn descriptor(number: libc::c_long, arguments: &[usize]) -> Outcome {
    let descriptor = call(number, arguments)?;
    sys(libc::SYS_close, &[word(descriptor)])
}

/// A system call that may return twice; the second process ends at once.
fn process(number: libc::c_long, arguments: &[usize]) -> Outcome {
    match call(number, arguments)? {
        0 => exit(0),
        child => sys(libc::SYS_wait4, &[word(child), 0, 0, 0]),
    }
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "what the kernel reads from a register")]
fn word(value: i64) -> usize {
    value as usize
}

fn int(value: i32) -> usize {
    word(value.into())
}

fn socket(domain: i32, kind: i32, protocol: i32) -> Outcome {
    descriptor(libc::SYS_socket, &[int(domain), int(kind), int(protocol)])
}

fn read(path: &str) -> Outcome {
    io(File::open(path))
}

/// CLONE_* of one kind of namespace.
fn unshare(flag: i32) -> Outcome {
    sys(libc::SYS_unshare, &[int(flag)])
}

/// -100: paths begin where the process is.
const AT_FDCWD: usize = usize::MAX - 99;
const NEIGHBOURS_MEMORY: usize = 0x1000;

/// Opens a TCP connection with the first data, which is not connect(2).
fn fast_open(port: u16) -> Outcome {
    let socket = call(libc::SYS_socket, &[int(libc::AF_INET), int(libc::SOCK_STREAM), 0])?;
    let [high, low] = port.to_be_bytes();
    let address: [u8; 16] = {
        let family = u16::try_from(libc::AF_INET).unwrap().to_ne_bytes();
        [family[0], family[1], high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    };
    let data = [0_u8];
    let flags = int(libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL);
    let sent = sys(
        libc::SYS_sendto,
        &[word(socket), data.as_ptr() as usize, data.len(), flags, address.as_ptr() as usize, address.len()],
    );
    sys(libc::SYS_close, &[word(socket)])?;
    sent
}

fn abstract_socket(place: &Place) -> Outcome {
    let name = SocketAddr::from_abstract_name(abstract_name(place.listening)).unwrap();
    io(UnixStream::connect_addr(&name))
}

/// A page with the given rights.
fn page(rights: i32) -> Result<usize, Errno> {
    let flags = int(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    call(libc::SYS_mmap, &[0, 4096, int(rights), flags, word(-1), 0]).map(word)
}

fn set_owner(place: &Place) -> Outcome {
    let (one, _other) = UnixStream::pair().unwrap();
    sys(libc::SYS_fcntl, &[int(one.as_raw_fd()), int(libc::F_SETOWN), place.neighbour])
}

/// `io_uring_params`, `clone_args`, `perf_event_attr`, `bpf_attr`, `sigset_t`, ...: whatever the kernel reads or
/// fills in, it fits.
struct Room([u64; 64]);

impl Room {
    fn new() -> Self {
        Self([0; 64])
    }

    fn with(first: u64) -> Self {
        let mut room = Self::new();
        room.0[0] = first;
        room
    }

    fn at(&mut self) -> usize {
        self.0.as_mut_ptr() as usize
    }
}

/// `siginfo_t` of signal 0, sent by a queue.
fn queued_signal() -> Room {
    const SI_QUEUE: u64 = 0xffff_ffff;
    let mut room = Room::new();
    room.0[1] = SI_QUEUE;
    room
}

/// `clone_args`: the exit signal is its fifth word, SIGCHLD.
fn clone3() -> Outcome {
    let mut arguments = Room::new();
    arguments.0[4] = 17;
    process(libc::SYS_clone3, &[arguments.at(), 64])
}

macro_rules! probes {
    ($($(#[$condition:meta])? $ordinary:ident $name:literal: $act:expr;)*) => {
        [$($(#[$condition])? Probe { name: $name, ordinary: probes!(@ $ordinary), act: $act }),*]
    };
    (@ any) => { true };
    (@ root) => { false };
}

/// `any`: every user may without a sandbox. `root`: it takes a privilege, or depends on how the kernel was built.
pub const ALL: &[Probe] = &probes![
    // Files out of reach.
    root "read /etc/shadow": |_| read("/etc/shadow");
    root "list /root": |_| io(fs::read_dir("/root"));
    root "read the environment of init": |_| read("/proc/1/environ");
    root "read the memory of init": |_| read("/proc/1/mem");
    root "write its own memory by file": |_| io(OpenOptions::new().write(true).open("/proc/self/mem"));
    root "change the kernel's settings": |_| io(OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern"));
    any "read /etc/passwd": |_| read("/etc/passwd");
    any "read the command line of init": |_| read("/proc/1/cmdline");
    any "read its own memory map": |_| read("/proc/self/stat");
    any "read below /sys": |_| read("/sys/devices/system/cpu/online");
    any "read random numbers from a device": |_| read("/dev/urandom");
    any "list the root directory": |_| io(fs::read_dir("/"));
    any "read a file of its own user": |p| io(File::open(p.outside.join("file")));
    any "write a file of its own user": |p| io(OpenOptions::new().append(true).open(p.outside.join("file")));
    any "truncate a file": |p| sys(libc::SYS_truncate, &[at(&p.outside("file")), 1]);
    any "make a file": |p| io(File::create(p.outside.join("made")));
    any "make a file for everybody": |_| {
        let path = format!("/tmp/netmon-probe-{}", std::process::id());
        io(File::create(&path).and_then(|_| fs::remove_file(path)))
    };
    any "make a directory": |p| io(fs::create_dir(p.outside.join("made-directory")));
    any "rename within": |p| io(fs::rename(p.outside.join("other"), p.outside.join("renamed")));
    any "move a file out": |p| io(fs::rename(p.own.join("other"), p.outside.join("moved")));
    any "move a file in": |p| io(fs::rename(p.outside.join("incoming"), p.own.join("stolen")));
    any "remove a directory": |p| io(fs::remove_dir(p.outside.join("directory")));
    any "make a hard link": |p| io(fs::hard_link(p.own.join("file"), p.outside.join("linked")));
    any "make a symbolic link": |p| io(std::os::unix::fs::symlink("/etc/passwd", p.outside.join("symbolic")));
    any "make a symbolic link that leads out": |p| io(std::os::unix::fs::symlink("/etc", p.own.join("symbolic")));
    any "make a FIFO": |p| sys(libc::SYS_mknodat, &[AT_FDCWD, at(&p.own("fifo")), 0o010_600, 0]);
    root "make a device": |p| sys(libc::SYS_mknodat, &[AT_FDCWD, at(&p.own("device")), 0o020_600, 0x103]);
    any "change a mode": |p| sys(libc::SYS_fchmodat, &[AT_FDCWD, at(&p.outside("file")), 0o777]);
    any "change an owner": |p| {
        sys(libc::SYS_fchownat, &[AT_FDCWD, at(&p.outside("file")), word(-1), crate::again::NOBODY as usize, 0])
    };
    any "change times": |p| sys(libc::SYS_utimensat, &[AT_FDCWD, at(&p.outside("file")), 0, 0]);
    root "set an attribute": |p| {
        sys(libc::SYS_setxattr, &[at(&p.outside("file")), at(&text(Path::new("user.x"))), at(&p.own("")), 1, 0])
    };
    root "open a file by handle": |_| sys(libc::SYS_open_by_handle_at, &[AT_FDCWD, Room::with(8).at(), 0]);
    any "watch files": |_| descriptor(libc::SYS_inotify_init1, &[0]);
    root "watch all files": |_| descriptor(libc::SYS_fanotify_init, &[0, 0]);
    any "delete a file": |p| io(fs::remove_file(p.outside.join("file")));

    // Programs and code.
    root "execute": |_| sys(libc::SYS_execve, &[at(&text(Path::new("/bin/true"))), 0, 0]);
    root "execute by descriptor": |_| sys(libc::SYS_execveat, &[2, at(&CString::default()), 0, 0, 0x1000]);
    any "make a file in memory, to execute": |_| {
        descriptor(libc::SYS_memfd_create, &[at(&text(Path::new("x"))), 0])
    };
    any "start a program": |_| io(std::process::Command::new("/bin/true").status());
    #[cfg(target_arch = "x86_64")]
    any "fork": |_| process(libc::SYS_fork, &[]);
    any "clone a process": |_| process(libc::SYS_clone, &[int(libc::SIGCHLD), 0, 0, 0, 0]);
    any "clone a process, the new way": |_| clone3();
    any "map memory to execute": |_| page(libc::PROT_READ | libc::PROT_EXEC).map(drop);
    any "make memory executable": |_| {
        let page = page(libc::PROT_READ | libc::PROT_WRITE)?;
        sys(libc::SYS_mprotect, &[page, 4096, int(libc::PROT_READ | libc::PROT_EXEC)])
    };
    any "make memory executable by a key": |_| {
        let page = page(libc::PROT_READ | libc::PROT_WRITE)?;
        sys(libc::SYS_pkey_mprotect, &[page, 4096, int(libc::PROT_READ | libc::PROT_EXEC), word(-1)])
    };
    any "change the personality": |_| sys(libc::SYS_personality, &[0xffff_ffff]);

    // Other processes.
    root "trace": |p| sys(libc::SYS_ptrace, &[0x4206, p.neighbour, 0, 0]);
    root "be traced": |_| sys(libc::SYS_ptrace, &[0, 0, 0, 0]);
    root "read memory": |p| {
        let mut room = Room::new();
        let (at, remote) = (room.at(), [NEIGHBOURS_MEMORY, 8]);
        let local = [at, 8];
        sys(libc::SYS_process_vm_readv, &[p.neighbour, local.as_ptr() as usize, 1, remote.as_ptr() as usize, 1, 0])
    };
    root "write memory": |p| {
        let mut room = Room::new();
        let (at, remote) = (room.at(), [NEIGHBOURS_MEMORY, 8]);
        let local = [at, 8];
        sys(libc::SYS_process_vm_writev, &[p.neighbour, local.as_ptr() as usize, 1, remote.as_ptr() as usize, 1, 0])
    };
    any "signal a process of its user": |p| sys(libc::SYS_kill, &[p.neighbour, 0]);
    any "signal a thread of its user": |p| sys(libc::SYS_tgkill, &[p.neighbour, p.neighbour, 0]);
    any "signal a thread, the old way": |p| sys(libc::SYS_tkill, &[p.neighbour, 0]);
    any "queue a signal": |p| sys(libc::SYS_rt_sigqueueinfo, &[p.neighbour, 0, queued_signal().at()]);
    any "queue a signal to a thread": |p| {
        sys(libc::SYS_rt_tgsigqueueinfo, &[p.neighbour, p.neighbour, 0, queued_signal().at()])
    };
    any "signal all": |_| sys(libc::SYS_kill, &[word(-1), 0]);
    any "signal its group": |_| sys(libc::SYS_kill, &[0, 0]);
    root "signal its parent": |_| sys(libc::SYS_kill, &[int(nix::unistd::getppid().as_raw()), 0]);
    any "have signals sent": set_owner;
    any "open a process": |p| descriptor(libc::SYS_pidfd_open, &[p.neighbour, 0]);
    root "take a descriptor": |_| descriptor(libc::SYS_pidfd_getfd, &[0, 0, 0]);
    any "limit a process": |p| sys(libc::SYS_prlimit64, &[p.neighbour, 7, 0, Room::new().at()]);
    any "limit itself": |_| {
        let mut limit = Room::new();
        limit.0[..2].copy_from_slice(&[100, 100]);
        sys(libc::SYS_prlimit64, &[0, int(libc::RLIMIT_SIGPENDING.cast_signed()), limit.at(), 0])
    };
    any "slow a process down": |p| sys(libc::SYS_setpriority, &[0, p.neighbour, 1]);
    any "bind a process to a processor": |p| {
        sys(libc::SYS_sched_setaffinity, &[p.neighbour, 8, Room::with(u64::MAX).at()])
    };
    root "compare processes": |p| sys(libc::SYS_kcmp, &[p.neighbour, p.neighbour, 0, 0, 0]);
    any "leave its session": |_| sys(libc::SYS_setpgid, &[0, 0]);

    // Privileges back.
    root "become root": |_| sys(libc::SYS_setuid, &[0]);
    root "become root for a while": |_| sys(libc::SYS_setresuid, &[word(-1), 0, word(-1)]);
    root "join root's group": |_| sys(libc::SYS_setgid, &[0]);
    root "join root's group for a while": |_| sys(libc::SYS_setresgid, &[word(-1), 0, word(-1)]);
    root "join groups": |_| sys(libc::SYS_setgroups, &[1, Room::new().at()]);
    root "be root to file systems": |_| sys(libc::SYS_setfsuid, &[0]);
    root "take capabilities": |_| {
        let mut header = Room::with(0x2008_0522);
        let mut sets = Room::with(u64::from(u32::MAX) << 32 | u64::from(u32::MAX));
        sys(libc::SYS_capset, &[header.at(), sets.at()])
    };
    root "take an ambient capability": |_| sys(libc::SYS_prctl, &[47, 2, 13, 0, 0]);
    root "change what root means": |_| sys(libc::SYS_prctl, &[28, 0, 0, 0, 0]);
    any "keep capabilities": |_| sys(libc::SYS_prctl, &[8, 1, 0, 0, 0]);
    any "let itself be dumped": |_| sys(libc::SYS_prctl, &[4, 1, 0, 0, 0]);
    any "ask for another sandbox": |_| sys(libc::SYS_landlock_create_ruleset, &[0, 0, 1]);
    root "filter system calls anew": |_| sys(libc::SYS_seccomp, &[1, 0, 0]);

    // Namespaces and file systems.
    root "leave the namespace of users": |_| unshare(libc::CLONE_NEWUSER);
    root "leave the namespace of mounts": |_| unshare(libc::CLONE_NEWNS);
    root "leave the namespace of networks": |_| unshare(libc::CLONE_NEWNET);
    root "leave the namespace of processes": |_| unshare(libc::CLONE_NEWPID);
    root "leave the namespace of names": |_| unshare(libc::CLONE_NEWUTS);
    root "leave the namespace of queues": |_| unshare(libc::CLONE_NEWIPC);
    root "leave the namespace of groups": |_| unshare(libc::CLONE_NEWCGROUP);
    root "leave the namespace of times": |_| unshare(0x80);
    root "clone into a namespace of users": |_| {
        process(libc::SYS_clone, &[int(libc::CLONE_NEWUSER | libc::SIGCHLD), 0, 0, 0, 0])
    };
    root "enter a namespace": |p| sys(libc::SYS_setns, &[int(p.namespace.as_raw_fd()), 0]);
    root "mount": |p| {
        let (tmpfs, at_own) = (text(Path::new("tmpfs")), p.own("directory"));
        sys(libc::SYS_mount, &[at(&tmpfs), at(&at_own), at(&tmpfs), 0, 0])
    };
    root "unmount": |_| sys(libc::SYS_umount2, &[at(&text(Path::new("/no/such/mount"))), 0]);
    root "make a file system": |_| descriptor(libc::SYS_fsopen, &[at(&text(Path::new("tmpfs"))), 0]);
    root "move a mount": |_| sys(libc::SYS_move_mount, &[AT_FDCWD, 0, AT_FDCWD, 0, 0]);
    root "copy a mount": |_| descriptor(libc::SYS_open_tree, &[AT_FDCWD, at(&text(Path::new("/"))), 1]);
    root "change the root": |p| sys(libc::SYS_chroot, &[at(&p.own(""))]);
    root "swap the root": |p| sys(libc::SYS_pivot_root, &[at(&p.own("")), at(&p.own("directory"))]);

    // The kernel.
    root "load a program": |_| sys(libc::SYS_bpf, &[5, Room::new().at(), 128]);
    root "make a map": |_| {
        let mut map = Room::with(4 << 32 | 2);
        map.0[1] = 1 << 32 | 4;
        descriptor(libc::SYS_bpf, &[0, map.at(), 128])
    };
    root "count events": |_| {
        descriptor(libc::SYS_perf_event_open, &[Room::with(112 << 32 | 1).at(), 0, word(-1), word(-1), 0])
    };
    root "handle page faults": |_| descriptor(libc::SYS_userfaultfd, &[0]);
    root "set up io_uring": |_| descriptor(libc::SYS_io_uring_setup, &[1, Room::new().at()]);
    root "enter io_uring": |_| sys(libc::SYS_io_uring_enter, &[0, 0, 0, 0, 0, 0]);
    any "use keys": |_| sys(libc::SYS_keyctl, &[0, word(-3), 1]);
    any "add a key": |_| {
        let (kind, name) = (text(Path::new("user")), text(Path::new("netmon-probe")));
        sys(libc::SYS_add_key, &[at(&kind), at(&name), at(&name), 1, word(-2)])
    };
    root "ask for a key": |_| sys(libc::SYS_request_key, &[0, 0, 0, 0]);
    root "load a module": |_| sys(libc::SYS_init_module, &[0, 0, 0]);
    root "load a module from a file": |_| sys(libc::SYS_finit_module, &[0, 0, 0]);
    root "remove a module": |_| sys(libc::SYS_delete_module, &[at(&text(Path::new("no_such_module"))), 0]);
    root "load a kernel": |_| sys(libc::SYS_kexec_load, &[0, 0, 0, 0]);
    root "restart": |_| sys(libc::SYS_reboot, &[0, 0, 0, 0]);
    root "swap": |_| sys(libc::SYS_swapon, &[at(&text(Path::new("/no/such/file"))), 0]);
    root "stop swapping": |_| sys(libc::SYS_swapoff, &[at(&text(Path::new("/no/such/file")))]);
    root "name the host": |_| sys(libc::SYS_sethostname, &[0, 65]);
    root "name the domain": |_| sys(libc::SYS_setdomainname, &[0, 65]);
    root "set the time of day": |_| sys(libc::SYS_settimeofday, &[Room::with(u64::MAX).at(), 0]);
    root "set a clock": |_| sys(libc::SYS_clock_settime, &[0, Room::with(u64::MAX).at()]);
    any "read how the clock is adjusted": |_| sys(libc::SYS_adjtimex, &[Room::new().at()]);
    root "adjust a clock": |_| sys(libc::SYS_clock_adjtime, &[0, Room::with(0x8000).at()]);
    root "account for processes": |_| sys(libc::SYS_acct, &[at(&text(Path::new("/no/such/file")))]);
    root "read the kernel's log": |_| sys(libc::SYS_syslog, &[3, Room::new().at(), 8]);
    root "hang up": |_| sys(libc::SYS_vhangup, &[]);
    #[cfg(target_arch = "x86_64")]
    root "use ports of devices": |_| sys(libc::SYS_iopl, &[3]);
    #[cfg(target_arch = "x86_64")]
    root "use a port of a device": |_| sys(libc::SYS_ioperm, &[0x80, 1, 1]);
    #[cfg(target_arch = "x86_64")]
    root "change segments": |_| sys(libc::SYS_modify_ldt, &[0, Room::new().at(), 8]);
    any "share memory": |_| {
        let segment = call(libc::SYS_shmget, &[0, 4096, 0o1600])?;
        sys(libc::SYS_shmctl, &[word(segment), 0, 0])
    };
    root "make a message queue": |_| descriptor(libc::SYS_mq_open, &[at(&text(Path::new("probe"))), 0o100, 0o600, 0]);
    root "type into a terminal": |_| sys(libc::SYS_ioctl, &[2, 0x5412, Room::new().at()]);

    // The network.
    root "open a packet socket": |_| socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
    root "open a packet socket without link headers": |_| socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0);
    root "open a raw socket": |_| socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP);
    root "open a raw socket of IPv6": |_| socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6);
    root "open an SCTP socket": |_| socket(libc::AF_INET, libc::SOCK_STREAM, 132);
    root "open an MPTCP socket": |_| socket(libc::AF_INET, libc::SOCK_STREAM, 262);
    any "talk to the kernel about events": |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, 15);
    root "talk to the kernel about filters": |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, 12);
    root "open a socket to the host": |_| socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0);
    root "open a socket for ciphers": |_| socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0);
    root "open a Bluetooth socket": |_| socket(libc::AF_BLUETOOTH, libc::SOCK_RAW, 1);
    root "open an XDP socket": |_| socket(libc::AF_XDP, libc::SOCK_RAW, 0);
    root "open a TIPC socket": |_| socket(libc::AF_TIPC, libc::SOCK_STREAM, 0);
    root "open a socket for keys": |_| socket(libc::AF_KEY, libc::SOCK_RAW, 2);
    root "open an RDS socket": |_| socket(libc::AF_RDS, libc::SOCK_SEQPACKET, 0);
    any "listen elsewhere": |_| io(TcpListener::bind("127.0.0.1:0"));
    any "listen elsewhere on IPv6 or IPv4": |_| io(TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")));
    root "listen on a privileged port": |_| io(TcpListener::bind("127.0.0.1:1"));
    any "connect elsewhere": |p| io(TcpStream::connect(("127.0.0.1", p.listening)));
    any "connect elsewhere while sending": |p| fast_open(p.listening);
    any "connect to an abstract socket": abstract_socket;
];
