//! A process with one thread: a fork of the test, which has two.
#![expect(unsafe_code, reason = "fork(2), and system calls that have no safe wrapper because they shall be refused")]

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work` in a process with one thread; a panic there fails the test here.
pub fn alone(work: impl FnOnce()) {
    let end = end(work);
    assert!(matches!(end, WaitStatus::Exited(_, 0)), "{end:?}");
}

/// Runs `work` in a process with one thread, and how that ended.
pub fn end(work: impl FnOnce()) -> WaitStatus {
    // SAFETY: the other thread of the test program only waits for this one, so it holds no lock that `work` needs;
    // glibc makes its allocator usable in the child.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        ForkResult::Child => {
            let code = i32::from(catch_unwind(AssertUnwindSafe(work)).is_err());
            exit(code)
        }
    }
}

/// Ends the process without what the test program would still do.
pub fn exit(code: i32) -> ! {
    use std::io::Write;
    let _ = std::io::stdout().flush();
    // SAFETY: ends the process; nothing runs after it.
    unsafe { libc::_exit(code) }
}

/// A system call with up to six arguments, by number.
///
/// Pointers among them have to be null, or to memory that the call may use as it does; callers in the table of
/// probes pass such, or expect the call to be refused before it looks at them.
pub fn call(number: libc::c_long, arguments: &[usize]) -> Result<libc::c_long, Errno> {
    let argument = |n: usize| arguments.get(n).copied().unwrap_or(0);
    let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(argument);
    // SAFETY: see above; arguments that are not there are zero, which every call accepts or refuses.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// The offset of local time from UTC in seconds at a Unix time, as the C library says.
pub fn offset_of_local_time(at: i64) -> i64 {
    // SAFETY: all-zero bytes are a valid `tm`: integers and a pointer that may be null.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of their types.
    unsafe { libc::localtime_r(&at, &mut local) };
    local.tm_gmtoff
}

/// getpid(2) by the entry for 32-bit programs.
#[cfg(target_arch = "x86_64")]
pub fn getpid_of_32_bits() -> i32 {
    const GETPID: i32 = 20;
    let mut result = GETPID;
    // SAFETY: the call takes no argument and touches no memory; r8 to r11 are not kept by this entry.
    unsafe {
        std::arch::asm!(
            "int 0x80", inout("eax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _
        );
    }
    result
}
