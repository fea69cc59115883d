//! `hcb diff`.

mod git;
mod live;
mod side;
mod sides;

use super::input::Engine;
use super::output::{Format, Outcome, OutputStyle};
use super::report::Reports;
use super::run::Run;
use super::show::{self, Progress};
use anyhow::{Context, bail};
use git::Range;
use hcb_diff::show::{annotations, html, markdown, terminal};
use hcb_diff::{Level, Report, Unreadable};
use hcb_source::diag::{Diagnostics, text};
use hcb_source::source::Sources;
use side::Settings;
use sides::Sides;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Show what a change will really do: what restarts, ends, is deleted, refused, opened, and what it costs.
///
/// Two trees of manifests are compared: what is committed and what the spec says, two Git revisions whose
/// specs are compiled in memory, or two folders. What the change does comes first, each with the
/// lines of the spec that lead to it; then what differs, object by object, with the same change to many
/// objects told once. Nothing is written and the work tree is not touched.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb diff                                what `hcb compile` would change, and what that does\n  hcb diff --git                          what this branch does, against where it left the main branch\n  hcb diff --live                         what applying it does to what runs in the clusters\n  hcb diff --git=v1..v2 --summary         between two tags; only what it does\n  hcb diff --git --worktree               as --git, with what is not committed yet\n  hcb diff old/ new/                      two folders, of specs or of manifests\n  hcb diff --git --markdown=comment.md --html=diff.html --report sarif=diff.sarif\n  hcb diff --fail-on danger               exit 1 where something is lost, refused or opened"
)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// The spec; or with AFTER, the folder before. Default: `hybrid`.
    #[arg(value_name = "SPEC|BEFORE")]
    before: Option<PathBuf>,
    /// The folder or spec to compare with.
    #[arg(value_name = "AFTER", conflicts_with = "git")]
    after: Option<PathBuf>,
    /// Compare two revisions of Git: `A..B`, or `A...B` for what B changed since it left A. `A` is
    /// `A...HEAD`; without a range, A is the main branch.
    #[arg(long, value_name = "RANGE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    git: Option<String>,
    /// With --git: compare with the spec as it is in the work tree, not with a commit.
    #[arg(long, requires = "git")]
    worktree: bool,
    /// Compare with what the clusters have: each manifest is tried by a server-side dry run. Nothing is
    /// changed. Objects of others are left out.
    #[arg(long, conflicts_with_all = ["git", "after"])]
    live: bool,
    /// With --live: the kubeconfig. Default: as for kubectl.
    #[arg(long, value_name = "FILE", requires = "live")]
    kubeconfig: Option<PathBuf>,
    /// With --live: the context of a cluster, where it has not the cluster's name. Can be given several
    /// times.
    #[arg(long = "context", value_name = "CLUSTER=CONTEXT", requires = "live", value_parser = live::parse_context)]
    contexts: Vec<(String, String)>,
    /// A folder of templates that take the place of the built-in ones of the same path.
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// The engine, in place of the one that the spec names.
    #[arg(long, value_enum, value_name = "ENGINE")]
    engine: Option<Engine>,
    /// The date that exceptions from policies are held against, such as `2027-03-31`. Default: that
    /// of the clock, in UTC.
    #[arg(long, value_name = "DATE", env = "HCB_TODAY")]
    today: Option<jiff::civil::Date>,
    /// Show what the change does, not each difference.
    #[arg(long)]
    summary: bool,
    /// Exit 1 if an impact has this level or a higher one.
    #[arg(long, value_enum, value_name = "LEVEL")]
    fail_on: Option<FailOn>,
    /// Write the report as Markdown for a comment on a pull request; `-` for stdout, in place of the text.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The most characters of the Markdown. What does not fit is left out from the back, and that is said.
    #[arg(long, value_name = "CHARACTERS", default_value_t = markdown::BUDGET, requires = "markdown")]
    markdown_budget: usize,
    /// Write the report as one HTML page that needs nothing else; `-` for stdout, in place of the text.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    reports: Reports,
    /// Print the JSON Schema of `--format json`, and do nothing else.
    #[arg(long)]
    json_schema: bool,
}

/// A level, as the command line spells it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FailOn {
    /// Any impact.
    Note,
    /// Something is interrupted, or gets other bounds; or a danger.
    Caution,
    /// Something is lost, refused or opened.
    Danger,
}

