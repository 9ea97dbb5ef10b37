//! Who netmon becomes on Unix.

use super::error::create_command;
use super::{Config, Identity, PrivilegeError, UserName};
use nix::unistd::{Uid, User, getegid, geteuid};

/// The user of netmon's own, where nothing else is configured.
const OWN: &str = "netmon";
/// Everybody's user, where there is none of netmon's own.
const NOBODY: &str = "nobody";
/// The kernel's number of `nobody`, for a system without an entry for it.
const NOBODY_ID: u32 = 65534;

/// Looks up who netmon becomes, before anything is given up.
///
/// Started as root: the configured user, else `netmon` if there is one, else `nobody` with a warning. Started as
/// anybody else: whoever that is.
///
/// # Errors
/// The configured user does not exist, is root by another name, or cannot be looked up.
pub fn identity(config: &Config) -> Result<Identity, PrivilegeError> {
    if !geteuid().is_root() {
        return Ok(stays(config));
    }
    let (identity, warning) = match &config.user {
        Some(user) => (configured(user)?, None),
        None => match entry_of_name(OWN)? {
            Some(user) => (becomes(user.name, (user.uid.as_raw(), user.gid.as_raw())), None),
            None => (nobody()?, Some(nobody_warning())),
        },
    };
    let what = match identity.ids {
        (0, _) => "user id",
        (_, 0) => "group id",
        _ => return Ok(Identity { warning, asked_for: config.user.is_some(), ..identity }),
    };
    Err(PrivilegeError::Root { user: identity.user, what })
}

/// Not root: another user cannot be had, so a configured one is only compared.
fn stays(config: &Config) -> Identity {
    let ids = (geteuid().as_raw(), getegid().as_raw());
    let entry = User::from_uid(geteuid()).ok().flatten();
    let user = entry.map_or_else(|| ids.0.to_string(), |entry| entry.name);
    let is_other = |wanted: &&UserName| match wanted {
        UserName::Name(name) => *name != user,
        UserName::Ids { uid, gid } => *uid != ids.0 || gid.is_some_and(|gid| gid != ids.1),
    };
    let warning = config.user.as_ref().filter(is_other).map(|wanted| {
        format!("`privileges.user` is `{wanted}`, but netmon was not started as root and stays `{user}`")
    });
    Identity { user, warning, ids, changes: false, asked_for: false }
}

fn configured(user: &UserName) -> Result<Identity, PrivilegeError> {
    match user {
        UserName::Name(name) => {
            let entry = entry_of_name(name)?.ok_or_else(|| PrivilegeError::UnknownUser { user: name.clone() })?;
            Ok(becomes(entry.name, (entry.uid.as_raw(), entry.gid.as_raw())))
        }
        UserName::Ids { uid, gid } => {
            let entry = User::from_uid(Uid::from_raw(*uid)).map_err(|error| lookup_failed(user, error))?;
            let own_group = entry.as_ref().map_or(*uid, |entry| entry.gid.as_raw());
            let name = entry.map_or_else(|| uid.to_string(), |entry| entry.name);
            Ok(becomes(name, (*uid, gid.unwrap_or(own_group))))
        }
    }
}

fn nobody() -> Result<Identity, PrivilegeError> {
    let ids = entry_of_name(NOBODY)?.map(|entry| (entry.uid.as_raw(), entry.gid.as_raw()));
    Ok(becomes(NOBODY.into(), ids.unwrap_or((NOBODY_ID, NOBODY_ID))))
}

fn nobody_warning() -> String {
    let create = create_command(OWN);
    format!("there is no user `{OWN}`, so netmon runs as `{NOBODY}`, which other programs use too: `{create}`")
}

fn becomes(user: String, ids: (u32, u32)) -> Identity {
    Identity { user, warning: None, ids, changes: true, asked_for: false }
}

fn entry_of_name(name: &str) -> Result<Option<User>, PrivilegeError> {
    User::from_name(name).map_err(|error| lookup_failed(&name, error))
}

fn lookup_failed(user: &impl ToString, error: nix::Error) -> PrivilegeError {
    PrivilegeError::Lookup { user: user.to_string(), source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: UserName) -> Result<Identity, PrivilegeError> {
        identity(&Config { user: Some(user), ..Config::default() })
    }

    #[test]
    fn numbers_need_no_entry_and_their_group_is_the_same_number() {
        if !geteuid().is_root() {
            return println!("skipped: only root chooses a user");
        }
        let found = of(UserName::Ids { uid: 3_999_999, gid: None }).expect("numbers are always there");
        assert_eq!((found.user.as_str(), found.ids()), ("3999999", (3_999_999, 3_999_999)));
        let found = of(UserName::Ids { uid: 3_999_999, gid: Some(7) }).expect("numbers are always there");
        assert_eq!(found.ids(), (3_999_999, 7));
    }

    #[test]
    fn an_unknown_user_is_refused_with_the_command_that_makes_it() {
        if !geteuid().is_root() {
            return println!("skipped: only root chooses a user");
        }
        let error = of(UserName::Name("no-such-user".into())).expect_err("there is none");
        assert_eq!(error.to_string(), "no user `no-such-user` on this system");
        assert!(error.is_usage() && error.hint().is_some_and(|hint| hint.contains("nologin no-such-user`")));
    }

    #[test]
    fn root_is_refused_by_any_name() {
        if !geteuid().is_root() {
            return println!("skipped: only root chooses a user");
        }
        let error = of(UserName::Name("root".into())).expect_err("it is root");
        assert_eq!(error.to_string(), "`privileges.user` is `root`, which has user id 0; netmon gives root up");
        assert!(of(UserName::Ids { uid: 3_999_999, gid: Some(0) }).is_err());
    }

    #[test]
    fn without_a_choice_it_is_netmon_or_else_nobody_with_advice() {
        let found = identity(&Config::default()).expect("one of them is there");
        let is_root = geteuid().is_root();
        assert_eq!(found.changes, is_root);
        if is_root && found.user != OWN {
            assert_eq!(found.user, NOBODY);
            let warning = found.warning.expect("nobody is not a good choice");
            assert!(warning.contains("`useradd --system --no-create-home --shell /usr/sbin/nologin netmon`"));
        }
    }
}
