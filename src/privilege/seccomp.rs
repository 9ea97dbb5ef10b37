//! seccomp: the system calls that running netmon makes, and no others.
//!
//! A list of what is allowed, not of what is forbidden: kernels gain system calls every year, and what they can do is
//! not known when the list is written. The list was found by reading what glibc, the allocator, tokio, libpcap and
//! file stores call, and is kept by tests that do all of this behind it.
//!
//! The list alone decides; what is not on it fails with EPERM. Two short filters before it choose another error where
//! a library looks for one: no such system call, so that glibc falls back to an older one, and no such address
//! family, so that libpcap passes over a kind of device instead of giving up. 32-bit system calls kill the process.
//!
//! What is called with any arguments is answered from a bitmap by Linux since 5.11, so reads and waits cost nothing.

use super::{Needs, PrivilegeError, State};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod calls;

/// Installs the filters in the calling thread.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn install(packet_sockets: bool, needs: &Needs) -> Result<State, PrivilegeError> {
    use seccompiler::Error;
    use std::io;

    let refused = |error: Error| PrivilegeError::step("restrict system calls", io::Error::other(error.to_string()));
    let allowance = calls::Allowance {
        packet_sockets,
        internet: !needs.listen.is_empty() || !needs.connect.is_empty(),
        listening: !needs.listen.is_empty(),
    };
    let filters = calls::filters(allowance).map_err(|error| refused(error.into()))?;
    for filter in &filters {
        match seccompiler::apply_filter(filter) {
            Ok(()) => {}
            // A kernel without seccomp or without its filters.
            Err(Error::Seccomp(error)) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => {
                return Ok(State::Missing("this kernel is built without seccomp filters".into()));
            }
            Err(error) => return Err(refused(error)),
        }
    }
    Ok(State::Active)
}

/// There is no list for this architecture.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[expect(clippy::unnecessary_wraps, reason = "as on other architectures, where it can fail")]
pub(super) fn install(_: bool, _: &Needs) -> Result<State, PrivilegeError> {
    let architecture = std::env::consts::ARCH;
    Ok(State::Missing(format!("it is there for x86_64 and aarch64, this is {architecture}")))
}
