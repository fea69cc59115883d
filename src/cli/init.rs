//! `hcb init`.

use super::output::Outcome;
use super::show;
use anyhow::{Context, bail};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

const CLOUD: &str = include_str!("init/cloud.yaml");
const WORKLOAD: &str = include_str!("init/workload.yaml");

/// Write a commented spec to start from.
///
/// On a terminal, a few questions are asked; elsewhere, or with `--yes`, the answers are those of
/// the options. Files that are there already are never touched.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb init                             ask, and write `hybrid/`\n  hcb init --yes --engine flux spec/   ask nothing"
)]
pub(super) struct Args {
    /// The folder to write to.
    #[arg(default_value = "hybrid")]
    folder: PathBuf,
    /// The name of the hybrid cloud.
    #[arg(long, default_value = "my-cloud")]
    name: String,
    /// The engine that applies the manifests.
    #[arg(long, default_value = "argocd", value_parser = ["argocd", "flux"])]
    engine: String,
    /// The Git repository that the generated tree is committed to.
    #[arg(
        long,
        default_value = "https://git.example.com/platform/hybrid-cloud.git"
    )]
    repository: String,
    /// Ask nothing.
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let asks = !args.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let answer = |question: &str, default: &str, check: &dyn Fn(&str) -> Option<String>| {
        if asks {
            ask(question, default, check)
        } else if let Some(problem) = check(default) {
            bail!("`{default}` {problem}")
        } else {
            Ok(default.to_owned())
        }
    };
    let name = answer("Name of the hybrid cloud", &args.name, &|name| {
        hcb_kubernetes::names::dns_label(name)
    })?;
    let engine = answer("Engine (argocd or flux)", &args.engine, &|engine| {
        (!["argocd", "flux"].contains(&engine)).then(|| "is neither `argocd` nor `flux`".to_owned())
    })?;
    let repository = answer(
        "Git repository of the generated tree",
        &args.repository,
        &|url| {
            let good = url::Url::parse(url).is_ok_and(|url| url.host().is_some());
            (!good || url.contains(['"', '\\', '\n']))
                .then(|| "is not a URL such as `https://…` or `ssh://…`".to_owned())
        },
    )?;
    let files = [
        (
            "cloud.yaml",
            CLOUD
                .replace("NAME", &name)
                .replace("ENGINE", &engine)
                .replace("REPOSITORY", &repository),
        ),
        ("workloads/train.yaml", WORKLOAD.to_owned()),
        (
            ".schema.json",
            format!("{:#}\n", hcb_spec::spec::json_schema()),
        ),
    ];
    write(&args.folder, &files)?;
    let folder = args.folder.display();
    show::say(&format!(
        "Wrote {folder}/cloud.yaml (the platform), {folder}/workloads/train.yaml (a job) and {folder}/.schema.json (for editors).\nNext: edit them, then `hcb compile {folder}`."
    ));
    Ok(Outcome::Ok)
}

/// Asks until the answer is good.
fn ask(
    question: &str,
    default: &str,
    check: &dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<String> {
    loop {
        let mut err = std::io::stderr().lock();
        write!(err, "{question} [{default}]: ")?;
        err.flush()?;
        drop(err);
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            bail!("the answers ended before the questions; nothing was written");
        }
        let answer = match line.trim() {
            "" => default,
            answer => answer,
        };
        match check(answer) {
            None => return Ok(answer.to_owned()),
            Some(problem) => show::say(&format!("`{answer}` {problem}")),
        }
    }
}

/// Writes all files, or none where one is there already.
fn write(folder: &Path, files: &[(&str, String)]) -> anyhow::Result<()> {
    let taken: Vec<_> = files
        .iter()
        .map(|(path, _)| folder.join(path))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| format!("`{}`", path.display()))
        .collect();
    if !taken.is_empty() {
        bail!("{} is there already; nothing was written", taken.join(", "));
    }
    for (path, text) in files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("creating `{}`", parent.display()))?;
        }
        // Never over a file that came in between.
        std::fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing `{}`", path.display()))?;
    }
    Ok(())
}
