//! Why privileges could not be given up, in words for the person who starts netmon.

use std::io;
use std::path::PathBuf;

/// Why privileges could not be given up. [`PrivilegeError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// A name that the system does not know.
    #[error("no user `{user}` on this system")]
    UnknownUser {
        /// As configured.
        user: String,
    },
    /// Another name of root, or a user whose group is root's.
    #[error("`privileges.user` is `{user}`, which has {what} 0; netmon gives root up")]
    Root {
        /// As configured.
        user: String,
        /// `user id` or `group id`.
        what: &'static str,
    },
    /// The user database could not be read.
    #[error("cannot look up the user `{user}`")]
    Lookup {
        /// As configured.
        user: String,
        /// What the system says.
        source: io::Error,
    },
    /// Privileges are each thread's own, so there may be only one.
    #[error("cannot give up privileges in {count} threads, allowed 1")]
    Threads {
        /// Threads of the process.
        count: usize,
    },
    /// CAP_NET_RAW is to be kept but is not held.
    #[error("`privileges.keep_net_raw` is set, but CAP_NET_RAW is not held")]
    NothingToKeep,
    /// The system refused a step.
    #[error("cannot {action}")]
    Step {
        /// The step.
        action: String,
        /// What the system says.
        source: io::Error,
    },
    /// What was given up is still there or could be taken back.
    #[error("privileges are not given up: {what}")]
    StillHeld {
        /// What is still there.
        what: String,
    },
    /// A path that has to stay within reach cannot be found.
    #[error("cannot keep `{}` within reach", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A layer is missing and all of them were asked for.
    #[error("`privileges.sandbox` is `strict`, but {layer} is missing: {reason}")]
    LayerMissing {
        /// Name of the layer.
        layer: &'static str,
        /// Why.
        reason: String,
    },
}

impl PrivilegeError {
    /// A step that the system refused.
    pub(super) fn step(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Step { action: action.into(), source: source.into() }
    }

    /// Whether the configuration is wrong (exit code 2), not the run (exit code 1).
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownUser { .. } | Self::Root { .. })
    }

    /// What to do about it, for a line of its own.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownUser { user } => {
                Some(format!("`{}`, or set `privileges.user` to a number", create_command(user)))
            }
            Self::Root { .. } => Some(format!("name an ordinary user: `{}` makes one", create_command("netmon"))),
            Self::NothingToKeep => Some("start as root, or `setcap cap_net_raw+ep` on the binary".into()),
            Self::Step { .. } => Some(
                "as root in a container, netmon needs SETUID and SETGID beside NET_RAW, or an ordinary user from the \
                 start"
                    .into(),
            ),
            Self::LayerMissing { layer: "user", .. } if cfg!(target_os = "linux") => {
                Some("start as an ordinary user, or with CAP_SETUID and CAP_SETGID".into())
            }
            Self::LayerMissing { .. } => Some(
                "Linux from 6.12 on x86_64 and aarch64 has all layers; `privileges.sandbox: auto` goes on with those \
                 that are there and exports which"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// What makes a user for netmon.
pub(super) fn create_command(user: &str) -> String {
    format!("useradd --system --no-create-home --shell /usr/sbin/nologin {user}")
}
