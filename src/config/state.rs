//! Where netmon keeps what it remembers, unless it is told.

use std::ffi::OsString;
use std::path::PathBuf;

/// `configured`, else the first directory that systemd made (`STATE_DIRECTORY`), else `/var/lib/netmon` as root, else
/// `netmon` in `XDG_STATE_HOME` or in `~/.local/state`; `None` for a user without any of them. Paths that are not
/// absolute are passed over, as their specifications say.
///
/// ```
/// use netmon::config::state_directory;
/// let home = |name: &str| (name == "HOME").then(|| "/home/ada".into());
/// assert_eq!(state_directory(None, false, home), Some("/home/ada/.local/state/netmon".into()));
/// assert_eq!(state_directory(None, true, home), Some("/var/lib/netmon".into()));
/// ```
pub fn state_directory(
    configured: Option<PathBuf>,
    is_root: bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // Several are separated by colons.
    let of_service = || {
        let list = variable("STATE_DIRECTORY")?;
        std::env::split_paths(&list).next().filter(|path| path.is_absolute())
    };
    let of_root = || is_root.then(|| PathBuf::from("/var/lib/netmon"));
    let of_user = || absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    configured.or_else(of_service).or_else(of_root).or_else(|| of_user().map(|state| state.join("netmon")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(is_root: bool, variables: &[(&str, &str)]) -> Option<PathBuf> {
        state_directory(None, is_root, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_directory_of_the_service_stands_over_root_and_home() {
        let home = ("HOME", "/home/ada");
        assert_eq!(found(true, &[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), home]), Some("/var/lib/a".into()));
        assert_eq!(found(true, &[home]), Some("/var/lib/netmon".into()));
        assert_eq!(found(false, &[("XDG_STATE_HOME", "/state"), home]), Some("/state/netmon".into()));
        assert_eq!(found(false, &[("XDG_STATE_HOME", "state"), home]), Some("/home/ada/.local/state/netmon".into()));
        assert_eq!(found(false, &[]), None);
    }
}
