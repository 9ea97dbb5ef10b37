//! The list of system calls.

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// What depends on the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// New packet sockets.
    pub(super) packet_sockets: bool,
    /// New sockets for TCP and UDP.
    pub(super) internet: bool,
    /// Listening on them. A socket that listens without a bound port gets a free one, which Landlock does not see.
    pub(super) listening: bool,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters in the order in which they are installed. The kernel asks the last one first, and of several that refuse
/// the first to be asked chooses the error.
pub(super) fn filters(allowance: Allowance) -> Result<[BpfProgram; 3], BackendError> {
    use SeccompAction::{Allow, Errno};
    let filter = |rules, otherwise, found| SeccompFilter::new(rules, otherwise, found, ARCH)?.try_into();
    Ok([
        filter(allowed(allowance)?, Errno(libc::EPERM.unsigned_abs()), Allow)?,
        filter(no_such_family()?, Allow, Errno(libc::EAFNOSUPPORT.unsigned_abs()))?,
        filter(no_such_call(), Allow, Errno(libc::ENOSYS.unsigned_abs()))?,
    ])
}

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

/// Allowed with any arguments. Paths are Landlock's business, addresses too.
const ALWAYS: &[c_long] = &[
    // Reading, writing, waiting.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_signalfd4,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    // Files. No modes, owners, times, links or attributes by path; a descriptor's mode can be set.
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_fadvise64,
    libc::SYS_flock,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_fchmod,
    libc::SYS_umask,
    // Memory; what maps it is below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // Threads; what makes them is below.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals; what sends them is below.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // What the process is and uses.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_capget,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Sockets; what makes them and what listens is below.
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // For the two filters that come after this one, of which the last takes it away.
    libc::SYS_seccomp,
];

/// Older forms of the above, which newer architectures never had.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_pipe,
    libc::SYS_dup2,
    libc::SYS_time,
];
#[cfg(target_arch = "aarch64")]
const OLDER: &[c_long] = &[];

/// Allowed prctl(2): the names of threads and of memory, and what the kernel says of the process.
const PRCTL: [i32; 8] = [
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_SET_VMA,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_GET_DUMPABLE,
    libc::PR_GET_SECCOMP,
    libc::PR_CAPBSET_READ,
];

/// Allowed fcntl(2). Not among them: F_SETOWN, which makes the kernel send signals to others.
const FCNTL: [i32; 13] = [
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_GETPIPE_SZ,
];

/// Allowed ioctl(2): waiting or not, whether it is a terminal and how wide, and what interfaces are. Not among them:
/// TIOCSTI and TIOCLINUX, which type into a terminal.
///
/// By number, because the C libraries disagree on their type.
const IOCTL: [u64; 16] = [
    0x5421, // FIONBIO
    0x541b, // FIONREAD
    0x5451, // FIOCLEX
    0x5401, // TCGETS
    0x5413, // TIOCGWINSZ
    0x8910, // SIOCGIFNAME
    0x8912, // SIOCGIFCONF
    0x8913, // SIOCGIFFLAGS
    0x8915, // SIOCGIFADDR
    0x8921, // SIOCGIFMTU
    0x8927, // SIOCGIFHWADDR
    0x8933, // SIOCGIFINDEX
    0x8946, // SIOCETHTOOL
    0x8b01, // SIOCGIWNAME: libpcap asks whether an interface is wireless
    0x8b15, // SIOCGIWAP: and connected
    0x8906, // SIOCGSTAMP
];

/// The bits of a socket's type that are not flags.
const SOCK_TYPE_MASK: u64 = 0xf;

/// All that is allowed.
fn allowed(allowance: Allowance) -> Result<Rules, BackendError> {
    let mut rules: Rules = ALWAYS.iter().chain(OLDER).map(|&call| (number(call), Vec::new())).collect();
    let own = u64::from(std::process::id());
    let executable = word(libc::PROT_EXEC);
    let thread = word(libc::CLONE_THREAD);
    let apart = word(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET)
        | word(libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP | libc::CLONE_VFORK);
    let fast_open = word(libc::MSG_FASTOPEN);
    let conditional = [
        // No new code: what runs is what was mapped at the start. (A library that glibc loads on demand to resolve
        // names is not loaded then, and it goes on to the next one.)
        (libc::SYS_mmap, vec![vec![masked(2, executable, 0)?]]),
        (libc::SYS_mprotect, vec![vec![masked(2, executable, 0)?]]),
        // Threads, no processes.
        (libc::SYS_clone, vec![vec![masked(0, thread | apart, thread)?]]),
        // Signals to itself, as abort(3) does.
        (libc::SYS_kill, vec![vec![equal(0, own)?]]),
        (libc::SYS_tgkill, vec![vec![equal(0, own)?]]),
        // Its own limits, and not to change them.
        (libc::SYS_prlimit64, vec![vec![equal(0, 0)?, null(2)?], vec![equal(0, own)?, null(2)?]]),
        (libc::SYS_sched_setaffinity, vec![vec![equal(0, 0)?]]),
        (libc::SYS_prctl, one_of(0, PRCTL.map(word))?),
        (libc::SYS_fcntl, one_of(1, FCNTL.map(word))?),
        (libc::SYS_ioctl, one_of(1, IOCTL)?),
        // Sending can open a TCP connection that Landlock does not see.
        (libc::SYS_sendto, vec![vec![masked(3, fast_open, 0)?]]),
        (libc::SYS_sendmsg, vec![vec![masked(2, fast_open, 0)?]]),
        (libc::SYS_sendmmsg, vec![vec![masked(3, fast_open, 0)?]]),
        (libc::SYS_socketpair, vec![vec![equal(0, word(libc::AF_UNIX))?]]),
        (libc::SYS_socket, sockets(allowance)?),
    ];
    for (call, ways) in conditional {
        let ways = ways.into_iter().map(SeccompRule::new).collect::<Result<_, _>>()?;
        rules.insert(number(call), ways);
    }
    if allowance.listening {
        rules.insert(number(libc::SYS_listen), Vec::new());
    }
    // Answered by the last filter.
    rules.extend(no_such_call());
    Ok(rules)
}

