//! Records runs of the reconciler on Admiralty for `tests/records`: what it saw and what it decided of it.
//!
//! `cargo run -p hcb-testbed --example record [-- [--out FOLDER] [NAME...]]` plays the runs, each on servers of
//! its own, and writes `NAME.jsonl` for each. Needs Admiralty.

use anyhow::{Context, Result, bail};
use hcb_testbed::admiralty::VARIABLE;
use hcb_testbed::hybrid::{Hybrid, Setup, replica_name};
use hcb_testbed::scenario::{Act, Scenario};
use hcb_testbed::{say, scenarios, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long nothing must have changed for a run to be over. A node that is bought takes half of that to be there.
const PATIENCE: Duration = Duration::from_secs(45);
/// So long that nothing ends while a run lasts.
const LONG: Duration = Duration::from_secs(900);
const SOON: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<()> {
    let mut out = PathBuf::from("target/records");
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--out" => out = arguments.next().context("--out needs a folder")?.into(),
            name => wanted.push(name.to_owned()),
        }
    }
    let all = runs();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| all.iter().all(|run| run.name != **name))
    {
        let names: Vec<_> = all.iter().map(|run| run.name).collect();
        bail!("no run {unknown}; there are {}", names.join(", "));
    }
    fs::create_dir_all(&out)?;
    for run in all
        .iter()
        .filter(|run| wanted.is_empty() || wanted.iter().any(|name| name == run.name))
    {
        let path = out.join(format!("{}.jsonl", run.name));
        record(run, &path).await?;
        say(&format!("{}: {}", run.name, path.display()));
    }
    Ok(())
}

/// The runs: some of the experiment's scenarios, and a cluster that is drained under jobs.
fn runs() -> Vec<Scenario> {
    let jobs = |count| Act::Jobs {
        workload: "train",
        count,
        every: Duration::ZERO,
        run_for: LONG,
    };
    let drained = Scenario {
        name: "drained",
        spec: "two-public",
        title: "28 jobs on 16 private slots and two public clusters; one is drained under them",
        acts: vec![
            (Duration::ZERO, jobs(28)),
            (
                Duration::from_secs(25),
                Act::Drain {
                    cluster: "public-a",
                },
            ),
        ],
        ..scenarios::named("two-public")
    };
    ["plain", "mixed-sizes", "silence", "stream"]
        .map(scenarios::named)
        .into_iter()
        .chain([drained])
        .collect()
}

/// Plays a run with one replica of the reconciler, which records it.
async fn record(run: &Scenario, path: &Path) -> Result<()> {
    let spec = scenarios::spec(run);
    let hybrid = Hybrid::of_spec(&spec, Setup::Static, run.node_delay).await?;
    let hybrid = hybrid.with_context(|| format!("nothing is recorded without {VARIABLE}"))?;
    let source = hybrid.source();
    let record = source.file("run.jsonl");
    hybrid.run_recorded(&record).await?;
    wait_for("the reconciler", SOON, async || {
        Ok(hybrid.reconciler(0, "/readyz").await.is_ok())
    })
    .await?;
    say(&format!("{}: {}", run.name, run.title));
    run.play(&hybrid, PATIENCE).await?;
    // One that ends by itself writes the last line to its end.
    let name = replica_name(0);
    source.with_process(&name, |process| process.signal("TERM"))?;
    wait_for("the end of the record", SOON, async || {
        source.with_process(&name, |process| Ok(!process.is_running()))
    })
    .await?;
    fs::copy(record, path)?;
    Ok(())
}
