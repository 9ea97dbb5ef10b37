//! `configuration.md`: every key of the configuration file.

use super::markdown::{code, heading, page, paragraph, table};
use crate::config::{Key, keys};

const ABOUT: &str = "Every key of `netmon.yaml`, as `netmon check --schema` has them for editors. A path is written as nested maps: \
`flows.timeouts.udp` is `udp` in `timeouts` in `flows`; `[]` stands for each item of a list, `NAME` for a name of your choice. \
The variable of a key is its path in capitals: `NETMON_FLOWS__TIMEOUTS__UDP=10s`. Flags stand over variables, those over the \
file, that over defaults.

Durations are written `100ms`, `10s`, `1h30min` (a bare number is in seconds), sizes `1500`, `64kB` (1000), `16MiB` (1024 \
squared). *Reload*: whether `systemctl reload netmon`, SIGHUP or `POST /api/v1/reload` takes a change; the others need a restart.";

/// The page.
pub(super) fn reference() -> String {
    let keys = keys();
    let mut out = page("Configuration", ABOUT);
    heading(&mut out, 2, "Top level");
    rows(&mut out, &keys, "");
    for section in keys.iter().filter(|key| key.is_section) {
        let is_list = keys.iter().any(|key| key.path.starts_with(&format!("{}[].", section.path)));
        let prefix = if is_list { format!("{}[]", section.path) } else { section.path.clone() };
        heading(&mut out, 2, &code(&prefix));
        paragraph(&mut out, &section.description);
        rows(&mut out, &keys, &prefix);
    }
    out
}

/// A table of the keys that a section has itself.
fn rows(out: &mut String, keys: &[Key], section: &str) {
    let own = keys.iter().filter(|key| parent(&key.path) == section && !key.is_section);
    table(out, ["key", "allowed", "default", "reload", "meaning"], &own.map(row).collect::<Vec<_>>());
}

/// The section that a key is in.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(section, _)| section)
}

fn row(key: &Key) -> [String; 5] {
    let default = key.default.as_deref().map(code).unwrap_or_default();
    let reload = if key.reloadable { "yes" } else { "no" };
    [code(&key.path), key.allowed.clone(), default, reload.to_owned(), key.description.clone()]
}
