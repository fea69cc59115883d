//! `hcb compile`.

mod summary;

use super::input::{Input, repository_root};
use super::output::{Format, Outcome, OutputStyle};
use super::report::Reports;
use super::run::Run;
use super::show::{self, Progress};
use super::watch::RoundResult;
use hcb_compile::compile::{Output, Timings};
use hcb_compile::tree::Tree;
use hcb_compile::tree::compare::{Changes, Refusal, compare_with};
use hcb_compile::tree::snapshot::Snapshot;
use hcb_compile::tree::write::write_with;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Compile a spec into the tree of manifests that Argo CD or Flux applies.
///
/// Everything is checked before anything is written, and the tree changes as a whole or not at all.
/// Files that hcb generated before and that the spec no longer asks for are removed; other files are
/// never touched.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb compile                          compile `hybrid/` into the folder that it names\n  hcb compile spec/ --out deploy/      another spec, another folder\n  hcb compile --watch                  compile again after each change, until Ctrl-C\n  hcb compile --check                  write nothing; exit 1 and list the drift, if any\n  hcb compile --check --watch          show what would change after each change, until Ctrl-C\n  hcb compile --engine flux            for Flux, whatever the spec says"
)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    reports: Reports,
    /// The output folder. Default: `spec.gitops.path`, below the root of the Git repository that the
    /// spec is in.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write nothing; list what differs from what is there, and exit 1 if anything does.
    #[arg(long)]
    check: bool,
    /// Go on: compile again after each change to the spec, to policies or to templates, until Ctrl-C. The
    /// tree is left alone while there are errors, and always with `--check`. The exit code is that of the
    /// last round.
    #[arg(long)]
    watch: bool,
    /// Print how long each phase took.
    #[arg(long)]
    timings: bool,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    args.reports.check(style, args.check || args.watch)?;
    if args.watch {
        let mut snapshot = Snapshot::default();
        return super::watch::watch(&args.input, style, |run| again(args, run, &mut snapshot));
    }
    let progress = Progress::new(style);
    progress.phase("compiling");
    let mut run = super::run::run(&args.input)?;
    run.report(&args.reports, &args.input)?;
    let Some(output) = &run.output else {
        drop(progress);
        run.show_findings(style)?;
        return Ok(Outcome::Findings);
    };
    let out = args.folder(output);
    progress.phase(if args.check { "comparing" } else { "writing" });
    let changes = bring(args, &output.tree, &out, &mut run.timings, None);
    drop(progress);
    run.show_findings(style)?;
    let changes = match changes {
        Ok(changes) => changes,
        Err(refusal) => return refuse(&refusal, &out),
    };
    if style.format == Format::Json {
        let mut document = data(&out, &changes, &run.timings);
        document.insert("findings".to_owned(), run.findings());
        show::json_data(&document.into())?;
    } else {
        report(args, output, &changes, &out, &run.timings)?;
    }
    let drifted = args.check && !changes.is_empty();
    // The process is about to end, which frees a hundred thousand manifests at once and not one by one.
    std::mem::forget(run);
    Ok(if drifted {
        Outcome::Findings
    } else {
        Outcome::Ok
    })
}

/// Makes the output folder what the tree is, or only compares them.
fn bring(
    args: &Args,
    tree: &Tree,
    out: &Path,
    timings: &mut Timings,
    snapshot: Option<&mut Snapshot>,
) -> Result<Changes, Refusal> {
    if args.check {
        timings.measure("compare", || compare_with(tree, out, snapshot))
    } else {
        timings.measure("write", || write_with(tree, out, snapshot))
    }
}

