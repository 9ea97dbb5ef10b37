//! macOS and the BSDs: root is given up, and nothing more. Capture needs only the open device.
//!
//! Here the user is a matter of the process, so threads do not change anything.

use super::{Config, Confinement, Identity, Layer, Needs, PrivilegeError, Sandbox, State};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{self, Gid, Uid};

pub(super) fn confine(identity: &Identity, config: &Config, _: &Needs) -> Result<Confinement, PrivilegeError> {
    if identity.changes {
        let become_it = change_ids(identity.ids);
        let action = || format!("become the user `{}`", identity.user);
        become_it.map_err(|error| PrivilegeError::step(action(), error))?;
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|error| PrivilegeError::step("forbid core dumps", error))?;
    verify(identity)?;
    let linux_only = |sandbox| match sandbox {
        Sandbox::Off => State::Off,
        Sandbox::Auto | Sandbox::Strict => missing(),
    };
    let layers = [
        (Layer::User, State::Active),
        (Layer::Capabilities, missing()),
        (Layer::NoNewPrivs, missing()),
        (Layer::Landlock, linux_only(config.sandbox)),
        (Layer::Seccomp, linux_only(config.sandbox)),
    ];
    Ok(Confinement { user: identity.user.clone(), dropped: identity.changes, layers })
}

fn missing() -> State {
    State::Missing("it is there on Linux only".into())
}

/// The group first, while this is still root. For root, setgid(2) and setuid(2) change the saved ids too.
fn change_ids((user, group): (u32, u32)) -> Result<(), Errno> {
    set_only_group(group)?;
    unistd::setgid(Gid::from_raw(group))?;
    unistd::setuid(Uid::from_raw(user))
}

/// Leaves one supplementary group: an empty list would leave what a directory service says on macOS.
#[expect(unsafe_code, reason = "no safe wrapper has setgroups(2) on macOS")]
fn set_only_group(group: u32) -> Result<(), Errno> {
    let groups = [group];
    // SAFETY: the pointer is to one initialised group id, which is what the length says, and the kernel only reads it.
    let result = unsafe { nix::libc::setgroups(1, groups.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Tries to become root again, which has to fail. Root by any other way stays root: that is refused.
fn verify(identity: &Identity) -> Result<(), PrivilegeError> {
    let root = Uid::from_raw(0);
    let is_root = unistd::getuid().is_root() || unistd::geteuid().is_root();
    if is_root || unistd::seteuid(root).is_ok() || unistd::setuid(root).is_ok() {
        return Err(PrivilegeError::StillHeld { what: "the process is root or can become it again".into() });
    }
    let (user, group) = identity.ids;
    if unistd::geteuid() != Uid::from_raw(user) || unistd::getegid() != Gid::from_raw(group) {
        return Err(PrivilegeError::StillHeld { what: format!("the ids are not those of `{}`", identity.user) });
    }
    Ok(())
}
