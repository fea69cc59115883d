//! `hcb compile`.

use super::input::Input;
use super::show::{self, Progress};
use super::{Format, Look, Outcome};
use crate::compile::{Output, Timings};
use crate::diag::Diagnostics;
use crate::tree::write::{Changes, Refusal};
use comfy_table::{Table, presets};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Compile a spec into the tree of manifests that Argo CD or Flux applies.
///
/// Everything is checked before anything is written, and the tree changes as a whole or not at all.
/// Files that hcb generated before and that the spec no longer asks for are removed; other files are
/// never touched.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb compile                          compile `hybrid/` into the folder that it names\n  hcb compile spec/ --out deploy/      another spec, another folder\n  hcb compile --check                  write nothing; exit 1 and list the drift, if any\n  hcb compile --engine flux            for Flux, whatever the spec says"
)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    /// The output folder. Default: `spec.gitops.path`, below the root of the Git repository that the
    /// spec is in.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write nothing; list what differs from what is there, and exit 1 if anything does.
    #[arg(long)]
    check: bool,
    /// Say how long each phase took.
    #[arg(long)]
    timings: bool,
}

pub(super) fn run(args: &Args, look: Look) -> anyhow::Result<Outcome> {
    let progress = Progress::new(look);
    let mut diagnostics = Diagnostics::default();
    let mut timings = Timings::default();
    progress.phase("reading");
    let texts = timings.measure("read", || args.input.read(&mut diagnostics))?;
    let templates = timings.measure("templates", || args.input.templates())?;
    progress.phase("compiling");
    let output = crate::compile::compile(
        &texts.sources,
        &texts.root,
        &templates,
        args.input.options(),
        &mut diagnostics,
        &mut timings,
    )
    .filter(|_| !diagnostics.has_errors());
    let Some(output) = output else {
        drop(progress);
        show::findings(&diagnostics, &texts.sources, look);
        if look.format == Format::Json {
            show::json_data(
                &json!({ "findings": show::findings_json(&diagnostics, &texts.sources) }),
            )?;
        }
        return Ok(Outcome::Findings);
    };
    let out = match &args.out {
        Some(out) => out.clone(),
        None => repository_root(&args.input.spec).join(&output.model.gitops.path),
    };
    progress.phase(if args.check { "comparing" } else { "writing" });
    let changes = timings.measure(if args.check { "compare" } else { "write" }, || {
        if args.check {
            crate::tree::write::compare(&output.tree, &out)
        } else {
            crate::tree::write::write(&output.tree, &out)
        }
    });
    drop(progress);
    show::findings(&diagnostics, &texts.sources, look);
    let changes = match changes {
        Ok(changes) => changes,
        Err(refusal) => return refuse(&refusal, &out),
    };
    if look.format == Format::Json {
        show::json_data(&json!({
            "out": out,
            "changes": changes,
            "phases": timings
                .phases
                .iter()
                .map(|(phase, took)| json!({ "phase": phase, "seconds": took.as_secs_f64() }))
                .collect::<Vec<_>>(),
            "findings": show::findings_json(&diagnostics, &texts.sources),
        }))?;
    } else {
        report(args, &output, &changes, &out, &timings)?;
    }
    let drifted = args.check && !changes.is_empty();
    Ok(if drifted {
        Outcome::Findings
    } else {
        Outcome::Ok
    })
}

/// What is in the way is named, and nothing was changed.
fn refuse(refusal: &Refusal, out: &Path) -> anyhow::Result<Outcome> {
    let code = match refusal {
        Refusal::ForeignFiles(files) => {
            let mut lines: Vec<_> = files
                .iter()
                .take(20)
                .map(|file| format!("  {file}"))
                .collect();
            if files.len() > 20 {
                lines.push(format!("  and {} more", files.len() - 20));
            }
            anyhow::bail!(
                "[{}] files that hcb does not own are in `{}`:\n{}\nNothing was changed. An engine would apply these files too: move them elsewhere, or choose another folder with `--out`.",
                crate::diag::codes::FOREIGN_FILE.id(),
                out.display(),
                lines.join("\n")
            );
        }
        Refusal::BadOutput(_) => crate::diag::codes::BAD_OUTPUT,
        Refusal::Io { .. } => crate::diag::codes::WRITE_FAILED,
    };
    anyhow::bail!("[{}] {refusal}. Nothing was changed.", code.id())
}

