//! The web configuration file that Prometheus and its exporters take: TLS and users.
//!
//! ```yaml
//! tls_server_config:
//!   cert_file: server.crt
//!   key_file: server.key
//! basic_auth_users:
//!   prometheus: $2y$10$...
//! ```
//!
//! Paths are relative to the file. What netmon has not (HTTP/2, own cipher suites, headers) is refused, never ignored.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use yaml_rust2::{Yaml, YamlLoader};

/// The largest file.
const MAX_BYTES: u64 = 64 << 10;
/// The most users.
const MAX_USERS: usize = 64;

/// Why the file cannot be taken.
#[derive(Debug, Error)]
pub enum WebConfigError {
    /// It, or a file that it names, cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is wrong.
    #[error("web config `{}`: {message}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong, found and allowed.
        message: String,
    },
    /// A certificate or a key is wrong.
    #[error("`{}` {message}", path.display())]
    Certificate {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

impl WebConfigError {
    /// What the user can do about it, in one line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => Some(super::READABLE.into()),
            Self::Wrong { .. } => {
                Some("`htpasswd -nBC 10 USER` makes a user's line; netmon takes what its documentation lists".into())
            }
            Self::Certificate { .. } => {
                Some("certificates and keys are PEM files; the chain begins with the server's own".into())
            }
        }
    }
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WebConfig {
    pub tls: Option<TlsFiles>,
    /// bcrypt hashes by name.
    pub users: BTreeMap<String, String>,
}

/// Where TLS is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Authorities whose clients are let in; anybody is without.
    pub clients: Option<PathBuf>,
    /// A certificate need not be sent, but a wrong one is refused.
    pub clients_optional: bool,
    pub least: Version,
    pub greatest: Version,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

impl TlsFiles {
    /// All of them.
    pub(super) fn files(&self) -> Vec<&Path> {
        [Some(&self.certificate), Some(&self.key), self.clients.as_ref()].into_iter().flatten().map(|p| &**p).collect()
    }
}

impl WebConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is wrong or not known.
    pub(super) fn load(path: &Path) -> Result<Self, WebConfigError> {
        let unreadable = |source| WebConfigError::Unreadable { path: path.into(), source };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        let wrong = |message| WebConfigError::Wrong { path: path.into(), message };
        if size > MAX_BYTES {
            return Err(wrong(format!("has {size} bytes, allowed {MAX_BYTES}")));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(wrong)
    }

    fn parse(text: &str, directory: &Path) -> Result<Self, String> {
        if text.contains(['&', '*']) && text.lines().any(|line| line.contains(": &") || line.contains(": *")) {
            return Err("anchors and aliases are not taken".into());
        }
        let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
        let root = match &documents[..] {
            [] => return Ok(Self::default()),
            [root] => map("the file", root)?,
            _ => return Err("has several documents, allowed one".into()),
        };
        let mut config = Self::default();
        for (key, value) in root {
            match key.as_str() {
                "tls_server_config" => config.tls = tls(&map(key, value)?, directory)?,
                "basic_auth_users" => config.users = users(&map(key, value)?)?,
                "http_server_config" => http(&map(key, value)?)?,
                _ => return Err(unknown(key, "tls_server_config, http_server_config, basic_auth_users")),
            }
        }
        Ok(config)
    }
}

/// Keys and values; nothing counts as an empty map.
fn map<'y>(name: &str, yaml: &'y Yaml) -> Result<BTreeMap<&'y String, &'y Yaml>, String> {
    match yaml {
        Yaml::Null => Ok(BTreeMap::new()),
        Yaml::Hash(hash) => hash
            .iter()
            .map(|(key, value)| match key {
                Yaml::String(key) => Ok((key, value)),
                _ => Err(format!("`{name}` has a key that is no text")),
            })
            .collect(),
        _ => Err(format!("`{name}` is no map")),
    }
}

fn unknown(key: &str, allowed: &str) -> String {
    format!("`{key}` is not known, allowed {allowed}")
}

fn users(users: &BTreeMap<&String, &Yaml>) -> Result<BTreeMap<String, String>, String> {
    if users.len() > MAX_USERS {
        return Err(format!("`basic_auth_users` has {} users, allowed {MAX_USERS}", users.len()));
    }
    let hash = |(name, hash): (&&String, &&Yaml)| match hash.as_str() {
        Some(hash) if is_hash(hash) && !name.contains(':') => Ok(((*name).clone(), hash.to_owned())),
        _ => Err(format!("`basic_auth_users.{name}` is no bcrypt hash (`$2y$10$...`, cost 4 to 16)")),
    };
    users.iter().map(hash).collect()
}

