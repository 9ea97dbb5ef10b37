//! `netmon alerts`: what can be watched, and rules tried on captures and on the history.

mod at_rest;
mod backtest;
mod daemon;
mod expect;
pub(super) mod metrics;
mod send;
pub(super) mod show;
mod silence;
mod test;

use super::{Common, Failure};
use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run rules over captures and compare what fires with what is expected
    Test(test::Arguments),
    /// What rules would have done on captures or on a history store: a timeline, and a count for each
    Backtest(backtest::Arguments),
    /// What rules can watch, with units and labels
    Metrics(metrics::Arguments),
    /// Send a test notification to a receiver, and say what came back
    Send(send::Arguments),
    /// Silences of a running daemon
    Silence(silence::Arguments),
}

pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Test(test) => test::main(common, test),
        Command::Backtest(backtest) => backtest::main(common, backtest),
        Command::Metrics(metrics) => metrics::main(metrics),
        Command::Send(send) => send::main(common, send),
        Command::Silence(silence) => silence::main(silence),
    }
}
