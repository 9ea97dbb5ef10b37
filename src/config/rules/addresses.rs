//! Networks, and where to listen.

use super::Rule;
use super::numbers::parse_count;
use crate::config::mistake::quoted;
use crate::config::units::Size;
use crate::http::Bind;
use crate::telemetry::is_unsafe;
use ipnet::IpNet;
use schemars::{Schema, json_schema};
use serde_json::Value as Json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A network in CIDR notation; an address alone is a network of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network;

impl Rule for Network {
    type Value = IpNet;

    fn parse(text: &str) -> Result<IpNet, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network: IpNet = text.parse().map_err(|_| quoted(text))?;
        if network == network.trunc() {
            return Ok(network);
        }
        Err(format!("{} (bits behind the prefix are set; did you mean `{}`?)", quoted(text), network.trunc()))
    }

    fn allowed() -> String {
        "a network such as `10.0.0.0/8` or `fd00::/8`".into()
    }

    fn json(value: &IpNet) -> Json {
        value.to_string().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": r"^[0-9a-fA-F.:]+(/[0-9]{1,3})?$"})
    }
}

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `:8080` for every address, `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress;

impl BindAddress {
    /// The path of a unix socket address has 108 bytes with its NUL on Linux, 104 on BSD.
    const MAX_PATH: usize = 103;
}

impl Rule for BindAddress {
    type Value = Bind;

    fn parse(text: &str) -> Result<Bind, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_good = path.starts_with('/') && path.len() <= Self::MAX_PATH && !path.contains(is_unsafe);
            return if is_good { Ok(Bind::Unix(path.into())) } else { Err(quoted(text)) };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Bind::Tcp(address));
        }
        let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| parse_count(port, 0, 65535).is_ok()) else {
            let is_port = parse_count(text, 0, 65535).is_ok();
            let missing = if is_port { " (no address)" } else { "" };
            return Err(format!("{}{missing}", quoted(text)));
        };
        let port = port.parse().map_err(|_| quoted(text))?;
        match host {
            "" => Ok(Bind::Tcp((Ipv6Addr::UNSPECIFIED, port).into())),
            "localhost" => Ok(Bind::Tcp((Ipv4Addr::LOCALHOST, port).into())),
            name if name.contains(|c: char| c.is_ascii_alphabetic()) && !name.contains(':') => {
                Err(format!("{} (names are not resolved here)", quoted(text)))
            }
            _ => Err(quoted(text)),
        }
    }

    fn allowed() -> String {
        format!(
            "`ADDRESS:PORT`, `[IPv6]:PORT`, `:PORT`, or `unix:` and an absolute path of at most {}",
            Size(Self::MAX_PATH as u64)
        )
    }

    fn json(value: &Bind) -> Json {
        match value {
            Bind::Tcp(address) => address.to_string().into(),
            Bind::Unix(path) => format!("unix:{}", path.display()).into(),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^unix:/.+$|^.*:[0-9]{1,5}$"})
    }

    fn default_list() -> Vec<Bind> {
        crate::http::Config::default().bind
    }
}

/// A host name without a port, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName;

impl HostName {
    /// RFC 1035 section 2.3.4.
    const MAX_LENGTH: usize = 253;
    const MAX_LABEL: usize = 63;
}

impl Rule for HostName {
    type Value = String;

    fn parse(text: &str) -> Result<String, String> {
        let is_label = |label: &str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            (1..=Self::MAX_LABEL).contains(&label.len()) && label.chars().all(is_part)
        };
        let is_good = text.len() <= Self::MAX_LENGTH && text.split('.').all(is_label);
        if is_good { Ok(text.to_ascii_lowercase()) } else { Err(quoted(text)) }
    }

    fn allowed() -> String {
        "a host name without a port, such as `netmon.example.org`".into()
    }

    fn json(value: &String) -> Json {
        value.as_str().into()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9A-Za-z_.-]{1,253}$"})
    }
}