fn report(
    args: &Args,
    output: &Output,
    changes: &Changes,
    out: &Path,
    timings: &Timings,
) -> anyhow::Result<()> {
    if args.check {
        let mut text = String::new();
        for (sign, paths) in [
            ('+', &changes.added),
            ('~', &changes.changed),
            ('-', &changes.removed),
        ] {
            for path in paths {
                text.push_str(&format!("{sign} {path}\n"));
            }
        }
        show::data(&text)?;
        if changes.is_empty() {
            show::say(&format!(
                "`{}` is what the spec says: {} files",
                out.display(),
                changes.unchanged
            ));
        } else {
            show::say(&format!(
                "[{}] `{}` is not what the spec says: {}; run `hcb compile` and commit the result",
                crate::diag::codes::DRIFT.id(),
                out.display(),
                counts(changes)
            ));
        }
    } else {
        show::say(&summary(output));
        show::say(&format!("`{}`: {}", out.display(), counts(changes)));
    }
    if args.timings {
        show::say(&phases(timings));
    }
    Ok(())
}

fn counts(changes: &Changes) -> String {
    format!(
        "{} added, {} changed, {} removed, {} unchanged",
        changes.added.len(),
        changes.changed.len(),
        changes.removed.len(),
        changes.unchanged
    )
}

/// How many manifests and charts each cluster gets of each unit.
fn summary(output: &Output) -> String {
    let model = &output.model;
    let mut units: BTreeMap<(crate::plan::Wave, &str), BTreeMap<usize, (usize, usize)>> =
        BTreeMap::new();
    for rendered in &output.units {
        let unit = &rendered.unit;
        let name = match unit.area {
            crate::plan::Area::Cluster => unit.name.split('-').next().unwrap_or(&unit.name),
            crate::plan::Area::Delivery(_) => "gitops",
            crate::plan::Area::Bootstrap => "bootstrap",
        };
        let counts = units
            .entry((unit.wave, name))
            .or_default()
            .entry(unit.cluster)
            .or_default();
        counts.0 += rendered.manifests.len();
        counts.1 += rendered.charts.len();
    }
    // Units of one name in several waves are one row, at the place of the first.
    let mut rows: Vec<(&str, BTreeMap<usize, (usize, usize)>)> = Vec::new();
    for ((_, name), by_cluster) in units {
        let row = match rows.iter().position(|(known, _)| *known == name) {
            Some(row) => &mut rows[row].1,
            None => {
                rows.push((name, BTreeMap::new()));
                let last = rows.len() - 1;
                &mut rows[last].1
            }
        };
        for (cluster, (manifests, charts)) in by_cluster {
            let cell = row.entry(cluster).or_default();
            cell.0 += manifests;
            cell.1 += charts;
        }
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // Many clusters do not fit side by side: they become the rows.
    let cell = |cell: Option<&(usize, usize)>| match cell {
        None | Some((0, 0)) => "-".to_owned(),
        Some((manifests, 0)) => manifests.to_string(),
        Some((0, charts)) => format!("{charts} charts").replace("1 charts", "1 chart"),
        Some((manifests, charts)) => {
            format!("{manifests} + {charts} charts").replace("+ 1 charts", "+ 1 chart")
        }
    };
    if model.clusters.len() <= 4 {
        let names = model.clusters.iter().map(|cluster| cluster.name.clone());
        table.set_header(std::iter::once("manifests".to_owned()).chain(names));
        for (name, by_cluster) in rows {
            let cells = (0..model.clusters.len()).map(|cluster| cell(by_cluster.get(&cluster)));
            table.add_row(std::iter::once(name.to_owned()).chain(cells));
        }
    } else {
        table.set_header(["cluster", "manifests", "charts"]);
        for (index, cluster) in model.clusters.iter().enumerate() {
            let (manifests, charts) = rows
                .iter()
                .filter_map(|(_, by_cluster)| by_cluster.get(&index))
                .fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
            table.add_row([
                cluster.name.clone(),
                manifests.to_string(),
                charts.to_string(),
            ]);
        }
    }
    table.to_string()
}

fn phases(timings: &Timings) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let total: std::time::Duration = timings.phases.iter().map(|(_, took)| *took).sum();
    for (phase, took) in timings.phases.iter().chain([&("total", total)]) {
        table.add_row([
            (*phase).to_owned(),
            format!("{:.1} ms", took.as_secs_f64() * 1000.0),
        ]);
    }
    table.to_string()
}

/// The root of the Git repository that a path is in, or the current folder.
fn repository_root(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let root = absolute
        .ancestors()
        .find(|folder| folder.join(".git").exists());
    let here = std::env::current_dir().ok();
    match (root, here) {
        // Said as short as it can be.
        (Some(root), Some(here)) if root == here => PathBuf::new(),
        (Some(root), _) => root.to_owned(),
        (None, _) => PathBuf::new(),
    }
}
