//! Manual pages: one for each command, and `netmon.yaml(5)`.

use super::commands::after_help;
use super::configuration::parent;
use crate::config::{DEFAULT_FILES, Key, keys};
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use std::path::PathBuf;

/// All pages about a program that was built, by their path below a `share` directory.
pub(super) fn pages(program: &Command) -> Vec<(PathBuf, Vec<u8>)> {
    let mut pages = Vec::new();
    command_pages(program, program, &mut pages);
    pages.push((PathBuf::from("man/man5/netmon.yaml.5"), configuration().into_bytes()));
    pages
}

fn command_pages(program: &Command, command: &Command, pages: &mut Vec<(PathBuf, Vec<u8>)>) {
    if command.is_hide_set() {
        return;
    }
    let name = page_name(command);
    pages.push((PathBuf::from(format!("man/man1/{name}.1")), page(program, command, name)));
    command.get_subcommands().for_each(|below| command_pages(program, below, pages));
}

fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

fn page(program: &Command, command: &Command, name: &str) -> Vec<u8> {
    // What stands below the options has a layout of its own.
    let described = command.clone().after_help(None).after_long_help(None);
    let man = Man::new(described).title(name.to_uppercase()).source(source()).manual("netmon");
    let mut page = Vec::new();
    let rendered = man.render(&mut page);
    // Writing to memory cannot fail.
    debug_assert!(rendered.is_ok());
    let mut roff = Roff::new();
    notes(&mut roff, &after_help(command));
    if page_name(program) == name {
        files(&mut roff);
    }
    see_also(&mut roff, program, command);
    page.extend_from_slice(roff.to_roff().as_bytes());
    page
}

fn source() -> String {
    format!("netmon {}", env!("CARGO_PKG_VERSION"))
}

/// What stands below the options of `--help`, line by line as it is there.
fn notes(roff: &mut Roff, text: &str) {
    if text.is_empty() {
        return;
    }
    roff.control("SH", ["NOTES"]);
    roff.control("nf", []);
    for line in text.lines() {
        if line.is_empty() {
            roff.control("sp", [])
        } else {
            roff.text([roman(line)])
        };
    }
    roff.control("fi", []);
}

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    let described = [
        ("netmon.yaml, /etc/netmon/netmon.yaml", "The configuration, in this order; see netmon.yaml(5)."),
        ("/var/lib/netmon", "History, and what is to be delivered, of the service; see state.directory."),
        ("/run/netmon/netmon.sock", "The HTTP interface of the service, for members of the group netmon."),
    ];
    for (path, about) in described {
        roff.control("TP", []);
        roff.text([italic(path)]);
        roff.text([roman(about)]);
    }
}

fn see_also(roff: &mut Roff, program: &Command, command: &Command) {
    let own = page_name(command);
    let mut pages: Vec<String> = Vec::new();
    if page_name(program) != own {
        pages.push(format!("{}(1)", page_name(program)));
    }
    pages.extend(["netmon.yaml(5)".to_owned(), "pcap-filter(7)".to_owned()]);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(pages.join(", "))]);
}

/// `netmon.yaml(5)`.
fn configuration() -> String {
    let mut roff = Roff::new();
    roff.control("TH", ["NETMON.YAML", "5", "", &source(), "netmon"]);
    roff.control("SH", ["NAME"]).text([roman("netmon.yaml - configuration of netmon")]);
    roff.control("SH", ["DESCRIPTION"]);
    for (n, text) in DESCRIPTION.iter().enumerate() {
        if n > 0 {
            roff.control("PP", []);
        }
        roff.text(spoken(text));
    }
    let files = DEFAULT_FILES.map(|file| format!("`{file}`")).join(", then ");
    roff.control("PP", []).text(spoken(&format!("It is looked for as {files}; `--config` names another.")));
    let keys = keys();
    section(&mut roff, &keys, "");
    for of in keys.iter().filter(|key| key.is_section) {
        let is_list = keys.iter().any(|key| key.path.starts_with(&format!("{}[].", of.path)));
        let prefix = if is_list { format!("{}[]", of.path) } else { of.path.clone() };
        section(&mut roff, &keys, &prefix);
    }
    roff.control("SH", ["SEE ALSO"])
        .text([roman("netmon(1), netmon-check(1), netmon-alerts-metrics(1), pcap-filter(7)")]);
    roff.to_roff()
}

const DESCRIPTION: [&str; 3] = [
    "The file is YAML. All keys may be left out. An unknown key is refused with the nearest known one; `netmon check` prints \
     every mistake at once, with its line.",
    "Durations are written `100ms`, `10s`, `1h30min` (a bare number is in seconds), sizes `1500`, `64kB` (1000), `16MiB` (1024 \
     squared).",
    "Each key can also be set by a variable, which stands over the file: `NETMON_FLOWS__TIMEOUTS__UDP=10s` is \
     `flows.timeouts.udp`. Below, `[]` stands for each item of a list; a change of a key that is marked as such is taken by a \
     reload, any other needs a restart.",
];

fn section(roff: &mut Roff, keys: &[Key], section: &str) {
    let own: Vec<&Key> = keys.iter().filter(|key| parent(&key.path) == section && !key.is_section).collect();
    if own.is_empty() {
        return;
    }
    roff.control("SH", [if section.is_empty() { "TOP LEVEL" } else { section }]);
    for key in own {
        roff.control("TP", []);
        roff.text([bold(key.path.as_str())]);
        roff.text(spoken(&format!("{}{}", key.description, terms(key))));
    }
}

/// Bounds, default and reload, behind the description.
fn terms(key: &Key) -> String {
    let allowed = (!key.allowed.is_empty()).then(|| format!("allowed {}", key.allowed));
    let default = key.default.as_ref().map(|default| format!("default `{default}`"));
    let reload = key.reloadable.then(|| "can change on reload".to_owned());
    let terms: Vec<String> = [allowed, default, reload].into_iter().flatten().collect();
    if terms.is_empty() { String::new() } else { format!(" ({})", terms.join("; ")) }
}

/// Text with words of the program between backticks, in bold.
fn spoken(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 1 { bold(part) } else { roman(part.replace('\n', " ")) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_roff_would_take_for_its_own_is_shown_as_it_is() {
        let mut roff = Roff::new();
        notes(&mut roff, "Examples:\n\n  .x 'a' \\n\n.TH");
        let page = roff.to_roff();
        assert!(page.contains("\\&.TH") && page.contains("\\\\n") && page.contains(".sp"), "{page}");
    }
}
