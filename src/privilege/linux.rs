//! Linux: user, capabilities and no_new_privs, then the two sandboxes.
//!
//! All of it is each thread's own, so it happens while there is one thread (libc changes the user in all, the kernel
//! does not do that for capabilities, no_new_privs, Landlock and seccomp). The order matters: the bounding set needs a
//! capability that becoming another user takes away; Landlock opens paths, which seccomp would not mind but a list
//! of system calls for it would be longer.

use super::{Config, Confinement, Identity, Layer, Needs, PrivilegeError, Sandbox, State, landlock, seccomp};
use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{self, Gid, Uid};
use std::io;

/// A capability set, and its name in messages.
type Named = (CapSet, &'static str);

const BOUNDING: Named = (CapSet::Bounding, "bounding");
const PERMITTED: Named = (CapSet::Permitted, "permitted");
const EFFECTIVE: Named = (CapSet::Effective, "effective");
const INHERITABLE: Named = (CapSet::Inheritable, "inheritable");
const AMBIENT: Named = (CapSet::Ambient, "ambient");

pub(super) fn confine(identity: &Identity, config: &Config, needs: &Needs) -> Result<Confinement, PrivilegeError> {
    be_alone()?;
    let keep = kept(config)?;
    let dropped = unistd::geteuid().is_root() || read(PERMITTED)? != keep;
    let bounding_is_ours = read(EFFECTIVE)?.contains(&Capability::CAP_SETPCAP);
    if bounding_is_ours {
        caps::clear(None, CapSet::Bounding).map_err(|error| refused("empty the bounding set", &error))?;
    }
    let user = become_user(identity, !keep.is_empty())?;
    reduce_to(&keep)?;
    prctl::set_no_new_privs().map_err(|error| PrivilegeError::step("set no_new_privs", error))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|error| PrivilegeError::step("forbid core dumps", error))?;
    // Otherwise another process of the same user could attach a debugger and use our sockets.
    prctl::set_dumpable(false).map_err(|error| PrivilegeError::step("forbid debuggers", error))?;
    verify(&user, identity, &keep, bounding_is_ours)?;
    let (landlock, seccomp) = match config.sandbox {
        Sandbox::Off => (State::Off, State::Off),
        Sandbox::Auto | Sandbox::Strict => (landlock::restrict(needs)?, seccomp::install(config.keep_net_raw, needs)?),
    };
    let name = if user == State::Active { identity.user.clone() } else { "root".into() };
    let layers = [
        (Layer::User, user),
        (Layer::Capabilities, State::Active),
        (Layer::NoNewPrivs, State::Active),
        (Layer::Landlock, landlock),
        (Layer::Seccomp, seccomp),
    ];
    Ok(Confinement { user: name, dropped, layers })
}

pub(super) fn raise_net_raw() -> Result<bool, PrivilegeError> {
    if !read(PERMITTED)?.contains(&Capability::CAP_NET_RAW) {
        return Ok(false);
    }
    let raised = caps::raise(None, CapSet::Effective, Capability::CAP_NET_RAW);
    raised.map(|()| true).map_err(|error| refused("raise CAP_NET_RAW", &error))
}

fn be_alone() -> Result<(), PrivilegeError> {
    let threads = std::fs::read_dir("/proc/self/task").map_err(|error| PrivilegeError::step("count threads", error))?;
    match threads.count() {
        1 => Ok(()),
        count => Err(PrivilegeError::Threads { count }),
    }
}

/// The capabilities that stay.
fn kept(config: &Config) -> Result<CapsHashSet, PrivilegeError> {
    if !config.keep_net_raw {
        return Ok(CapsHashSet::new());
    }
    if !read(PERMITTED)?.contains(&Capability::CAP_NET_RAW) {
        return Err(PrivilegeError::NothingToKeep);
    }
    Ok(CapsHashSet::from([Capability::CAP_NET_RAW]))
}

