//! The command line: one command a file, one line of `Command` each.
//!
//! What a command makes goes to stdout, what it says to stderr. Exit codes: 0 fine, 1 findings,
//! 2 the command could not do its work.

mod access;
mod cancel;
mod compile;
mod completions;
mod diff;
mod explain;
mod explain_code;
mod fetch;
mod follow;
mod init;
mod input;
mod jobs;
mod list;
mod logs;
mod output;
mod policy;
mod reconcile;
mod report;
mod run;
mod schema;
mod show;
mod source_cluster;
mod status;
mod store;
mod submit;
mod validate;
mod watch;

use clap::{Parser, Subcommand};
use output::{Outcome, OutputStyle};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(
    name = "hcb",
    version,
    about = "Compiles one hybrid-cloud spec into the GitOps manifests that make Kubernetes jobs fill the private cluster first and burst to public ones only when it is full.",
    after_help = "Exit codes: 0 fine, 1 findings or drift, 2 the command could not do its work.\n\nExamples:\n  hcb init                      write a commented spec into `hybrid/`\n  hcb compile                   compile `hybrid/` into the folder that it names\n  hcb compile --check           say what is committed and is not what the spec says"
)]
struct Cli {
    #[command(flatten)]
    style: OutputStyle,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Validate(validate::Args),
    Compile(compile::Args),
    Diff(diff::Args),
    List(list::Args),
    Policy(policy::Args),
    Schema(schema::Args),
    ExplainCode(explain_code::Args),
    Reconcile(reconcile::Args),
    Status(status::Args),
    Explain(explain::Args),
    Submit(Box<submit::Args>),
    Fetch(fetch::Args),
    Jobs(jobs::Args),
    Logs(logs::Args),
    Cancel(cancel::Args),
    Completions(completions::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Validate(args) => validate::run(&args, cli.style),
        Command::Compile(args) => compile::run(&args, cli.style),
        Command::Diff(args) => diff::run(&args, cli.style),
        Command::List(args) => list::run(&args, cli.style),
        Command::Policy(args) => policy::run(&args, cli.style),
        Command::Schema(args) => schema::run(&args),
        Command::ExplainCode(args) => explain_code::run(&args, cli.style),
        Command::Reconcile(args) => reconcile::run(&args, cli.style),
        Command::Status(args) => status::run(&args, cli.style),
        Command::Explain(args) => explain::run(&args, cli.style),
        Command::Submit(args) => submit::run(&args, cli.style),
        Command::Fetch(args) => fetch::run(&args, cli.style),
        Command::Jobs(args) => jobs::run(&args, cli.style),
        Command::Logs(args) => logs::run(&args, cli.style),
        Command::Cancel(args) => cancel::run(&args, cli.style),
        Command::Completions(args) => completions::run(&args, command()),
    };
    match result {
        Ok(Outcome::Ok) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        // A reader that has seen enough (`hcb list | head`) is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            show::failure(&error);
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// The definition of the command line, for completions and for its documentation.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}
