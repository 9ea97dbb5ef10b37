//! Giving up privileges: who netmon becomes, and what that process can still reach.
//!
//! What needs privilege is opened first, then [`confine`] takes everything away, in the only thread there is; threads
//! started later inherit it. It cannot be undone, and nothing here tries to.
//!
//! On Linux there are five layers, applied in this order:
//!
//! | layer | what it takes |
//! |---|---|
//! | [`Layer::User`] | root: user, group and all supplementary groups become those of an ordinary user |
//! | [`Layer::Capabilities`] | all five capability sets, the bounding set where CAP_SETPCAP is held |
//! | [`Layer::NoNewPrivs`] | set-user-id programs and file capabilities; core dumps; being traced by its own user |
//! | [`Layer::Landlock`] | files and TCP ports outside of [`Needs`], signals and abstract sockets of other processes |
//! | [`Layer::Seccomp`] | every system call that running netmon does not make |
//!
//! An open packet socket stays what it is: whoever takes over the process can read the wire, switch the socket to
//! another interface and send frames. A socket for UDP, where [`Needs`] asks for any network, reaches every address.
//!
//! ```no_run
//! use netmon::privilege::{Config, Needs, confine, identity, raise_net_raw};
//!
//! let config = Config::default();
//! let identity = identity(&config)?;
//! raise_net_raw()?;
//! // ... open capture handles and ports, chown state directories to identity ...
//! let confinement = confine(&identity, &config, &Needs::for_watching())?;
//! println!("{confinement}");
//! # Ok::<(), netmon::privilege::PrivilegeError>(())
//! ```

mod error;
#[cfg(unix)]
mod identity;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(target_os = "linux")))]
mod macos;
mod needs;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(windows)]
mod windows;

pub use error::PrivilegeError;
#[cfg(unix)]
pub use identity::identity;
pub use needs::Needs;
#[cfg(windows)]
pub use windows::identity;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(all(unix, not(target_os = "linux")))]
use macos as system;
#[cfg(windows)]
use windows as system;

use std::fmt;

/// How privileges are given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Who netmon becomes when it is started as root. `None`: `netmon` if there is such a user, else `nobody`.
    pub user: Option<UserName>,
    /// How much of a sandbox is asked for.
    pub sandbox: Sandbox,
    /// Keep CAP_NET_RAW, so that interfaces that come back can be opened again.
    pub keep_net_raw: bool,
}

/// A user, as a person names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserName {
    /// A name that the system knows.
    Name(String),
    /// Numbers, which need no entry anywhere.
    Ids {
        /// User id, not 0.
        uid: u32,
        /// Group id, not 0. `None`: the user's own group, or the number of the user where it has no entry.
        gid: Option<u32>,
    },
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ids { uid, gid: None } => write!(f, "{uid}"),
            Self::Ids { uid, gid: Some(gid) } => write!(f, "{uid}:{gid}"),
        }
    }
}

/// How much of a sandbox is asked for. User and capabilities are given up in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// Every layer that the system has; [`Confinement`] says which are missing.
    #[default]
    Auto,
    /// All layers, or no start.
    Strict,
    /// Neither Landlock nor seccomp.
    Off,
}

impl Sandbox {
    /// All, as the configuration names them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Strict, Self::Off];

    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Strict => "strict",
            Self::Off => "off",
        }
    }
}

/// Who netmon is going to be, looked up while that is still possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name, or its number where it has none.
    pub user: String,
    /// What the person who started netmon should know about the choice.
    pub warning: Option<String>,
    /// User and group id.
    #[cfg(unix)]
    ids: (u32, u32),
    /// Whether netmon has to become this user, as root.
    #[cfg(unix)]
    changes: bool,
    /// Whether it was asked for by name, so that no other will do.
    #[cfg(unix)]
    asked_for: bool,
}

impl Identity {
    /// User and group id, to chown what netmon has to read or write later.
    #[cfg(unix)]
    pub fn ids(&self) -> (u32, u32) {
        self.ids
    }

    /// User id, where users have numbers.
    pub fn user_id(&self) -> Option<u32> {
        #[cfg(unix)]
        let user_id = Some(self.ids.0);
        #[cfg(not(unix))]
        let user_id = None;
        user_id
    }
}

/// One way in which the process is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// It is not root (Windows: no other user than the one that started it).
    User,
    /// It holds no capability but those asked for (Windows: no privilege in its token).
    Capabilities,
    /// It cannot gain any by starting a program (Windows: it cannot start one).
    NoNewPrivs,
    /// Only named files, directories and TCP ports can be reached.
    Landlock,
    /// Only the system calls that netmon makes can be made.
    Seccomp,
}

impl Layer {
    /// All, in the order in which they are applied.
    pub const ALL: [Self; 5] = [Self::User, Self::Capabilities, Self::NoNewPrivs, Self::Landlock, Self::Seccomp];

    /// As in metrics and the status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivs => "no_new_privs",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }
}

