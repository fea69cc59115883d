//! `hcb compile`.

mod summary;

use super::input::Input;
use super::show::{self, Progress};
use super::{Format, Look, Outcome};
use crate::compile::{Output, Timings};
use crate::tree::write::{Changes, Refusal};
use serde_json::json;
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
    progress.phase("compiling");
    let mut run = super::run::run(&args.input)?;
    let Some(output) = &run.output else {
        drop(progress);
        run.show_findings(look)?;
        return Ok(Outcome::Findings);
    };
    let out = match &args.out {
        Some(out) => out.clone(),
        None => repository_root(&args.input.spec).join(&output.model.gitops.path),
    };
    progress.phase(if args.check { "comparing" } else { "writing" });
    let changes = run
        .timings
        .measure(if args.check { "compare" } else { "write" }, || {
            if args.check {
                crate::tree::write::compare(&output.tree, &out)
            } else {
                crate::tree::write::write(&output.tree, &out)
            }
        });
    drop(progress);
    run.show_findings(look)?;
    let changes = match changes {
        Ok(changes) => changes,
        Err(refusal) => return refuse(&refusal, &out),
    };
    if look.format == Format::Json {
        show::json_data(&json!({
            "out": out,
            "changes": changes,
            "phases": run
                .timings
                .phases
                .iter()
                .map(|(phase, took)| json!({ "phase": phase, "seconds": took.as_secs_f64() }))
                .collect::<Vec<_>>(),
            "findings": run.findings(),
        }))?;
    } else {
        report(args, output, &changes, &out, &run.timings)?;
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
            ("+", &changes.added),
            ("~", &changes.changed),
            ("-", &changes.removed),
        ] {
            text.extend(paths.iter().flat_map(|path| {
                [
                    sign, " ", path, "
",
                ]
            }));
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
        show::say(&summary::table(output));
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
