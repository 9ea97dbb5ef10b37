//! Landlock: files, TCP ports, signals and abstract sockets.
//!
//! The crate asks the kernel for what it has. Less than [`COMPLETE`] is applied too but counts as missing, with what
//! it lacks, because nobody should take one for the other.

use super::{Needs, PrivilegeError, State};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, PathFdError, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use std::io;
use std::path::Path;

/// The version that covers all of [`Layer::Landlock`](super::Layer::Landlock), Linux 6.12.
const COMPLETE: ABI = ABI::V6;

/// What each version brought that a kernel before it lacks.
const ADDED: [(ABI, &str); 4] = [
    (ABI::V3, "truncating files (Linux 6.2)"),
    (ABI::V4, "TCP ports (6.7)"),
    (ABI::V5, "device controls (6.10)"),
    (ABI::V6, "signals and abstract sockets (6.12)"),
];

pub(super) fn restrict(needs: &Needs) -> Result<State, PrivilegeError> {
    let ruleset = ruleset().map_err(|error| refused(&error))?;
    let (ruleset, pinned) = allow_paths(ruleset, needs)?;
    let ruleset = allow_ports(ruleset, needs).map_err(|error| refused(&error))?;
    let status = ruleset.restrict_self().map_err(|error| refused(&error))?;
    // A rule is about an inode, and those of /proc are made anew once nobody holds them: they are held to the end.
    std::mem::forget(pinned);
    Ok(match status.landlock {
        LandlockStatus::NotImplemented => State::Missing("this kernel is built without it (Linux 5.13 has it)".into()),
        LandlockStatus::NotEnabled => State::Missing("it is not enabled: boot with `lsm=landlock,...`".into()),
        LandlockStatus::Available { effective_abi, .. } => state(effective_abi),
    })
}

fn state(abi: ABI) -> State {
    let lacks: Vec<_> = ADDED.iter().filter(|(since, _)| *since > abi).map(|(_, what)| *what).collect();
    if lacks.is_empty() {
        return State::Active;
    }
    State::Missing(format!("files are confined, but this kernel's Landlock does not cover {}", lacks.join(", ")))
}

/// Everything that can be refused is, until a rule allows it.
fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(COMPLETE))?
        .handle_access(AccessNet::from_all(COMPLETE))?
        .scope(Scope::from_all(COMPLETE))?
        .create()
}

fn allow_paths(mut ruleset: RulesetCreated, needs: &Needs) -> Result<(RulesetCreated, Vec<PathFd>), PrivilegeError> {
    let mut pinned = Vec::new();
    let read = needs.read.iter().map(|path| (path, AccessFs::ReadFile | AccessFs::ReadDir));
    let write = needs.write.iter().map(|path| (path, write_access()));
    for (path, access) in read.chain(write) {
        let (rule, descriptor) = rule(path, access)?;
        ruleset = ruleset.add_rule(rule).map_err(|error| refused(&error))?;
        if path.starts_with("/proc") {
            pinned.push(descriptor);
        }
    }
    Ok((ruleset, pinned))
}

/// A rule for a directory and what is below it, or for one file; and a descriptor of it.
fn rule(path: &Path, access: BitFlags<AccessFs>) -> Result<(PathBeneath<PathFd>, PathFd), PrivilegeError> {
    let failed = |source| PrivilegeError::Path { path: path.into(), source };
    let is_directory = path.metadata().map_err(failed)?.is_dir();
    let access = if is_directory { access } else { access & AccessFs::from_file(COMPLETE) };
    let open = || {
        PathFd::new(path).map_err(|error| match error {
            PathFdError::OpenCall { source, .. } => failed(source),
            other => failed(io::Error::other(other.to_string())),
        })
    };
    Ok((PathBeneath::new(open()?, access), open()?))
}

/// No making of links and devices: nothing that is written needs them. Nothing at all may be executed.
fn write_access() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSock
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

fn allow_ports(ruleset: RulesetCreated, needs: &Needs) -> Result<RulesetCreated, RulesetError> {
    let listen = needs.listen.iter().map(|port| NetPort::new(*port, AccessNet::BindTcp));
    let connect = needs.connect.iter().map(|port| NetPort::new(*port, AccessNet::ConnectTcp));
    listen.chain(connect).try_fold(ruleset, |ruleset, rule| ruleset.add_rule(rule))
}

fn refused(error: &RulesetError) -> PrivilegeError {
    PrivilegeError::step("confine files and ports with Landlock", io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_landlock_counts_as_missing_and_says_what_it_lacks() {
        assert_eq!(state(ABI::V6), State::Active);
        assert_eq!(state(ABI::V7), State::Active);
        assert_eq!(
            state(ABI::V2),
            State::Missing(
                "files are confined, but this kernel's Landlock does not cover truncating files (Linux 6.2), TCP \
                 ports (6.7), device controls (6.10), signals and abstract sockets (6.12)"
                    .into()
            )
        );
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let needs = Needs { read: vec!["/no/such/file".into()], ..Needs::default() };
        let error = allow_paths(ruleset().expect("rules can be made"), &needs).expect_err("there is no such file");
        assert_eq!(error.to_string(), "cannot keep `/no/such/file` within reach");
    }
}