impl From<FailOn> for Level {
    fn from(level: FailOn) -> Self {
        match level {
            FailOn::Note => Self::Note,
            FailOn::Caution => Self::Caution,
            FailOn::Danger => Self::Danger,
        }
    }
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    if args.json_schema {
        show::json_data(&Report::schema())?;
        return Ok(Outcome::Ok);
    }
    let to_stdout = [&args.markdown, &args.html]
        .into_iter()
        .flatten()
        .filter(|file| is_stdout(file))
        .count();
    if to_stdout > 1 || to_stdout == 1 && style.format == Format::Json {
        bail!("only one form of the report can go to stdout; name files for the others");
    }
    args.reports.check(style, true)?;
    let progress = Progress::new(style);
    progress.phase("reading both sides");
    let settings = Settings {
        templates: args.templates.as_ref(),
        engine: args.engine,
        today: args.today,
    };
    let default = PathBuf::from("hybrid");
    let spec = args.before.as_ref().unwrap_or(&default);
    let sides = match (&args.git, &args.after) {
        (Some(range), _) => sides::revisions(&Range::parse(range), args.worktree, spec, settings)?,
        (None, Some(after)) => sides::folders(spec, after, settings)?,
        (None, None) if args.live => {
            progress.phase("asking the clusters");
            sides::live(
                spec,
                settings,
                live::reach(args.kubeconfig.as_ref(), &args.contexts),
            )?
        }
        (None, None) => sides::committed(spec, settings)?,
    };
    let (before, after, causes, hint) = match sides {
        Sides::Both {
            before,
            after,
            causes,
            hint,
        } => (before, after, causes, hint),
        Sides::Invalid(run) => {
            drop(progress);
            return invalid(args, &run, spec, style);
        }
    };
    progress.phase("comparing");
    let report = hcb_diff::compare(&before.side, &after.side, &causes);
    drop(progress);
    let report = match report {
        Ok(report) => report,
        Err(unreadable) => return Err(no_manifests(&unreadable)),
    };
    let empty = Sources::default();
    let (root, sources) = match &after.run {
        Some(run) => (run.texts.root.as_path(), &run.texts.sources),
        None => (Path::new(""), &empty),
    };
    let findings = annotations::of(&report, root, sources);
    // A page without a text has no place to point at: no spec was read.
    if after.run.is_some() {
        let place = args.after.as_ref().unwrap_or(spec);
        args.reports.write(&findings, sources, place)?;
    }
    write(args, &report, style)?;
    if let Some(hint) = hint {
        show::say(&hint);
    }
    let fails = args
        .fail_on
        .is_some_and(|level| report.level >= Some(level.into()));
    Ok(if fails {
        Outcome::Findings
    } else {
        Outcome::Ok
    })
}

fn is_stdout(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// A side that does not compile: its findings are all that there is to say.
fn invalid(args: &Args, run: &Run, spec: &Path, style: OutputStyle) -> anyhow::Result<Outcome> {
    args.reports
        .write(&run.diagnostics, &run.texts.sources, spec)?;
    run.show_findings(style)?;
    if style.format == Format::Text {
        show::say("a side that does not compile cannot be compared");
    }
    Ok(Outcome::Findings)
}

/// Files that are no manifests.
fn no_manifests(unreadable: &Unreadable) -> anyhow::Error {
    let texts: Vec<_> = unreadable
        .0
        .iter()
        .map(|(sources, diagnostics): &(Sources, Diagnostics)| {
            text::render(
                &diagnostics.sorted(),
                sources,
                false,
                show::terminal_width(),
            )
        })
        .collect();
    anyhow::anyhow!(
        "a tree holds files that are no manifests\n\n{}",
        texts.concat().trim_end()
    )
}

fn write(args: &Args, report: &Report, style: OutputStyle) -> anyhow::Result<()> {
    let mut is_told = false;
    let forms: [(&Option<PathBuf>, &dyn Fn() -> String); 2] = [
        (&args.markdown, &|| {
            markdown::render(report, args.markdown_budget)
        }),
        (&args.html, &|| html::render(report)),
    ];
    for (file, render) in forms {
        let Some(file) = file else { continue };
        let text = render();
        if is_stdout(file) {
            show::data(&text)?;
            is_told = true;
        } else {
            std::fs::write(file, text).with_context(|| format!("writing `{}`", file.display()))?;
            show::say(&format!("wrote {}", file.display()));
        }
    }
    if style.format == Format::Json {
        return show::json_data(&serde_json::to_value(report)?);
    }
    if is_told {
        return Ok(());
    }
    let out = std::io::stdout();
    show::data(&terminal::render(
        report,
        terminal::Terminal {
            colour: show::has_colour(style, out.is_terminal()),
            width: show::terminal_width(),
            changes: !args.summary,
        },
    ))?;
    // After many lines the end is what is seen.
    let summary = hcb_diff::show::levels(report);
    if out.is_terminal() && !args.summary && !summary.is_empty() {
        show::say(&format!(
            "\n{summary}: told above; `--summary` leaves the differences out"
        ));
    }
    Ok(())
}