/// A round of `--watch`: the tree is written where nothing is wrong, or compared.
fn again(args: &Args, run: &mut Run, snapshot: &mut Snapshot) -> anyhow::Result<RoundResult> {
    run.report(&args.reports, &args.input)?;
    let Some(output) = &run.output else {
        return Ok(RoundResult::default());
    };
    let out = args.folder(output);
    let changes = bring(args, &output.tree, &out, &mut run.timings, Some(snapshot));
    let changes = match changes {
        Ok(changes) => changes,
        Err(refusal) => return refuse(&refusal, &out),
    };
    let mut messages = if args.check {
        let mut messages = vec![drift(&changes)];
        messages.retain(|lines| !lines.is_empty());
        messages.push(compared(&changes, &out));
        messages
    } else {
        vec![format!("`{}`: {}", out.display(), counts(&changes))]
    };
    messages.extend(args.timings.then(|| phases(&run.timings)));
    Ok(RoundResult {
        messages,
        data: data(&out, &changes, &run.timings),
        drifted: args.check && !changes.is_empty(),
    })
}

/// What JSON documents say of a compilation beside findings.
fn data(out: &Path, changes: &Changes, timings: &Timings) -> Map<String, Value> {
    let phases = timings.phases.iter();
    let phases =
        phases.map(|(phase, took)| json!({ "phase": phase, "seconds": took.as_secs_f64() }));
    Map::from_iter([
        ("out".to_owned(), json!(out)),
        ("changes".to_owned(), json!(changes)),
        ("phases".to_owned(), phases.collect()),
    ])
}

impl Args {
    /// The folder that the tree is written into.
    fn folder(&self, output: &Output) -> PathBuf {
        match &self.out {
            Some(out) => out.clone(),
            None => default_folder(&self.input.spec).join(&output.model.gitops.path),
        }
    }
}

/// What is in the way is named, and nothing was changed.
fn refuse<T>(refusal: &Refusal, out: &Path) -> anyhow::Result<T> {
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
                hcb_source::diag::codes::FOREIGN_FILE.id(),
                out.display(),
                lines.join("\n")
            );
        }
        Refusal::BadOutput(_) => hcb_source::diag::codes::BAD_OUTPUT,
        Refusal::Io { .. } => hcb_source::diag::codes::WRITE_FAILED,
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
        let lines = drift(changes);
        if !lines.is_empty() {
            show::data(&format!("{lines}\n"))?;
        }
        show::say(&compared(changes, out));
    } else {
        show::say(&summary::table(output));
        show::say(&format!("`{}`: {}", out.display(), counts(changes)));
    }
    if args.timings {
        show::say(&phases(timings));
    }
    Ok(())
}

/// What differs, a line for each file.
fn drift(changes: &Changes) -> String {
    let all = [
        ("+", &changes.added),
        ("~", &changes.changed),
        ("-", &changes.removed),
    ];
    let lines = all.iter().flat_map(|(sign, paths)| {
        let paths = paths.iter();
        paths.map(move |path| format!("{sign} {path}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether anything differs, in a sentence.
fn compared(changes: &Changes, out: &Path) -> String {
    if changes.is_empty() {
        return format!(
            "`{}` is what the spec says: {} files",
            out.display(),
            changes.unchanged
        );
    }
    format!(
        "[{}] `{}` is not what the spec says: {}; run `hcb compile` and commit the result",
        hcb_source::diag::codes::DRIFT.id(),
        out.display(),
        counts(changes)
    )
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

fn phases(timings: &Timings) -> String {
    let mut table = show::table();
    let total: std::time::Duration = timings.phases.iter().map(|(_, took)| *took).sum();
    for (phase, took) in timings.phases.iter().chain([&("total", total)]) {
        table.add_row([
            (*phase).to_owned(),
            format!("{:.1} ms", took.as_secs_f64() * 1000.0),
        ]);
    }
    table.to_string()
}

/// What the folder that the spec names is relative to: the root of the repository, said as short as
/// it can be, or the current folder.
fn default_folder(spec: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    match repository_root(spec) {
        Some(root) if Some(&root) != here.as_ref() => root,
        _ => PathBuf::new(),
    }
}