/// What became of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// In force.
    Active,
    /// Not in force, or only in part, for this reason.
    Missing(String),
    /// Not asked for.
    Off,
}

impl State {
    /// As in the status.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Missing(_) => "missing",
            Self::Off => "off",
        }
    }

    /// Why it is missing.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Missing(reason) => Some(reason),
            Self::Active | Self::Off => None,
        }
    }
}

/// What is in force from now on. Display is one sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// Who netmon is.
    pub user: String,
    /// Whether root or capabilities were held and given up.
    pub dropped: bool,
    /// Every layer, in the order of [`Layer::ALL`].
    pub layers: [(Layer, State); 5],
}

impl Confinement {
    /// Whether a layer is in force.
    pub fn is_active(&self, layer: Layer) -> bool {
        self.layers.iter().any(|(of, state)| *of == layer && *state == State::Active)
    }

    /// Whether files or system calls are restricted.
    pub fn is_sandboxed(&self) -> bool {
        self.is_active(Layer::Landlock) || self.is_active(Layer::Seccomp)
    }

    /// The layers that are not in force although they were asked for, and why.
    pub fn missing(&self) -> impl Iterator<Item = (Layer, &str)> {
        self.layers.iter().filter_map(|(layer, state)| Some((*layer, state.reason()?)))
    }

    /// Refuses what is not complete where `sandbox` is strict.
    fn complete(self, sandbox: Sandbox) -> Result<Self, PrivilegeError> {
        let missing = self.missing().next().filter(|_| sandbox == Sandbox::Strict);
        match missing.map(|(layer, reason)| (layer.name(), reason.to_owned())) {
            Some((layer, reason)) => Err(PrivilegeError::LayerMissing { layer, reason }),
            None => Ok(self),
        }
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |wanted: fn(&State) -> bool| {
            let names: Vec<_> = self.layers.iter().filter(|(_, s)| wanted(s)).map(|(layer, _)| layer.name()).collect();
            if names.is_empty() { "none".into() } else { names.join(", ") }
        };
        write!(f, "runs as {}; layers active: {}", self.user, names(|state| *state == State::Active))?;
        if self.layers.iter().any(|(_, state)| *state == State::Off) {
            write!(f, "; off: {}", names(|state| *state == State::Off))?;
        }
        self.missing().try_for_each(|(layer, reason)| write!(f, "; {} missing: {reason}", layer.name()))
    }
}

/// Gives everything up, for good, in the calling thread while it is the only one. Whatever `needs` does not name has
/// to be open before.
///
/// After an error some of it may be given up and some not: nothing is left but to exit.
///
/// # Errors
/// Other threads exist; the system refuses a step; what was given up could be taken back; a path of `needs` does not
/// exist; a layer is missing and [`Sandbox::Strict`] asked for all.
pub fn confine(identity: &Identity, config: &Config, needs: &Needs) -> Result<Confinement, PrivilegeError> {
    system::confine(identity, config, needs)?.complete(config.sandbox)
}

/// Makes CAP_NET_RAW effective where the program has it only permitted (`setcap cap_net_raw+p`). Says whether it is
/// effective now, which includes root that has it. Call it before capture handles are opened.
///
/// # Errors
/// The system refuses it although it is permitted.
#[cfg(target_os = "linux")]
pub fn raise_net_raw() -> Result<bool, PrivilegeError> {
    linux::raise_net_raw()
}

/// There is no such capability on this system.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn raise_net_raw() -> Result<bool, PrivilegeError> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confinement(landlock: State, seccomp: State) -> Confinement {
        let layers = [
            (Layer::User, State::Active),
            (Layer::Capabilities, State::Active),
            (Layer::NoNewPrivs, State::Active),
            (Layer::Landlock, landlock),
            (Layer::Seccomp, seccomp),
        ];
        Confinement { user: "netmon".into(), dropped: true, layers }
    }

    #[test]
    fn what_is_in_force_is_one_sentence() {
        let missing = confinement(State::Missing("not in this kernel".into()), State::Active);
        assert_eq!(
            missing.to_string(),
            "runs as netmon; layers active: user, capabilities, no_new_privs, seccomp; landlock missing: not in this \
             kernel"
        );
        let off = confinement(State::Off, State::Off);
        assert!(off.to_string().ends_with("no_new_privs; off: landlock, seccomp"), "{off}");
        assert!(missing.is_sandboxed() && !off.is_sandboxed());
    }

    #[test]
    fn only_strict_minds_a_missing_layer_and_names_it() {
        let missing = || confinement(State::Missing("not in this kernel".into()), State::Active);
        assert!(missing().complete(Sandbox::Auto).is_ok());
        assert!(confinement(State::Off, State::Off).complete(Sandbox::Off).is_ok());
        let error = missing().complete(Sandbox::Strict).expect_err("a layer is missing");
        assert_eq!(error.to_string(), "`privileges.sandbox` is `strict`, but landlock is missing: not in this kernel");
        assert!(error.hint().is_some_and(|hint| hint.contains("auto")));
    }
}