/// Above a cost of 16 a check takes seconds.
fn is_hash(text: &str) -> bool {
    let parts: bcrypt::HashParts = match text.parse() {
        Ok(parts) => parts,
        Err(_) => return false,
    };
    (4..=16).contains(&parts.get_cost())
}

fn http(config: &BTreeMap<&String, &Yaml>) -> Result<(), String> {
    for (key, value) in config {
        match (key.as_str(), value) {
            ("http2", Yaml::Boolean(false)) => {}
            ("http2", _) => return Err("`http2` is not false: netmon speaks HTTP/1.1 only".into()),
            _ => return Err(unknown(key, "http2: false")),
        }
    }
    Ok(())
}

const TLS_KEYS: &str = "cert_file, key_file, client_ca_file, client_auth_type, min_version, max_version";

fn tls(config: &BTreeMap<&String, &Yaml>, directory: &Path) -> Result<Option<TlsFiles>, String> {
    let mut found = BTreeMap::new();
    for (key, value) in config {
        let text = value.as_str().ok_or_else(|| format!("`tls_server_config.{key}` is no text"))?;
        if !TLS_KEYS.split(", ").any(|known| known == *key) {
            return Err(unknown(key, TLS_KEYS));
        }
        found.insert(key.as_str(), text);
    }
    if found.is_empty() {
        return Ok(None);
    }
    let file = |key: &str| found.get(key).filter(|text| !text.is_empty()).map(|text| directory.join(text));
    let needed = |key: &str| file(key).ok_or_else(|| format!("`tls_server_config.{key}` is missing"));
    let clients = file("client_ca_file");
    let (certificate, key) = (needed("cert_file")?, needed("key_file")?);
    let version = |key: &str, otherwise| match found.get(key).copied() {
        None => Ok(otherwise),
        Some("TLS12") => Ok(Version::Tls12),
        Some("TLS13") => Ok(Version::Tls13),
        Some(other) => Err(format!("`tls_server_config.{key}` is `{other}`, allowed TLS12 and TLS13")),
    };
    let (least, greatest) = (version("min_version", Version::Tls12)?, version("max_version", Version::Tls13)?);
    if least > greatest {
        return Err("`tls_server_config.min_version` is above `max_version`".into());
    }
    let clients_optional = match (found.get("client_auth_type").copied(), &clients) {
        (None | Some("NoClientCert"), None) => false,
        (Some("RequireAndVerifyClientCert"), Some(_)) => false,
        (Some("VerifyClientCertIfGiven"), Some(_)) => true,
        (Some("RequireAndVerifyClientCert" | "VerifyClientCertIfGiven"), None) => {
            return Err("`tls_server_config.client_ca_file` is missing".into());
        }
        (None | Some("NoClientCert"), Some(_)) => {
            return Err(
                "`tls_server_config.client_ca_file` is given, but `client_auth_type` asks for no certificate".into()
            );
        }
        (Some(other), _) => {
            return Err(format!(
                "`tls_server_config.client_auth_type` is `{other}`, allowed NoClientCert, VerifyClientCertIfGiven and \
                 RequireAndVerifyClientCert"
            ));
        }
    };
    Ok(Some(TlsFiles { certificate, key, clients, clients_optional, least, greatest }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<WebConfig, String> {
        WebConfig::parse(text, Path::new("/etc/netmon"))
    }

    #[test]
    fn files_are_beside_the_file_that_names_them() {
        let config = parse("tls_server_config:\n  cert_file: server.crt\n  key_file: /run/server.key\n").unwrap();
        let tls = config.tls.unwrap();
        assert_eq!(tls.certificate, Path::new("/etc/netmon/server.crt"));
        assert_eq!(tls.key, Path::new("/run/server.key"));
        assert_eq!((tls.least, tls.greatest), (Version::Tls12, Version::Tls13));
    }

    #[test]
    fn users_have_bcrypt_hashes() {
        let hash = bcrypt::hash("x", 4).unwrap();
        let config = parse(&format!("basic_auth_users:\n  a: {hash}\n")).unwrap();
        assert_eq!(config.users["a"], hash);
        assert!(parse("basic_auth_users:\n  a: secret\n").unwrap_err().contains("no bcrypt hash"));
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (text, word) in [
            ("tls_server_config: {cert_file: a}\n", "key_file` is missing"),
            ("tls_server_config: {cert_file: a, key_file: b, cipher_suites: c}\n", "cipher_suites"),
            ("tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}\n", "TLS10"),
            (
                "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}\n",
                "client_ca_file",
            ),
            ("http_server_config: {http2: true}\n", "HTTP/1.1"),
            ("rate_limit: {interval: 1s}\n", "rate_limit"),
            ("[1]\n", "no map"),
            ("a: &x [1]\nb: *x\n", "aliases"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
        assert_eq!(parse(""), Ok(WebConfig::default()));
    }
}
