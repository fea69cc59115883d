//! What a run reads: the files of the spec, and templates of the user's.

use anyhow::{Context, bail};
use clap::builder::PossibleValue;
use hcb_compile::manifest::Templates;
use hcb_compile::policy::library;
use hcb_compile::tree::HEADER;
use hcb_source::diag::{Diagnostic, Diagnostics, codes};
use hcb_source::source::{FileId, Location, Role, Sources};
use hcb_spec::spec::GitOpsEngine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The folder of a spec that is not named.
const DEFAULT_SPEC: &str = "hybrid";

/// What `compile`, `validate` and `list` read.
#[derive(Debug, clap::Args)]
pub(super) struct Input {
    /// The spec: a file, or a folder that is searched for `.yaml` and `.yml` files.
    #[arg(default_value = DEFAULT_SPEC)]
    pub(super) spec: PathBuf,
    /// A folder of templates that take the place of the built-in ones of the same path.
    #[arg(long, value_name = "DIR")]
    pub(super) templates: Option<PathBuf>,
    /// The engine, in place of the one that the spec names.
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub(super) engine: Option<Engine>,
    /// The date that exceptions from policies are held against, such as `2027-03-31`. Default: that
    /// of the clock, in UTC.
    #[arg(long, value_name = "DATE", env = "HCB_TODAY")]
    pub(super) today: Option<jiff::civil::Date>,
}

/// An engine, as the command line spells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Engine(GitOpsEngine);

impl clap::ValueEnum for Engine {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Engine>> =
            LazyLock::new(|| GitOpsEngine::ALL.iter().copied().map(Engine).collect());
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let facts = self.0.facts();
        Some(PossibleValue::new(facts.key).help(facts.name))
    }
}

impl From<Engine> for GitOpsEngine {
    fn from(engine: Engine) -> Self {
        engine.0
    }
}

/// The texts of a spec.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    /// The texts, by path as the user can name them.
    pub(super) sources: Sources,
    /// The folder that paths in the output are relative to.
    pub(super) root: PathBuf,
}

/// Templates of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overrides {
    /// The folder that they are in.
    pub(super) folder: PathBuf,
    /// The texts by path below it.
    pub(super) texts: BTreeMap<String, String>,
}

impl Input {
    /// Whether no spec was named and the usual one is not there.
    pub(super) fn is_absent(&self) -> bool {
        self.spec.as_os_str() == DEFAULT_SPEC && !self.spec.exists()
    }

    /// Whether there is a spec; why not, where there is none.
    pub(super) fn find(&self) -> anyhow::Result<std::fs::Metadata> {
        std::fs::metadata(&self.spec).with_context(|| {
            let hint = if self.spec.as_os_str() == DEFAULT_SPEC {
                "; name the spec, or write one with `hcb init`"
            } else {
                ""
            };
            format!(
                "[{}] the spec `{}` cannot be read{hint}",
                codes::UNREADABLE.id(),
                self.spec.display()
            )
        })
    }

    /// Reads the spec. A file that is no text is a finding; a spec that is not there is a failure.
    pub(super) fn read(&self, diagnostics: &mut Diagnostics) -> anyhow::Result<Texts> {
        self.search(&mut BTreeSet::new(), diagnostics)
    }

    /// Reads the spec, and adds the folders that are searched, or would be if they were there, to `folders`.
    pub(super) fn search(
        &self,
        folders: &mut BTreeSet<PathBuf>,
        diagnostics: &mut Diagnostics,
    ) -> anyhow::Result<Texts> {
        let spec = &self.spec;
        let (root, files) = if self.find()?.is_dir() {
            let files = search(spec, &["yaml", "yml"], folders)?;
            (spec.clone(), files)
        } else {
            let root = spec.parent().unwrap_or(Path::new("")).to_owned();
            // An editor may put another file in its place.
            folders.insert(root.join("."));
            (root, vec![spec.clone()])
        };
        let files = files.into_iter().map(with_bytes);
        let below = |folder: &Path, extensions: &[&str]| {
            folders.insert(folder.to_owned());
            if !folder.is_dir() {
                return Ok(None);
            }
            let files = search(folder, extensions, folders)?
                .into_iter()
                .map(with_bytes);
            files.collect::<anyhow::Result<_>>().map(Some)
        };
        let sources = sources(
            files.collect::<anyhow::Result<_>>()?,
            &root,
            below,
            diagnostics,
        )?;
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
        templates(self.overrides(&mut BTreeSet::new())?.as_ref())
    }

    /// The templates of the user's folder, if there is one. The folders that are searched are added to
    /// `folders`.
    pub(super) fn overrides(
        &self,
        folders: &mut BTreeSet<PathBuf>,
    ) -> anyhow::Result<Option<Overrides>> {
        let Some(folder) = &self.templates else {
            return Ok(None);
        };
        folders.insert(folder.clone());
        let mut texts = BTreeMap::new();
        for path in search(folder, &["yaml"], folders)? {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading the template `{}`", path.display()))?;
            let below = path.strip_prefix(folder).unwrap_or(&path);
            let segments: Vec<_> = below
                .iter()
                .map(|segment| segment.to_string_lossy())
                .collect();
            texts.insert(segments.join("/"), text);
        }
        Ok(Some(Overrides {
            folder: folder.clone(),
            texts,
        }))
    }

