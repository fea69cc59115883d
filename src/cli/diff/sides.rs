//! The two sides of a comparison, from wherever they are.

use super::super::input::{self, Engine, Input, Overrides, Texts};
use super::super::run::{self, Run};
use super::git::{Commit, Range, Repository};
use anyhow::{Context, bail};
use hcb_compile::compile::Memo;
use hcb_compile::compile::Timings;
use hcb_compile::manifest::Templates;
use hcb_compile::tree::{self, HEADER, OWNED};
use hcb_diff::cause::{self, Compiled};
use hcb_diff::{Causes, Side, SpecPlace};
use hcb_source::diag::Diagnostics;
use hcb_source::source::{Role, Sources};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The most files that may be compiled, over all tries, to find the lines of the spec that lead to each
/// difference: a limit that does not depend on the machine, as a time would, so that a comment on a pull
/// request says the same wherever it is made.
const MOST_FILES: usize = 50_000;

/// What both sides are made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) templates: Option<&'a PathBuf>,
    pub(super) engine: Option<Engine>,
    /// The date that exceptions from policies are held against, where it is not that of the clock.
    pub(super) today: Option<jiff::civil::Date>,
}

/// A side, and the compilation that it comes from, if it does.
pub(super) struct Made {
    pub(super) side: Side,
    pub(super) run: Option<Run>,
    templates: Option<Templates>,
}

/// Both sides, or one that does not compile.
pub(super) enum Sides {
    Both {
        before: Box<Made>,
        after: Box<Made>,
        causes: Causes,
        hint: Option<String>,
    },
    Invalid(Box<Run>),
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

    fn options(&self) -> hcb_compile::compile::Options {
        self.input(Path::new("")).options()
    }
}

/// The tree on disk against what the spec says.
pub(super) fn committed(spec: &Path, settings: Settings<'_>) -> anyhow::Result<Sides> {
    let after = match of_spec(spec, settings)? {
        Ok(after) => after,
        Err(run) => return Ok(Sides::Invalid(run)),
    };
    let root = input::repository_root(spec).unwrap_or_default();
    let model = &after.run.as_ref().and_then(|run| run.output.as_ref());
    let path = model
        .map(|output| output.model.gitops.path.clone())
        .unwrap_or_default();
    let folder = root.join(&path);
    let mut hint = None;
    let side = if folder.is_dir() {
        Side {
            name: format!("the tree in {path}"),
            ..of_tree(&folder)?
        }
    } else {
        hint = Some(format!(
            "`{}` is not there yet: everything is new",
            folder.display()
        ));
        Side {
            name: format!("the tree in {path} (not there yet)"),
            ..Side::default()
        }
    };
    let before = Made {
        side,
        run: None,
        templates: None,
    };
    if hint.is_none() && before.side.files == after.side.files {
        hint = Some(format!(
            "`{path}` is what the spec says; `hcb diff --git` compares with the main branch"
        ));
    }
    // What is committed was compiled from the spec of the last commit, as a rule. Where it was, the
    // lines that changed since then are what leads to each difference.
    let causes = causes_since_head(spec, &before.side, &after, settings).unwrap_or_default();
    Ok(both(before, after, causes, hint))
}

fn causes_since_head(
    spec: &Path,
    tree: &Side,
    after: &Made,
    settings: Settings<'_>,
) -> Option<Causes> {
    let repository = Repository::of(spec).ok()?;
    let head = repository.commit("HEAD").ok()?;
    let before = of_commit(&repository, &head, spec, false, settings)
        .ok()??
        .ok()?;
    (before.side.files == tree.files).then(|| causes(&before, after, settings))?
}

/// What the clusters have against what the spec says.
pub(super) fn live(
    spec: &Path,
    settings: Settings<'_>,
    reach: super::live::Reach<'_>,
) -> anyhow::Result<Sides> {
    let mut after = match of_spec(spec, settings)? {
        Ok(after) => after,
        Err(run) => return Ok(Sides::Invalid(run)),
    };
    let (live, wanted, notes) = super::super::access::ask(super::live::sides(&after, reach))?;
    after.side = wanted;
    let before = Made {
        side: live,
        run: None,
        templates: None,
    };
    let hint = (!notes.is_empty()).then(|| notes.join("\n"));
    Ok(both(before, after, Causes::default(), hint))
}

/// Two commits, or one and the spec as it is in the work tree.
pub(super) fn revisions(
    range: &Range,
    worktree: bool,
    spec: &Path,
    settings: Settings<'_>,
) -> anyhow::Result<Sides> {
    let repository = Repository::of(spec)?;
    let (before, after) = repository.range(range)?;
    let after = if worktree {
        of_spec(spec, settings)?.map(|mut made| {
            "the work tree".clone_into(&mut made.side.name);
            made
        })
    } else {
        let Some(after) = of_commit(&repository, &after, spec, true, settings)? else {
            bail!(
                "[{}] {} has no spec `{}`",
                hcb_source::diag::codes::REVISION.id(),
                after.name,
                spec.display()
            );
        };
        after
    };
    let after = match after {
        Ok(after) => after,
        Err(run) => return Ok(Sides::Invalid(run)),
    };
    let mut hint = None;
    let before = match of_commit(&repository, &before, spec, false, settings)? {
        Some(Ok(before)) => before,
        Some(Err(run)) => return Ok(Sides::Invalid(run)),
        None => {
            hint = Some(format!(
                "{} has no spec `{}`: everything is new",
                before.name,
                spec.display()
            ));
            let side = Side {
                name: format!("{} (no spec)", before.name),
                ..Side::default()
            };
            Made {
                side,
                run: None,
                templates: None,
            }
        }
    };
    let causes = causes(&before, &after, settings).unwrap_or_default();
    Ok(both(before, after, causes, hint))
}

