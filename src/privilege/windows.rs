//! Windows: the privileges are removed from the token of the process, and it is put into a job that allows no child.
//!
//! The user stays the one that started netmon. What is removed from a token cannot be enabled again, and a process
//! cannot leave its job. Both are matters of the process, so threads do not change anything.
#![expect(unsafe_code, reason = "the system offers this as C functions only")]

use super::{Config, Confinement, Identity, Layer, Needs, PrivilegeError, Sandbox, State};
use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use windows_sys::Win32::Foundation::{ERROR_NOT_ALL_ASSIGNED, GetLastError, HANDLE, LUID};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, GetTokenInformation, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, SE_CHANGE_NOTIFY_NAME,
    SE_PRIVILEGE_REMOVED, TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES, TOKEN_QUERY, TokenPrivileges,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOBOBJECT_BASIC_LIMIT_INFORMATION,
    JobObjectBasicLimitInformation, SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Who netmon is: the user that started it.
///
/// # Errors
/// None.
pub fn identity(config: &Config) -> Result<Identity, PrivilegeError> {
    let user = std::env::var("USERNAME").unwrap_or_else(|_| "the user that started it".into());
    let warning = config.user.as_ref().map(|wanted| {
        format!("`privileges.user` is `{wanted}`, but on Windows netmon stays `{user}`: start it as another user")
    });
    Ok(Identity { user, warning })
}

pub(super) fn confine(identity: &Identity, config: &Config, _: &Needs) -> Result<Confinement, PrivilegeError> {
    let removed = remove_privileges().map_err(|error| PrivilegeError::step("remove privileges", error))?;
    forbid_children().map_err(|error| PrivilegeError::step("forbid child processes", error))?;
    let linux_only = || match config.sandbox {
        Sandbox::Off => State::Off,
        Sandbox::Auto | Sandbox::Strict => State::Missing("it is there on Linux only".into()),
    };
    let layers = [
        (Layer::User, State::Missing("on Windows netmon stays the user that started it".into())),
        (Layer::Capabilities, State::Active),
        (Layer::NoNewPrivs, State::Active),
        (Layer::Landlock, linux_only()),
        (Layer::Seccomp, linux_only()),
    ];
    Ok(Confinement { user: identity.user.clone(), dropped: removed > 0, layers })
}

/// Removes every privilege but the one that everybody has, to pass through directories. Says how many went.
fn remove_privileges() -> io::Result<usize> {
    let token = open_token()?;
    let keep = luid_of_change_notify()?;
    let mut privileges = privileges(&token)?;
    privileges.retain(|privilege| !is_same(privilege.Luid, keep));
    for privilege in &privileges {
        remove(&token, *privilege)?;
    }
    match self::privileges(&token)?.iter().find(|left| !is_same(left.Luid, keep)) {
        Some(left) => Err(io::Error::other(format!("privilege {} is still in the token", left.Luid.LowPart))),
        None => Ok(privileges.len()),
    }
}

fn is_same(one: LUID, other: LUID) -> bool {
    (one.LowPart, one.HighPart) == (other.LowPart, other.HighPart)
}

fn open_token() -> io::Result<OwnedHandle> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the process handle is a constant that is always valid, and `token` is a place for one handle.
    let opened = unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &mut token) };
    succeeded(opened)?;
    // SAFETY: the call succeeded, so this is an open handle, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

fn luid_of_change_notify() -> io::Result<LUID> {
    let mut luid = LUID { LowPart: 0, HighPart: 0 };
    // SAFETY: the name is a constant text that ends with a null, and `luid` is a place for one number.
    succeeded(unsafe { LookupPrivilegeValueW(null(), SE_CHANGE_NOTIFY_NAME, &mut luid) })?;
    Ok(luid)
}

/// The privileges in a token, enabled or not.
fn privileges(token: &OwnedHandle) -> io::Result<Vec<LUID_AND_ATTRIBUTES>> {
    /// There are 36 privileges of 12 bytes; this is room for ten times as many.
    const WORDS: usize = 1024;
    // Words, so that the structure is aligned.
    let mut buffer = [0_u32; WORDS];
    let mut length = 0;
    let size = u32::try_from(size_of_val(&buffer)).map_err(io::Error::other)?;
    let pointer: *mut c_void = buffer.as_mut_ptr().cast();
    // SAFETY: the pointer is to `size` bytes that are ours to be written, and `length` is a place for a number.
    let read = unsafe { GetTokenInformation(token.as_raw_handle(), TokenPrivileges, pointer, size, &mut length) };
    succeeded(read)?;
    // TOKEN_PRIVILEGES: a count, then for each the two halves of its number and its attributes.
    let [count, entries @ ..] = &buffer;
    let count = usize::try_from(*count).map_err(io::Error::other)?;
    let entry = |entry: &[u32]| LUID_AND_ATTRIBUTES {
        Luid: LUID { LowPart: entry[0], HighPart: entry[1].cast_signed() },
        Attributes: entry[2],
    };
    Ok(entries.chunks_exact(3).take(count).map(entry).collect())
}

fn remove(token: &OwnedHandle, privilege: LUID_AND_ATTRIBUTES) -> io::Result<()> {
    let removed = LUID_AND_ATTRIBUTES { Attributes: SE_PRIVILEGE_REMOVED, ..privilege };
    let change = TOKEN_PRIVILEGES { PrivilegeCount: 1, Privileges: [removed] };
    // SAFETY: `change` has as many entries as it says and is only read; the previous state is not asked for, for
    // which a length of 0 and two null pointers are right.
    succeeded(unsafe { AdjustTokenPrivileges(token.as_raw_handle(), 0, &change, 0, null_mut(), null_mut()) })?;
    // SAFETY: reads a number of this thread. The call succeeds even where it changed nothing, and says so here.
    match unsafe { GetLastError() } {
        ERROR_NOT_ALL_ASSIGNED => Err(io::Error::other("the token does not have the privilege")),
        _ => Ok(()),
    }
}

/// Puts the process into a job with room for itself alone.
fn forbid_children() -> io::Result<()> {
    // SAFETY: two null pointers ask for a job without a name, with default security.
    let job = unsafe { CreateJobObjectW(null(), null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    let limits = JOBOBJECT_BASIC_LIMIT_INFORMATION {
        LimitFlags: JOB_OBJECT_LIMIT_ACTIVE_PROCESS,
        ActiveProcessLimit: 1,
        ..Default::default()
    };
    let size = u32::try_from(size_of_val(&limits)).map_err(io::Error::other)?;
    let pointer: *const c_void = (&raw const limits).cast();
    // SAFETY: the handle is open, and the pointer is to a structure of the class and size that are named.
    succeeded(unsafe { SetInformationJobObject(job, JobObjectBasicLimitInformation, pointer, size) })?;
    // SAFETY: both handles are open. The job's handle stays open, and with it the job, until the process ends.
    succeeded(unsafe { AssignProcessToJobObject(job, GetCurrentProcess()) })
}

/// The result of a function that gives 0 when it fails.
fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
