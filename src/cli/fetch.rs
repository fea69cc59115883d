//! `hcb fetch`.

use super::access::{Access, ask_many};
use super::follow::FollowedJob;
use super::output::{Format, Outcome, OutputStyle};
use super::show;
use super::store::{Bar, StoreAccess, variables};
use crate::jobs::State;
use anyhow::{Context, bail};
use hcb_compile::plan::workloads::CHECKPOINTS;
use hcb_transfer::download::{Object, Target, download, objects};
use hcb_transfer::layout::Place;
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Download what a job wrote: its model, metrics and report.
///
/// A file appears whole and with its checksum verified, or not at all. If the download is cut off, the same
/// command goes on with it. What is there already is left alone: the same file is not downloaded again, and
/// another file is never overwritten without --force.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb fetch train-digits-k7m2xq9p                     into the folder train-digits-k7m2xq9p/\n  hcb fetch train-digits-k7m2xq9p --out models/new     into another\n  hcb fetch train-digits-k7m2xq9p --output model       one of several outputs"
)]
pub(super) struct Args {
    /// The Job.
    job: String,
    /// Its namespace. Default: the only one that has a Job of this name.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// The folder to download into. Default: one of the job's name.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Download only this output of the job. Default: all; several outputs get a folder each.
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Overwrite existing files that differ from what the job wrote.
    #[arg(long)]
    force: bool,
    /// Download checkpoints too.
    #[arg(long)]
    checkpoints: bool,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    store: StoreAccess,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    ask_many(fetch(args, style))
}

async fn fetch(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    let namespace = args.namespace.as_deref();
    let (_, seen, state) =
        FollowedJob::find_with_snapshot(&args.access, &args.job, namespace).await?;
    let outputs = outputs(&seen.job, args.output.as_deref())?;
    let known = args.store.of_job(&seen.job)?;
    let client = args.store.connect(&known).await?;
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from(&args.job));
    let checkpoints =
        super::store::variable(&seen.job, CHECKPOINTS).and_then(|url| Place::parse(&url));

    let mut found: Vec<Object> = Vec::new();
    for (name, place) in &outputs {
        let folder = match &outputs[..] {
            [_] => folder.clone(),
            _ => folder.join(name),
        };
        let skip = |key: &str| {
            let checkpoints = checkpoints.as_ref().filter(|_| !args.checkpoints);
            checkpoints.is_some_and(|checkpoints| {
                checkpoints.bucket == place.bucket && key.starts_with(&checkpoints.key)
            })
        };
        found.extend(objects(&client, place, &folder, skip).await?);
    }
    if found.is_empty() {
        let places: Vec<_> = outputs.iter().map(|(_, place)| place.to_string()).collect();
        let hint = if state.is_final() {
            ""
        } else {
            "; it is not done yet"
        };
        bail!(
            "{} has written nothing to {} ({}{hint})",
            args.job,
            places.join(", "),
            state.word()
        );
    }
    if !state.is_final() {
        show::say(&format!(
            "{} is {}: this is what it has written so far",
            args.job,
            state.word()
        ));
    }
    let wanted = wanted(&found, args.force)?;
    let bytes = wanted.iter().map(|object| object.size).sum();
    let bar = Bar::new(style, "downloading", bytes);
    for object in &wanted {
        download(&client, object, args.force, &bar).await?;
    }
    let said = bar.finish();
    report(&found, &wanted, &folder, &said, style)?;
    Ok(if state == State::Failed {
        Outcome::Findings
    } else {
        Outcome::Ok
    })
}

/// The outputs of a job, by the names of the spec.
fn outputs(job: &Job, only: Option<&str>) -> anyhow::Result<Vec<(String, Place)>> {
    let outputs = variables(job).filter_map(|(name, url)| {
        let name = name
            .strip_prefix("HCB_OUTPUT_")?
            .to_lowercase()
            .replace('_', "-");
        Some((name, Place::parse(&url)?))
    });
    let outputs: Vec<_> = outputs.collect();
    if outputs.is_empty() {
        bail!("the job writes nothing to the object store: its workload has no `data.out`");
    }
    let Some(only) = only else { return Ok(outputs) };
    let names: Vec<_> = outputs.iter().map(|(name, _)| name.clone()).collect();
    let one: Vec<_> = outputs
        .into_iter()
        .filter(|(name, _)| name == only)
        .collect();
    if one.is_empty() {
        bail!(
            "the job has no output `{only}`; it has {}",
            names.join(", ")
        );
    }
    Ok(one)
}

/// What must be downloaded. Files that are in the way are reported all at once, before anything is downloaded.
fn wanted(found: &[Object], force: bool) -> anyhow::Result<Vec<&Object>> {
    let mut wanted = Vec::new();
    let mut others = Vec::new();
    for object in found {
        match object.target_state()? {
            Target::Free => wanted.push(object),
            Target::Same => {}
            Target::Other if force => wanted.push(object),
            Target::Other => others.push(format!("`{}`", object.target.display())),
        }
    }
    if others.is_empty() {
        return Ok(wanted);
    }
    let many = show::count(others.len(), "file");
    bail!(
        "{many} would be overwritten: {}; nothing was downloaded. Choose another folder with --out, or say --force",
        others.join(", ")
    )
}

fn report(
    found: &[Object],
    wanted: &[&Object],
    folder: &Path,
    said: &str,
    style: OutputStyle,
) -> anyhow::Result<()> {
    let unchecked: Vec<_> = found
        .iter()
        .filter(|object| object.checksum.is_none())
        .collect();
    for object in &unchecked {
        show::say(&format!(
            "the store keeps no checksum of {}; its size alone was checked",
            object.place
        ));
    }
    match style.format {
        Format::Json => {
            let files: Vec<_> = found
                .iter()
                .map(|object| {
                    json!({
                        "file": object.target,
                        "from": object.place.to_string(),
                        "bytes": object.size,
                        "verified": object.checksum.as_ref().map(|checksum| checksum.algorithm.name()),
                    })
                })
                .collect();
            show::json_data(&json!({ "files": files }))
        }
        Format::Text => {
            let files: Vec<_> = found
                .iter()
                .map(|object| object.target.display().to_string())
                .collect();
            show::data(&format!("{}\n", files.join("\n")))?;
            let many = show::count(wanted.len(), "file");
            let checked = if unchecked.is_empty() { ", checksums verified" } else { "" };
            let same = match found.len() - wanted.len() {
                0 => String::new(),
                same => format!("; {} there already", show::count(same, "file")),
            };
            show::say(&format!("downloaded {many} to `{}`: {said}{checked}{same}", folder.display()));
            Ok(())
        }
    }
    .context("saying what was downloaded")
}
