//! `netmon manual`: the manual pages, the completions of shells and the reference pages, made from what the program
//! itself reads: its arguments, the types of the configuration, the catalogues of metrics, the description of the API.
//!
//! They are laid out as below a `share` directory, so that `netmon manual ~/.local/share` makes `man netmon` work.
//! `docs/reference` holds the reference pages; a test keeps them equal.

mod alert_metrics;
mod api;
mod commands;
mod configuration;
mod man;
mod markdown;
mod metrics;

use super::{Arguments as Program, Failure};
use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Directory to write them below, made if it is not there: /usr/local/share, ~/.local/share
    directory: PathBuf,
}

const HELP: &str = "What is written:
  man/man1, man/man5                     netmon(1), a page for each command, netmon.yaml(5)
  bash-completion/completions/netmon     completions, here of bash; zsh/site-functions, fish/vendor_completions.d
  doc/netmon/reference                   every command, key, metric and route, in Markdown";

pub(super) fn main(arguments: &Arguments) -> Result<(), Failure> {
    for (path, page) in pages() {
        write(&arguments.directory.join(path), &page).map_err(Failure::run)?;
    }
    Ok(())
}

fn write(path: &Path, page: &[u8]) -> anyhow::Result<()> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, page));
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

/// The script that completes the command line in a shell.
pub(super) fn completions(shell: Shell, program: &mut Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, program, "netmon", &mut script);
    script
}

/// Every page by its path below a `share` directory.
fn pages() -> Vec<(PathBuf, Vec<u8>)> {
    let mut program = Program::command();
    let completed = [
        ("bash-completion/completions/netmon", Shell::Bash),
        ("zsh/site-functions/_netmon", Shell::Zsh),
        ("fish/vendor_completions.d/netmon.fish", Shell::Fish),
    ];
    let completions = completed.map(|(path, shell)| (PathBuf::from(path), completions(shell, &mut program)));
    // The names of the subcommands as one types them, and the options that all of them take.
    let mut program = Program::command().disable_help_subcommand(true);
    program.build();
    let reference = [
        ("cli.md", commands::reference(&program)),
        ("configuration.md", configuration::reference()),
        ("metrics.md", metrics::reference()),
        ("alert-metrics.md", alert_metrics::reference()),
        ("api.md", api::reference()),
    ];
    let reference = reference.map(|(name, page)| (Path::new("doc/netmon/reference").join(name), page.into_bytes()));
    man::pages(&program).into_iter().chain(completions).chain(reference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_manual_page() {
        let pages = pages();
        for name in ["netmon", "netmon-run", "netmon-alerts-silence-add", "netmon-history-export", "netmon-manual"] {
            let path = PathBuf::from(format!("man/man1/{name}.1"));
            assert!(pages.iter().any(|(known, page)| *known == path && !page.is_empty()), "{name}");
        }
    }
}