/// Leaves root for good. Root that may not do so (a container without SETUID and SETGID, a user namespace without
/// other users) stays, unless the user was asked for by name.
fn become_user(identity: &Identity, keep_capabilities: bool) -> Result<State, PrivilegeError> {
    if !identity.changes {
        // A real or saved id may be another one's, where the program file has the set-user-id bit.
        let own = change_ids(identity.ids);
        return own.map(|()| State::Active).map_err(|error| PrivilegeError::step("keep only the own ids", error));
    }
    if keep_capabilities {
        prctl::set_keepcaps(true).map_err(|error| PrivilegeError::step("keep capabilities", error))?;
    }
    let become_it = unistd::setgroups(&[]).and_then(|()| change_ids(identity.ids));
    if keep_capabilities {
        prctl::set_keepcaps(false).map_err(|error| PrivilegeError::step("stop keeping capabilities", error))?;
    }
    match become_it {
        Ok(()) => Ok(State::Active),
        Err(Errno::EPERM | Errno::EINVAL) if !identity.asked_for => Ok(State::Missing(format!(
            "netmon stays root, because it may not become `{}` without CAP_SETUID and CAP_SETGID",
            identity.user
        ))),
        Err(error) => Err(PrivilegeError::step(format!("become the user `{}`", identity.user), error)),
    }
}

fn change_ids((user, group): (u32, u32)) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    unistd::setresgid(group, group, group)?;
    unistd::setresuid(user, user, user)
}

/// Leaves exactly `keep` in the permitted and effective set, and nothing in the others.
fn reduce_to(keep: &CapsHashSet) -> Result<(), PrivilegeError> {
    let none = CapsHashSet::new();
    // Effective before permitted, of which it has to be a part.
    for ((set, name), value) in [(AMBIENT, &none), (INHERITABLE, &none), (EFFECTIVE, keep), (PERMITTED, keep)] {
        let reduced = caps::set(None, set, value);
        reduced.map_err(|error| refused(&format!("reduce the {name} capabilities"), &error))?;
    }
    Ok(())
}

/// Asks the kernel what is left, and tries to take it back.
fn verify(user: &State, identity: &Identity, keep: &CapsHashSet, bounding_is_ours: bool) -> Result<(), PrivilegeError> {
    let none = CapsHashSet::new();
    let sets = [(AMBIENT, &none), (INHERITABLE, &none), (EFFECTIVE, keep), (PERMITTED, keep)];
    let bounding = bounding_is_ours.then_some((BOUNDING, &none));
    for (set, expected) in sets.into_iter().chain(bounding) {
        let left = read(set)?;
        still_held(left != *expected, || format!("the {} set has {left:?}", set.1))?;
    }
    if *user == State::Active {
        verify_user(identity)?;
    }
    // Its protocol is 0: it receives nothing, should there be one.
    let packet_socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None);
    still_held(packet_socket.is_ok() && keep.is_empty(), || "a packet socket can be opened".into())?;
    let is_fixed = prctl::get_no_new_privs() == Ok(true) && prctl::get_dumpable() == Ok(false);
    still_held(!is_fixed, || "no_new_privs or the dumpable flag did not stay set".into())
}

fn verify_user(identity: &Identity) -> Result<(), PrivilegeError> {
    let failed = |error| PrivilegeError::step("read user and group ids", error);
    let users = unistd::getresuid().map_err(failed)?;
    let groups = unistd::getresgid().map_err(failed)?;
    let (user, group) = identity.ids;
    let is_it = [users.real, users.effective, users.saved] == [Uid::from_raw(user); 3]
        && [groups.real, groups.effective, groups.saved] == [Gid::from_raw(group); 3];
    still_held(!is_it, || format!("the ids are not those of `{}`", identity.user))?;
    let supplementary = unistd::getgroups().map_err(failed)?;
    still_held(identity.changes && !supplementary.is_empty(), || "supplementary groups are left".into())?;
    let root = Uid::from_raw(0);
    let is_back = unistd::seteuid(root).is_ok() || unistd::setresuid(root, root, root).is_ok();
    still_held(is_back, || "the process can become root again".into())?;
    // A container may start an ordinary user in the group 0, which stays as it is.
    let is_back = group != 0 && unistd::setegid(Gid::from_raw(0)).is_ok();
    still_held(is_back, || "the process can join the group of root again".into())
}

fn still_held(is_held: bool, what: impl FnOnce() -> String) -> Result<(), PrivilegeError> {
    if is_held { Err(PrivilegeError::StillHeld { what: what() }) } else { Ok(()) }
}

fn read((set, name): Named) -> Result<CapsHashSet, PrivilegeError> {
    caps::read(None, set).map_err(|error| refused(&format!("read the {name} capabilities"), &error))
}

/// The crate's errors are texts.
fn refused(action: &str, error: &CapsError) -> PrivilegeError {
    PrivilegeError::step(action, io::Error::other(error.to_string()))
}