    /// The options of the compiler.
    pub(super) fn options(&self) -> hcb_compile::compile::Options {
        hcb_compile::compile::Options {
            engine: self.engine.map(Into::into),
            today: Some(self.today.unwrap_or_else(|| {
                jiff::Timestamp::now()
                    .to_zoned(jiff::tz::TimeZone::UTC)
                    .date()
            })),
        }
    }
}

/// A file, by its path, and what is in it.
pub(super) type FileBytes = (PathBuf, Vec<u8>);

fn with_bytes(path: PathBuf) -> anyhow::Result<FileBytes> {
    let bytes = std::fs::read(&path)
        .with_context(|| format!("[{}] reading `{}`", codes::UNREADABLE.id(), path.display()))?;
    Ok((path, bytes))
}

/// The texts of a spec and of the team's own policies, which are in a folder beside it. `below` reads the
/// files of a folder that have one of some extensions; none where there is no such folder.
pub(super) fn sources(
    spec: Vec<FileBytes>,
    root: &Path,
    mut below: impl FnMut(&Path, &[&str]) -> anyhow::Result<Option<Vec<FileBytes>>>,
    diagnostics: &mut Diagnostics,
) -> anyhow::Result<Sources> {
    let mut sources = Sources::default();
    let usual = root.join(library::FOLDER);
    for (path, bytes) in spec {
        if !path.starts_with(&usual) {
            add(&mut sources, Role::Spec, path, bytes, diagnostics)?;
        }
    }
    let named = library::named_folder(&sources);
    if let Some((name, location)) = &named
        && let Some(problem) = hcb_kubernetes::names::path_below(name)
    {
        diagnostics.push(
            Diagnostic::error(codes::BAD_PATH, format!("the path `{name}` {problem}"))
                .at(*location, "not a folder below that of the spec")
                .help("keep policies in a folder beside the spec, such as `policies`"),
        );
        return Ok(sources);
    }
    let folder = root.join(named.as_ref().map_or(library::FOLDER, |(name, _)| name));
    let Some(policies) = below(&folder, &["yaml", "md"])? else {
        if let Some((name, location)) = named {
            diagnostics.push(
                Diagnostic::error(
                    codes::UNREADABLE,
                    format!("there is no folder `{name}` beside the spec"),
                )
                .at(location, "not a folder"),
            );
        }
        return Ok(sources);
    };
    // What was read as a part of the spec and is in the folder of policies is none.
    let spec = std::mem::take(&mut sources);
    for (_, file) in spec
        .iter()
        .filter(|(_, file)| !file.path.starts_with(&folder))
    {
        sources.add(file.path.clone(), file.text.clone());
    }
    for (path, bytes) in policies {
        if library::is_part_of_a_policy(&path) {
            add(&mut sources, Role::Policy, path, bytes, diagnostics)?;
        }
    }
    Ok(sources)
}

/// Adds a file. What hcb generated is left out; a file that is no text is a finding.
pub(super) fn add(
    sources: &mut Sources,
    role: Role,
    path: PathBuf,
    bytes: Vec<u8>,
    diagnostics: &mut Diagnostics,
) -> anyhow::Result<Option<FileId>> {
    if bytes.starts_with(HEADER.as_bytes()) {
        return Ok(None);
    }
    if bytes.len() > 64 << 20 {
        bail!(
            "`{}` is larger than 64 MiB, which no spec is",
            path.display()
        );
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(sources.add_as(role, path, text))),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let file = sources.add_as(role, path, text);
            diagnostics.push(
                Diagnostic::error(codes::NOT_UTF8, "the file is not UTF-8 text")
                    .at(
                        Location::new(file, good..good + char::REPLACEMENT_CHARACTER.len_utf8()),
                        "not UTF-8 from here on",
                    )
                    .help("save the file as UTF-8"),
            );
            Ok(Some(file))
        }
    }
}

/// The built-in templates with those of a folder, if there is one, in their places.
pub(super) fn templates(overrides: Option<&Overrides>) -> anyhow::Result<Templates> {
    let Some(Overrides { folder, texts }) = overrides else {
        return Ok(Templates::built_in());
    };
    Templates::new(texts.clone()).map_err(|errors| {
        let lines: Vec<_> = errors
            .iter()
            .map(|(path, error)| {
                let notes = error.notes().join("; ");
                format!("  `{path}`: {error} ({notes})").replace(" ()", "")
            })
            .collect();
        anyhow::anyhow!(
            "templates in `{}` cannot be used:\n{}",
            folder.display(),
            lines.join("\n")
        )
    })
}

/// The root of the Git repository that a path is in, absolute.
pub(super) fn repository_root(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let root = absolute
        .ancestors()
        .find(|folder| folder.join(".git").exists());
    root.map(Path::to_owned)
}

/// The files below a folder that end in one of `extensions`, sorted by path. Hidden files and
/// folders are left out; links are followed to files, not to folders, which could lead in circles.
pub(super) fn files_below(folder: &Path, extensions: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    search(folder, extensions, &mut BTreeSet::new())
}

/// As [`files_below`]; the folders are added to `searched`.
fn search(
    folder: &Path,
    extensions: &[&str],
    searched: &mut BTreeSet<PathBuf>,
) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        searched.insert(folder.clone());
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
