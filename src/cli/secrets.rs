//! Secrets of receivers, read as `netmon run` reads them: for the user that it becomes.

use crate::config::{Config, Finding};
use crate::notify::client::Factory;
use crate::notify::receiver::{OpenError, Receiver};
use crate::notify::secret::Surroundings;
use crate::otlp;
use crate::privilege::{self, PrivilegeError};

/// This process's environment, and the files of the user that `netmon run` would become if it were started here.
///
/// # Errors
/// There is no such user.
pub(super) fn surroundings(config: &privilege::Config) -> Result<Surroundings<'static>, PrivilegeError> {
    let user = privilege::identity(config)?.user_id();
    Ok(Surroundings { user, ..Surroundings::of_process() })
}

/// What is missing on this machine for receivers and a collector to be used: the user, secrets, certificates.
pub(super) fn missing(config: &Config) -> Vec<Finding> {
    if config.notify.receivers.is_empty() && !config.otlp.is_on() {
        return Vec::new();
    }
    let around = match surroundings(&config.privileges) {
        Ok(around) => around,
        Err(error) => {
            let (message, hint) = (error.to_string(), error.hint());
            return vec![Finding { key: "privileges.user".into(), message, hint }];
        }
    };
    let factory = Factory::default();
    let refused = config.notify.receivers.iter().enumerate().filter_map(|(n, configured)| {
        let error = Receiver::open(&configured.receiver, &factory, around).err()?;
        Some(finding(format!("receivers[{n}].{}", configured.receiver.kind.name()), error))
    });
    refused.chain(collector(config, around)).collect()
}

fn collector(config: &Config, around: Surroundings<'_>) -> Option<Finding> {
    let error = otlp::Targets::open(&config.otlp, around).err()?;
    let (key, hint) = (error.key().into(), error.hint());
    Some(Finding { key, message: format!("{:#}", anyhow::Error::new(error)), hint })
}

fn finding(key: String, error: OpenError) -> Finding {
    let hint = error.hint();
    Finding { key, message: format!("{:#}", anyhow::Error::new(error)), hint }
}
