//! What a run reads: the files of the spec, and templates of the user's.

use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::manifest::Templates;
use crate::source::{Location, Sources};
use crate::tree::HEADER;
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `compile`, `validate` and `list` read.
#[derive(Debug, clap::Args)]
pub(super) struct Input {
    /// The spec: a file, or a folder that is searched for `.yaml` and `.yml` files.
    #[arg(default_value = "hybrid")]
    pub(super) spec: PathBuf,
    /// A folder of templates that take the place of the built-in ones of the same path.
    #[arg(long, value_name = "DIR")]
    pub(super) templates: Option<PathBuf>,
    /// The engine, in place of the one that the spec names.
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub(super) engine: Option<Engine>,
}

/// An engine, as the command line spells it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Engine {
    /// Argo CD.
    Argocd,
    /// Flux.
    Flux,
}

impl From<Engine> for crate::spec::GitOpsEngine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Argocd => Self::Argocd,
            Engine::Flux => Self::Flux,
        }
    }
}

/// The texts of a spec.
pub(super) struct Texts {
    /// The texts, by path as the user can name them.
    pub(super) sources: Sources,
    /// What paths in the output are told relative to.
    pub(super) root: PathBuf,
}

impl Input {
    /// Reads the spec. A file that is no text is a finding; a spec that is not there is a failure.
    pub(super) fn read(&self, diagnostics: &mut Diagnostics) -> anyhow::Result<Texts> {
        let spec = &self.spec;
        let metadata = std::fs::metadata(spec).with_context(|| {
            let hint = if spec.as_os_str() == "hybrid" {
                "; name the spec, or write one with `hcb init`"
            } else {
                ""
            };
            format!(
                "[{}] the spec `{}` cannot be read{hint}",
                codes::UNREADABLE.id(),
                spec.display()
            )
        })?;
        let (root, files) = if metadata.is_dir() {
            (spec.clone(), files_below(spec, &["yaml", "yml"])?)
        } else {
            let root = spec.parent().unwrap_or(Path::new("")).to_owned();
            (root, vec![spec.clone()])
        };
        let mut sources = Sources::default();
        for path in files {
            let bytes = std::fs::read(&path).with_context(|| {
                format!("[{}] reading `{}`", codes::UNREADABLE.id(), path.display())
            })?;
            if bytes.starts_with(HEADER.as_bytes()) {
                continue;
            }
            if bytes.len() > 64 << 20 {
                bail!(
                    "`{}` is larger than 64 MiB, which no spec is",
                    path.display()
                );
            }
            match String::from_utf8(bytes) {
                Ok(text) => {
                    sources.add(path, text);
                }
                Err(error) => {
                    let good = error.utf8_error().valid_up_to();
                    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                    let file = sources.add(path, text);
                    diagnostics.push(
                        Diagnostic::error(codes::NOT_UTF8, "the file is not UTF-8 text")
                            .at(
                                Location::new(
                                    file,
                                    good..good + char::REPLACEMENT_CHARACTER.len_utf8(),
                                ),
                                "not UTF-8 from here on",
                            )
                            .help("save the file as UTF-8"),
                    );
                }
            }
        }
        if sources.is_empty() {
            bail!(
                "there is no `.yaml` file in `{}`; `hcb init` writes a spec to start from",
                spec.display()
            );
        }
        Ok(Texts { sources, root })
    }

    /// The built-in templates with those of the user's folder in their places.
    pub(super) fn templates(&self) -> anyhow::Result<Templates> {
        let Some(folder) = &self.templates else {
            return Ok(Templates::built_in());
        };
        let mut overrides = BTreeMap::new();
        for path in files_below(folder, &["yaml"])? {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading the template `{}`", path.display()))?;
            let below = path.strip_prefix(folder).unwrap_or(&path);
            let segments: Vec<_> = below
                .iter()
                .map(|segment| segment.to_string_lossy())
                .collect();
            overrides.insert(segments.join("/"), text);
        }
        Templates::new(overrides).map_err(|problems| {
            let lines: Vec<_> = problems
                .iter()
                .map(|(path, problem)| {
                    let notes = problem.notes.join("; ");
                    format!("  `{path}`: {} ({notes})", problem.message).replace(" ()", "")
                })
                .collect();
            anyhow::anyhow!(
                "templates in `{}` cannot be used:\n{}",
                folder.display(),
                lines.join("\n")
            )
        })
    }

    /// The options of the compiler.
    pub(super) fn options(&self) -> crate::compile::Options {
        crate::compile::Options {
            engine: self.engine.map(Into::into),
        }
    }
}

/// The files below a folder that end in one of `extensions`, sorted by path. Hidden files and
/// folders are left out; links are followed to files, not to folders, which could lead in circles.
fn files_below(folder: &Path, extensions: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("reading `{}`", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("reading `{}`", folder.display()))?;
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|found| extensions.iter().any(|e| found == *e))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
