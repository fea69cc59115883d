//! The program that the reconciler's Deployment runs.

mod arguments;

use anyhow::{Context, anyhow};
use arguments::Request;
use hcb_reconciler::core::record::compare;
use hcb_reconciler::engine::registry;
use hcb_reconciler::runtime::config_file;
use hcb_reconciler::runtime::start::{Start, start};
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

/// Gives memory back as soon as it is free, as the Deployment asks for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code where a record is decided otherwise.
const DIFFERENT: u8 = 1;
/// The exit code of a failure.
const FAILURE: u8 = 2;

fn main() -> ExitCode {
    let request = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "hcb-reconciler: {error}\n\n{}",
                arguments::USAGE
            );
            return ExitCode::from(FAILURE);
        }
    };
    let done = match request {
        Request::Help => say(arguments::USAGE).map(|()| ExitCode::SUCCESS),
        Request::Version => say(env!("CARGO_PKG_VERSION")).map(|()| ExitCode::SUCCESS),
        Request::Replay { record, config } => replay(&record, config.as_deref()),
        Request::Run(arguments) => run(arguments),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "hcb-reconciler: {error:#}");
        ExitCode::from(FAILURE)
    })
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("standard output")
}

/// Says what came of it, beside the data on standard output.
fn report(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn run(arguments: Start) -> anyhow::Result<ExitCode> {
    let config = config_file::load(&arguments.path)?;
    if let Some(summary) = start(config, arguments)? {
        report(&summary);
    }
    Ok(ExitCode::SUCCESS)
}

fn replay(record: &Path, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let name = record.display();
    let config = config.map(config_file::load).transpose()?;
    let file = File::open(record).with_context(|| format!("{name} cannot be read"))?;
    let mut said = Ok(());
    let compared = compare(
        BufReader::new(file),
        |config| registry::of(config).pacing(),
        config.as_ref(),
        |line| {
            if said.is_ok() {
                said = say(line);
            }
        },
    );
    let compared = compared.map_err(|problem| anyhow!("{name}: {problem}"))?;
    said?;
    report(&compared.to_string());
    Ok(if compared.different.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENT)
    })
}