/// Two folders or files: trees or specs.
pub(super) fn folders(
    before: &Path,
    after: &Path,
    settings: Settings<'_>,
) -> anyhow::Result<Sides> {
    let make = |path: &Path| -> anyhow::Result<Result<Made, Box<Run>>> {
        if is_tree(path)? {
            let side = Side {
                name: path.display().to_string(),
                ..of_tree(path)?
            };
            return Ok(Ok(Made {
                side,
                run: None,
                templates: None,
            }));
        }
        of_spec(path, settings)
    };
    match (make(before)?, make(after)?) {
        (Ok(before), Ok(after)) => {
            let causes = causes(&before, &after, settings).unwrap_or_default();
            Ok(both(before, after, causes, None))
        }
        (Err(run), _) | (_, Err(run)) => Ok(Sides::Invalid(run)),
    }
}

fn both(before: Made, after: Made, causes: Causes, hint: Option<String>) -> Sides {
    Sides::Both {
        before: Box::new(before),
        after: Box::new(after),
        causes,
        hint,
    }
}

/// Whether a path is a tree of manifests, and not a spec.
fn is_tree(path: &Path) -> anyhow::Result<bool> {
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
fn of_tree(folder: &Path) -> anyhow::Result<Side> {
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
fn below(path: &Path, folder: &Path) -> String {
    let path = path.strip_prefix(folder).unwrap_or(path);
    let segments: Vec<_> = path
        .iter()
        .map(|segment| segment.to_string_lossy())
        .collect();
    segments.join("/")
}

fn of_spec(spec: &Path, settings: Settings<'_>) -> anyhow::Result<Result<Made, Box<Run>>> {
    let input = settings.input(spec);
    let templates = input.templates()?;
    let mut diagnostics = Diagnostics::default();
    let texts = input.read(&mut diagnostics)?;
    Ok(made(
        spec.display().to_string(),
        texts,
        templates,
        settings,
        diagnostics,
    ))
}

/// The spec of a commit; none where the commit has none. `as_is` tells its files by their paths in the
/// work tree.
fn of_commit(
    repository: &Repository,
    commit: &Commit,
    spec: &Path,
    as_is: bool,
    settings: Settings<'_>,
) -> anyhow::Result<Option<Result<Made, Box<Run>>>> {
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
    // Paths are told as the user can name them, from where the command runs.
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
    Ok(Some(made(
        commit.name.clone(),
        texts,
        templates,
        settings,
        diagnostics,
    )))
}

fn made(
    name: String,
    texts: Texts,
    templates: Templates,
    settings: Settings<'_>,
    diagnostics: Diagnostics,
) -> Result<Made, Box<Run>> {
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
    Ok(Made {
        side,
        templates: Some(templates),
        run: Some(run),
    })
}

/// The manifests of a tree as they would be on disk.
fn bytes(tree: &tree::Tree) -> Compiled {
    tree.manifests()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect()
}

/// The lines that changed between two specs, for each file in which their trees differ.
fn causes(before: &Made, after: &Made, settings: Settings<'_>) -> Option<Causes> {
    let (old, new) = (before.run.as_ref()?, after.run.as_ref()?);
    let templates = after.templates.as_ref()?;
    let texts = |run: &Run| -> cause::Texts {
        let files = run.texts.sources.iter();
        files
            .map(|(_, file)| (below(&file.path, &run.texts.root), file.text.clone()))
            .collect()
    };
    // Where a file was read for one thing and is now read for another, what it is now counts.
    let roles: BTreeMap<String, Role> = [old, new]
        .into_iter()
        .flat_map(|run| {
            let files = run.texts.sources.iter();
            files.map(|(_, file)| (below(&file.path, &run.texts.root), file.role))
        })
        .collect();
    // Each try is the spec but for a line or two.
    let memo = Memo::empty();
    let compile = |texts: &cause::Texts| -> Option<Compiled> {
        let mut sources = Sources::default();
        for (path, text) in texts {
            let role = roles.get(path).copied().unwrap_or(Role::Spec);
            sources.add_as(role, path, text.as_str());
        }
        let output = hcb_compile::compile::compile_with(
            &memo,
            &sources,
            Path::new(""),
            templates,
            settings.options(),
            &mut Diagnostics::default(),
            &mut Timings::default(),
        )?;
        Some(bytes(&output.tree))
    };
    let (old_texts, new_texts) = (texts(old), texts(new));
    let most = MOST_FILES / after.side.files.len().max(1);
    Some(cause::find(
        (&old_texts, &before.side.files),
        (&new_texts, &after.side.files),
        most,
        compile,
    ))
}
