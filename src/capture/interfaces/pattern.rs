//! Which interfaces the user means: names, globs, `!name`, `any`.

use super::{Interface, no_such};
use crate::capture::CaptureError;

/// What a list of patterns selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Interfaces in the order of the patterns, each once.
    pub names: Vec<String>,
    /// Globs that match nothing now, worth a warning.
    pub unmatched: Vec<String>,
}

/// Selects from `list`.
///
/// A pattern is a name, a glob with `*` and `?`, `any` (all that are up), or one of these behind `!` to leave them out
/// whatever their place. With nothing but `!` patterns, `any` is meant.
///
/// # Errors
/// A plain name that does not exist, and patterns that together leave nothing.
pub fn resolve(patterns: &[String], list: &[Interface]) -> Result<Resolved, CaptureError> {
    let (excluded, mut included): (Vec<&str>, Vec<&str>) =
        patterns.iter().map(String::as_str).partition(|pattern| pattern.starts_with('!'));
    let is_excluded =
        |interface: &Interface| excluded.iter().any(|pattern| matches(pattern.trim_start_matches('!'), interface));
    if included.is_empty() && !excluded.is_empty() {
        included.push("any");
    }
    let mut resolved = Resolved::default();
    for pattern in included {
        let mut matched = false;
        for interface in list.iter().filter(|interface| matches(pattern, interface)) {
            matched = true;
            if !is_excluded(interface) && !resolved.names.contains(&interface.name) {
                resolved.names.push(interface.name.clone());
            }
        }
        if !matched && is_name(pattern) {
            return Err(no_such(pattern, list));
        }
        if !matched {
            resolved.unmatched.push(pattern.to_owned());
        }
    }
    if resolved.names.is_empty() {
        return Err(CaptureError::NothingMatches { patterns: patterns.to_vec() });
    }
    Ok(resolved)
}

/// Whether every plain name among the patterns exists; globs may wait for theirs.
///
/// # Errors
/// [`CaptureError::NoSuchInterface`] for the first that does not.
pub fn check_names(patterns: &[String], list: &[Interface]) -> Result<(), CaptureError> {
    let asked = patterns.iter().filter(|pattern| !pattern.starts_with('!') && is_name(pattern));
    let missing = asked.into_iter().find(|name| list.iter().all(|interface| interface.name != **name));
    missing.map_or(Ok(()), |name| Err(no_such(name, list)))
}

/// Neither `any` nor a glob.
pub(super) fn is_name(pattern: &str) -> bool {
    pattern != "any" && !pattern.contains(['*', '?'])
}

fn matches(pattern: &str, interface: &Interface) -> bool {
    if pattern == "any" { interface.up } else { glob(pattern.as_bytes(), interface.name.as_bytes()) }
}

/// Whether `text` is of the form of `pattern`: `*` is any run of bytes, `?` any one byte.
pub(super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not fit: one byte later in the text.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t + 1));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after_star, next)) = retry else { return false };
                (p, t) = (after_star, next);
                retry = Some((after_star, next + 1));
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Vec<Interface> {
        [("lo", true), ("eth0", true), ("eth1", false), ("veth1a", true), ("docker0", false)]
            .map(|(name, up)| Interface { name: name.into(), up, ..Interface::default() })
            .into()
    }

    fn names(patterns: &[&str]) -> Result<Vec<String>, CaptureError> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        resolve(&patterns, &machine()).map(|resolved| resolved.names)
    }

    #[test]
    fn names_keep_the_order_in_which_they_are_asked_for_and_come_once() {
        assert_eq!(names(&["veth1a", "eth0", "eth*"]).unwrap(), ["veth1a", "eth0", "eth1"]);
    }

    #[test]
    fn any_is_all_that_are_up() {
        assert_eq!(names(&["any"]).unwrap(), ["lo", "eth0", "veth1a"]);
    }

    #[test]
    fn an_exclusion_wins_wherever_it_stands_and_alone_means_any_other() {
        assert_eq!(names(&["!veth*", "any"]).unwrap(), ["lo", "eth0"]);
        assert_eq!(names(&["!lo"]).unwrap(), ["eth0", "veth1a"]);
        assert_eq!(names(&["eth0", "eth1", "!eth0"]).unwrap(), ["eth1"]);
    }

    #[test]
    fn a_missing_name_is_an_error_and_a_glob_that_matches_nothing_a_warning() {
        let error = names(&["eth0", "eht1"]).unwrap_err();
        assert!(error.to_string().starts_with("no interface `eht1`; there are: eth1, eth0"), "{error}");
        let resolved = resolve(&["eth0".into(), "wlan*".into()], &machine()).unwrap();
        assert_eq!((resolved.names, resolved.unmatched), (vec!["eth0".into()], vec!["wlan*".into()]));
        assert_eq!(names(&["wlan?", "!lo"]).unwrap_err().to_string(), "no interface matches `wlan?`, `!lo`");
    }

    #[test]
    fn only_plain_names_must_exist() {
        let check = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            check_names(&patterns, &machine()).map_err(|error| error.to_string())
        };
        assert_eq!(check(&["eth0", "wlan*", "any", "!eth9"]), Ok(()));
        assert!(check(&["eth0", "eht1"]).unwrap_err().starts_with("no interface `eht1`; there are: eth1, eth0"));
    }

    #[test]
    fn globs_match_whole_names() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*ab*ab", "ababab", true),
            ("?", "", false),
            ("e?h*", "eth0", true),
            ("eth", "eth0", false),
            ("**", "x", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
