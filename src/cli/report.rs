//! `--report`: findings for other tools, beside what a command prints.

use super::output::{Format, OutputStyle};
use super::show;
use anyhow::{Context, bail};
use hcb_source::diag::{Diagnostics, report};
use hcb_source::source::Sources;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Which reports are written, and where to.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Reports {
    /// Write the findings for another tool too: `sarif`, `junit`, `github` (annotations), `gitlab`
    /// (Code Quality) or `json`; to FILE, or to stdout. Can be given several times.
    #[arg(long = "report", value_name = "FORMAT[=FILE]", value_parser = parse)]
    requests: Vec<Request>,
}

#[derive(Debug, Clone)]
struct Request {
    format: report::Format,
    /// `None` for stdout.
    file: Option<PathBuf>,
}

fn parse(text: &str) -> Result<Request, String> {
    let (name, file) = match text.split_once('=') {
        Some((name, file)) => (name, Some(file)),
        None => (text, None),
    };
    let names = report::FORMATS.map(|(name, _)| name);
    let Some((_, format)) = report::FORMATS
        .into_iter()
        .find(|(known, _)| *known == name)
    else {
        let hint = hcb_source::diag::suggest(name, names).unwrap_or_default();
        return Err(format!("there is no report `{name}`; {hint}"));
    };
    match file {
        Some("") => Err(format!("name a file, such as `{name}=report.txt`")),
        Some(file) => Ok(Request {
            format,
            file: (file != "-").then(|| file.into()),
        }),
        None => Ok(Request { format, file: None }),
    }
}

impl Reports {
    /// Refuses, before any work is done, what would be mixed up on stdout. `prints` is whether the
    /// command itself prints something there.
    pub(super) fn check(&self, style: OutputStyle, prints: bool) -> anyhow::Result<()> {
        let to_stdout = self
            .requests
            .iter()
            .filter(|request| request.file.is_none())
            .count();
        if to_stdout > 1 {
            bail!("only one report can go to stdout; name files, as in `--report sarif=FILE`");
        }
        if to_stdout > 0 && (prints || style.format == Format::Json) {
            bail!(
                "stdout is what the command itself prints; name a file for the report, as in `--report sarif=FILE`"
            );
        }
        Ok(())
    }

    /// Writes the reports, each file completely or not at all. `spec` is what is reported on: paths
    /// are relative to the root of its repository.
    pub(super) fn write(
        &self,
        diagnostics: &Diagnostics,
        sources: &Sources,
        spec: &Path,
    ) -> anyhow::Result<()> {
        if self.requests.is_empty() {
            return Ok(());
        }
        let working_directory = std::env::current_dir().context("reading the current folder")?;
        let base = report::Base {
            root: super::input::repository_root(spec).unwrap_or_else(|| working_directory.clone()),
            working_directory,
        };
        let mut ready = Vec::new();
        for request in &self.requests {
            let text = report::render(request.format, diagnostics, sources, &base)?;
            match &request.file {
                None => show::data(&text)?,
                Some(file) => {
                    let prepared = prepare(file, &text)
                        .with_context(|| format!("writing the report `{}`", file.display()))?;
                    ready.push((file, prepared));
                }
            }
        }
        for (file, prepared) in ready {
            prepared
                .finish()
                .with_context(|| format!("writing the report `{}`", file.display()))?;
        }
        Ok(())
    }
}

/// Writes one report, completely or not at all.
pub(super) fn write_file(file: &Path, text: &str) -> anyhow::Result<()> {
    prepare(file, text)
        .and_then(Prepared::finish)
        .with_context(|| format!("writing the report `{}`", file.display()))
}

/// A report that is on its way to its place.
enum Prepared {
    /// A whole new file, which takes the place of the old one.
    Replacement(NamedTempFile, PathBuf),
    /// A pipe or a device, which has no place to take.
    Stream(PathBuf, String),
}

fn prepare(file: &Path, text: &str) -> anyhow::Result<Prepared> {
    // A link stays a link: what it leads to is replaced.
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    if std::fs::metadata(&file).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(Prepared::Stream(file, text.to_owned()));
    }
    if file.is_dir() {
        bail!("it is a folder");
    }
    let folder = file.parent().filter(|parent| *parent != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // As any other file is made; the process's mask takes away what it does.
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    let mut temporary = builder.prefix(".hcb-report-").tempfile_in(folder)?;
    temporary.write_all(text.as_bytes())?;
    Ok(Prepared::Replacement(temporary, file))
}

impl Prepared {
    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Replacement(temporary, file) => {
                temporary.persist(file)?;
            }
            Self::Stream(file, text) => {
                std::fs::OpenOptions::new()
                    .write(true)
                    .open(file)?
                    .write_all(text.as_bytes())?;
            }
        }
        Ok(())
    }
}
