//! One side of a comparison: a tree on disk, or a spec that is compiled.

use super::git::{Commit, Repository};
use crate::cli::input::{self, Engine, Input, Overrides, Texts};
use crate::cli::run::{self, Run};
use anyhow::Context;
use hcb_compile::compile::Memo;
use hcb_compile::compile::{Options, Timings};
use hcb_compile::manifest::Templates;
use hcb_compile::tree::{self, HEADER, OWNED};
use hcb_diff::cause::Compiled;
use hcb_diff::{Side, SpecPlace};
use hcb_source::diag::Diagnostics;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// What both sides are compiled with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) templates: Option<&'a PathBuf>,
    pub(super) engine: Option<Engine>,
    /// The date that exceptions from policies are held against, where it is not that of the clock.
    pub(super) today: Option<jiff::civil::Date>,
}

/// A side with the compilation that it comes from, where it is a spec.
pub(super) struct ComparedSide {
    pub(super) side: Side,
    pub(super) run: Option<Run>,
    pub(super) templates: Option<Templates>,
}

impl ComparedSide {
    /// A side that comes from no spec.
    pub(super) fn without_spec(side: Side) -> Self {
        Self {
            side,
            run: None,
            templates: None,
        }
    }
}

impl Settings<'_> {
    fn input(&self, spec: &Path) -> Input {
        Input {
            spec: spec.to_owned(),
            templates: self.templates.cloned(),
            engine: self.engine,
            today: self.today,
        }
    }

    pub(super) fn options(&self) -> Options {
        self.input(Path::new("")).options()
    }
}

/// Whether a path is a tree of manifests, and not a spec.
pub(super) fn is_tree(path: &Path) -> anyhow::Result<bool> {
    let metadata = std::fs::metadata(path).with_context(|| {
        format!(
            "[{}] reading `{}`",
            hcb_source::diag::codes::UNREADABLE.id(),
            path.display()
        )
    })?;
    if !metadata.is_dir() {
        return Ok(false);
    }
    if path.join(OWNED).exists() {
        return Ok(true);
    }
    let is_spec = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        !text.starts_with(HEADER)
            && text
                .lines()
                .any(|line| line.trim_end() == "kind: HybridCloud")
    };
    Ok(!input::files_below(path, &["yaml", "yml"])?
        .par_iter()
        .any(is_spec))
}

