//! `cli.md`: every command with its arguments, options and defaults.

use super::markdown::{code, heading, page, paragraph, table, verbatim};
use clap::{Arg, Command};

const ABOUT: &str = "Every command, argument and option. The same as `netmon COMMAND --help`, and as the manual pages \
    `netmon(1)`, `netmon-run(1)` and so on.";

/// The page about a program that was built.
pub(super) fn reference(program: &Command) -> String {
    let mut out = page("Commands", ABOUT);
    heading(&mut out, 2, "Options of all commands");
    let options: Vec<_> = shown(program).filter(|arg| arg.is_global_set() || is_help(arg)).map(row).collect();
    table(&mut out, TITLES, &options);
    paragraph(&mut out, "`netmon --version` prints the version.");
    verbatim(&mut out, &after_help(program));
    program.get_subcommands().for_each(|command| section(&mut out, command));
    out
}

const TITLES: [&str; 3] = ["option", "default", "meaning"];

fn section(out: &mut String, command: &Command) {
    if command.is_hide_set() {
        return;
    }
    let name = command.get_bin_name().unwrap_or(command.get_name());
    heading(out, 2, name);
    paragraph(out, &format!("{}.", about(command)));
    verbatim(out, &usage(command));
    let own = shown(command).filter(|arg| !arg.is_global_set() && !is_help(arg));
    let (arguments, options): (Vec<&Arg>, Vec<&Arg>) = own.partition(|arg| arg.is_positional());
    table(out, ["argument", "default", "meaning"], &arguments.into_iter().map(row).collect::<Vec<_>>());
    table(out, TITLES, &options.into_iter().map(row).collect::<Vec<_>>());
    verbatim(out, &after_help(command));
    command.get_subcommands().for_each(|below| section(out, below));
}

fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set())
}

fn is_help(arg: &Arg) -> bool {
    arg.get_id() == "help"
}

/// What a command does, in a line.
pub(super) fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// What stands below the options: examples, codes.
pub(super) fn after_help(command: &Command) -> String {
    command.get_after_help().map(|text| text.to_string().trim_end().to_owned()).unwrap_or_default()
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage: ").trim_end().to_owned()
}

fn row(arg: &Arg) -> [String; 3] {
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let takes_value = arg.get_action().takes_values();
    let default = if takes_value { code(&defaults.join(" ")) } else { String::new() };
    [code(&format!("{short}{arg}")), default, meaning(arg)]
}

/// Its help, and the values it takes where they are few.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let required = if arg.is_required_set() && !arg.is_positional() { " (required)" } else { "" };
    let values: Vec<String> = match arg.get_action().takes_values() {
        true => arg.get_possible_values().iter().filter(|value| !value.is_hide_set()).map(value).collect(),
        false => Vec::new(),
    };
    let values = if values.is_empty() { String::new() } else { format!(". One of: {}", values.join("; ")) };
    format!("{help}{required}{values}")
}

fn value(value: &clap::builder::PossibleValue) -> String {
    let help = value.get_help().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{}{help}", code(value.get_name()))
}