/// The sockets that can be made: unix, routing netlink, TCP and UDP. Not MPTCP and SCTP, whose ports Landlock does not
/// see.
fn sockets(allowance: Allowance) -> Result<Vec<Vec<SeccompCondition>>, BackendError> {
    let family = |family| equal(0, word(family));
    let mut ways =
        vec![vec![family(libc::AF_UNIX)?], vec![family(libc::AF_NETLINK)?, equal(2, word(libc::NETLINK_ROUTE))?]];
    let kinds = [(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)];
    for domain in [libc::AF_INET, libc::AF_INET6].into_iter().filter(|_| allowance.internet) {
        for (kind, protocol) in kinds {
            for protocol in [0, protocol] {
                let kind = masked(1, SOCK_TYPE_MASK, word(kind))?;
                ways.push(vec![family(domain)?, kind, equal(2, word(protocol))?]);
            }
        }
    }
    if allowance.packet_sockets {
        ways.push(vec![family(libc::AF_PACKET)?]);
    }
    Ok(ways)
}

/// Families that libpcap tries, one after another, to find devices. Packet sockets are not among them: that they are
/// refused for want of a privilege is what it has to say.
fn no_such_family() -> Result<Rules, BackendError> {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET];
    let other = families.map(|family| differs(0, word(family))).into_iter().collect::<Result<_, _>>()?;
    let netlink = vec![equal(0, word(libc::AF_NETLINK))?, differs(2, word(libc::NETLINK_ROUTE))?];
    let rules = vec![SeccompRule::new(other)?, SeccompRule::new(netlink)?];
    Ok(Rules::from([(number(libc::SYS_socket), rules)]))
}

/// Since this number all architectures count alike, and libraries ask for a new call before an older one.
const ALIKE: c_long = libc::SYS_pidfd_send_signal;
/// Well above the last one there is.
const END: c_long = 600;

/// Calls that do not exist, as far as this process can tell. clone3(2) hides its flags from filters.
fn no_such_call() -> Rules {
    let calls = (ALIKE..END).filter(|call| !ALWAYS.contains(call)).chain([libc::SYS_seccomp]);
    calls.map(|call| (number(call), Vec::new())).collect()
}

fn number(call: c_long) -> i64 {
    call
}

/// The kernel's `int` as it stands in a register.
fn word(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn equal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn differs(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Ne, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::MaskedEq(mask), value)
}

/// A null pointer.
fn null(argument: u8) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

fn one_of<const N: usize>(argument: u8, values: [u64; N]) -> Result<Vec<Vec<SeccompCondition>>, BackendError> {
    values.into_iter().map(|value| Ok(vec![equal(argument, value)?])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(all: bool) -> Allowance {
        Allowance { packet_sockets: all, internet: all, listening: all }
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut all: Vec<_> = ALWAYS.iter().chain(OLDER).collect();
        let listed = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), listed);
    }

    #[test]
    fn nothing_that_makes_processes_or_gains_privileges_is_listed() {
        let rules = allowed(allowance(true)).expect("the rules are well formed");
        for call in [
            libc::SYS_execve,
            libc::SYS_ptrace,
            libc::SYS_mount,
            libc::SYS_bpf,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_setuid,
            libc::SYS_setresuid,
            libc::SYS_capset,
            libc::SYS_memfd_create,
            libc::SYS_process_vm_writev,
        ] {
            assert!(!rules.contains_key(&number(call)), "{call}");
        }
    }

    #[test]
    fn the_filters_fit_into_the_kernels_limit() {
        const BPF_MAXINSNS: usize = 4096;
        for all in [false, true] {
            let filters = filters(allowance(all)).expect("the filters compile");
            let lengths = filters.map(|filter| filter.len());
            assert!(lengths.iter().all(|length| *length <= BPF_MAXINSNS), "{lengths:?}");
        }
    }
}