/// The files of a tree; of one of hcb's, those that it lists. What others keep beside them is theirs.
pub(super) fn of_tree(folder: &Path) -> anyhow::Result<Side> {
    let paths = input::files_below(folder, &["yaml", "yml"])?;
    let listed = tree::compare::listed(folder)?;
    let is_ours = |path: &&PathBuf| {
        let listed = listed.as_ref();
        listed.is_none_or(|listed| listed.contains(&below(path, folder)))
    };
    let files = paths
        .par_iter()
        .filter(is_ours)
        .map(|path| {
            let bytes =
                std::fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
            Ok((below(path, folder), bytes))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Side {
        files,
        ..Side::default()
    })
}

/// A path below a folder, with `/` between segments.
pub(super) fn below(path: &Path, folder: &Path) -> String {
    let path = path.strip_prefix(folder).unwrap_or(path);
    let segments: Vec<_> = path
        .iter()
        .map(|segment| segment.to_string_lossy())
        .collect();
    segments.join("/")
}

/// Compiles the spec at a path; a spec that does not compile comes back as its run.
pub(super) fn of_spec(
    spec: &Path,
    settings: Settings<'_>,
) -> anyhow::Result<Result<ComparedSide, Box<Run>>> {
    let input = settings.input(spec);
    let templates = input.templates()?;
    let mut diagnostics = Diagnostics::default();
    let texts = input.read(&mut diagnostics)?;
    Ok(compiled(
        spec.display().to_string(),
        texts,
        templates,
        settings,
        diagnostics,
    ))
}

/// The spec of a commit; none where the commit has none. `as_is` tells its files by their paths in the
/// work tree.
pub(super) fn of_commit(
    repository: &Repository,
    commit: &Commit,
    spec: &Path,
    as_is: bool,
    settings: Settings<'_>,
) -> anyhow::Result<Option<Result<ComparedSide, Box<Run>>>> {
    let inside = |path: &Path| -> anyhow::Result<PathBuf> {
        let absolute = std::path::absolute(path)?;
        Ok(absolute
            .strip_prefix(repository.root())
            .unwrap_or(&absolute)
            .to_owned())
    };
    let folder = inside(spec)?;
    let files = repository.files(commit, &folder, &["yaml", "yml"])?;
    let is_file = files.len() == 1 && files[0].0 == folder;
    // Paths are shown as the user can name them, from where the command runs.
    let shown = if as_is {
        spec.to_owned()
    } else {
        PathBuf::from(format!("{}:{}", commit.name, spec.display()))
    };
    let root = if is_file {
        shown.parent().unwrap_or(Path::new("")).to_owned()
    } else {
        shown.clone()
    };
    let mut diagnostics = Diagnostics::default();
    // Where the root is in the commit, and how that is shown.
    let inner = if is_file {
        folder.parent().unwrap_or(Path::new("")).to_owned()
    } else {
        folder.clone()
    };
    let as_shown = |(path, bytes): (PathBuf, Vec<u8>)| {
        let path = match path.strip_prefix(&inner) {
            _ if path == folder => shown.clone(),
            Ok(below) => root.join(below),
            Err(_) => path,
        };
        (path, bytes)
    };
    let files_of = |folder: &Path, extensions: &[&str]| {
        let folder = inner.join(folder.strip_prefix(&root).unwrap_or(folder));
        let files = repository.files(commit, &folder, extensions)?;
        let files: Vec<_> = files.into_iter().map(as_shown).collect();
        Ok((!files.is_empty()).then_some(files))
    };
    let files = files.into_iter().map(as_shown).collect();
    let sources = input::sources(files, &root, files_of, &mut diagnostics)?;
    if sources.is_empty() {
        return Ok(None);
    }
    let overrides = match settings.templates {
        None => None,
        Some(folder) => {
            let inside = inside(folder)?;
            let files = repository.files(commit, &inside, &["yaml"])?;
            let texts = files.into_iter().map(|(path, bytes)| {
                (
                    below(&path, &inside),
                    String::from_utf8_lossy(&bytes).into_owned(),
                )
            });
            Some(Overrides {
                folder: folder.clone(),
                texts: texts.collect(),
            })
        }
    };
    let templates = input::templates(overrides.as_ref())?;
    let texts = Texts { sources, root };
    Ok(Some(compiled(
        commit.name.clone(),
        texts,
        templates,
        settings,
        diagnostics,
    )))
}

fn compiled(
    name: String,
    texts: Texts,
    templates: Templates,
    settings: Settings<'_>,
    diagnostics: Diagnostics,
) -> Result<ComparedSide, Box<Run>> {
    let run = run::compile(
        texts,
        &templates,
        settings.options(),
        &Memo::of_one_run(),
        diagnostics,
        Timings::default(),
    );
    let Some(output) = &run.output else {
        return Err(Box::new(run));
    };
    let sources = &run.texts.sources;
    let origins = tree::origins(&output.model, &output.units)
        .into_iter()
        .map(|(path, location)| {
            let at = sources.line_column(location);
            let place = SpecPlace {
                file: below(sources.path(location), &run.texts.root),
                line: Some(at.line),
                column: Some(at.column),
            };
            (path, place)
        })
        .collect();
    let side = Side {
        name,
        files: bytes(&output.tree),
        origins,
        ..Side::default()
    };
    Ok(ComparedSide {
        side,
        templates: Some(templates),
        run: Some(run),
    })
}

/// The manifests of a tree as they would be on disk.
pub(super) fn bytes(tree: &tree::Tree) -> Compiled {
    tree.manifests()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect()
}
