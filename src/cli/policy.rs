//! `hcb policy`: what policies there are, what they mean, and whether they do what they say.

mod explain;
mod list;
mod test;

use super::output::{Outcome, OutputStyle};
use clap::Subcommand;

/// Show and test policies: those built in, and the team's own.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb policy list                      every policy, with what is done where\n  hcb policy explain hcb-budget        what one asks for, and how to change it\n  hcb policy test                      the tests of the team's own policies"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Explain(explain::Args),
    Test(test::Args),
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::List(args) => list::run(args, style),
        Command::Explain(args) => explain::run(args, style),
        Command::Test(args) => test::run(args, style),
    }
}
