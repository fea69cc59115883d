//! Runs the experiments: each scenario with Admiralty as it comes and with what hcb generates, on the
//! same servers, judged by the API servers' own records.
//!
//! `cargo run -p hcb-testbed --example experiment [-- [--out FOLDER] [--keep | --judge] [--setup NAME] [SCENARIO...]]`
//! writes one table for all, and JSON and a picture for each scenario; with `--keep`, the servers' logs stay in
//! `target/testbed`, and `--judge` judges those again, without any server. Exits 1 where hcb's promises do not
//! hold.

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use hcb_testbed::admiralty::{Admiralty, VARIABLE};
use hcb_testbed::hybrid::{Hybrid, Setup};
use hcb_testbed::judge::{Verdict, judge, judge_logs};
use hcb_testbed::repository::compiled;
use hcb_testbed::scenario::Scenario;
use hcb_testbed::testbed::kept;
use hcb_testbed::{report, say, scenarios};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How long nothing must have changed for a scenario to be over.
const PATIENCE: Duration = Duration::from_secs(45);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the table is what this prints")]
async fn main() -> Result<()> {
    let mut out = PathBuf::from("target/experiment");
    let mut wanted = Vec::new();
    let (mut keep, mut only_judge) = (false, false);
    let mut setups = Setup::ALL.to_vec();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keep" => keep = true,
            "--judge" => only_judge = true,
            "--setup" => {
                let name = arguments.next().context("--setup needs a name")?;
                setups.retain(|setup| setup.name() == name);
                anyhow::ensure!(!setups.is_empty(), "no set-up `{name}`");
            }
            "--out" => out = arguments.next().context("--out needs a folder")?.into(),
            name => wanted.push(name.to_owned()),
        }
    }
    let all = scenarios::all();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| all.iter().all(|scenario| scenario.name != **name))
    {
        let names: Vec<_> = all.iter().map(|scenario| scenario.name).collect();
        bail!("no scenario {unknown}; there are {}", names.join(", "));
    }
    // Built once; what was kept is judged without it.
    let admiralty = if only_judge {
        None
    } else {
        Some(admiralty().await?)
    };
    fs::create_dir_all(&out)?;
    let mut tables = String::new();
    let mut broken = Vec::new();
    for scenario in all
        .iter()
        .filter(|scenario| wanted.is_empty() || wanted.iter().any(|name| name == scenario.name))
    {
        let verdicts = match &admiralty {
            None => judge_again(scenario, &setups)?,
            Some(admiralty) => play(scenario, &setups, admiralty, keep).await?,
        };
        broken.extend(
            verdicts
                .iter()
                .filter_map(|verdict| broken_promise(scenario.name, verdict)),
        );
        let table = report::table(scenario, &verdicts);
        println!("{table}");
        tables.push_str(&table);
        tables.push('\n');
        fs::write(
            out.join(format!("{}.json", scenario.name)),
            serde_json::to_string_pretty(&verdicts)?,
        )?;
        fs::write(
            out.join(format!("{}.svg", scenario.name)),
            report::picture(scenario, &verdicts),
        )?;
        fs::write(out.join("tables.md"), &tables)?;
    }
    if !broken.is_empty() {
        bail!("what hcb promises did not hold:\n{}", broken.join("\n"));
    }
    Ok(())
}

/// Admiralty, without which nothing can be played.
async fn admiralty() -> Result<Admiralty> {
    let found = tokio::task::spawn_blocking(Admiralty::get).await??;
    found.with_context(|| {
        format!("the experiments need Admiralty: {VARIABLE} names the folder with it")
    })
}

/// Plays a scenario in all set-ups side by side, each on servers of its own: they mostly wait.
async fn play(
    scenario: &Scenario,
    setups: &[Setup],
    admiralty: &Admiralty,
    keep: bool,
) -> Result<Vec<Verdict>> {
    let mut hybrids = Vec::new();
    for &setup in setups {
        say(&format!("{}: starting {}", scenario.name, setup.name()));
        let spec = scenarios::spec(scenario);
        hybrids.push(Hybrid::start(&spec, setup, admiralty, scenario.node_delay).await?);
    }
    say(&format!("{}: {}", scenario.name, scenario.title));
    try_join_all(hybrids.iter().map(|hybrid| scenario.play(hybrid, PATIENCE))).await?;
    let verdicts = hybrids.iter().map(judge).collect::<Result<_>>()?;
    for hybrid in hybrids.iter().filter(|_| keep) {
        let name = hybrid.setup.logs_of(scenario.name);
        say(&hybrid.testbed.keep(&name).await?.display().to_string());
    }
    Ok(verdicts)
}

/// Judges what was kept of a scenario.
fn judge_again(scenario: &Scenario, setups: &[Setup]) -> Result<Vec<Verdict>> {
    let output = compiled(&scenarios::spec(scenario), None)?;
    setups
        .iter()
        .map(|setup| {
            let kept = kept(&setup.logs_of(scenario.name));
            let log = |cluster: &str| kept.join(cluster).join("audit.log");
            judge_logs(&output.model, *setup, log, None)
        })
        .collect()
}

/// What the generated set-ups promise of any scenario: no job leaves, and no candidate is made elsewhere,
/// while an earlier tier has room. With the reconciler, no job is stranded either.
fn broken_promise(scenario: &str, verdict: &Verdict) -> Option<String> {
    let leaves_early = verdict.premature_bursts > 0 || verdict.speculative_candidates > 0;
    let strands = verdict.setup == Setup::Reconciled.name() && verdict.stranded > 0;
    let is_promised = verdict.setup != Setup::Stock.name();
    (is_promised && (leaves_early || strands)).then(|| {
        let Verdict { setup, premature_bursts, speculative_candidates, stranded, never_ran, .. } = verdict;
        format!(
            "{scenario}, {setup}: {premature_bursts} premature bursts, {speculative_candidates} speculative \
             candidates, {stranded} stranded jobs, {never_ran} that never ran"
        )
    })
}
