//! The two sides of a comparison, from wherever they are.

use super::git::{Range, Repository};
use super::live::{self, Reach};
use super::side::{ComparedSide, Settings, below, bytes, is_tree, of_commit, of_spec, of_tree};
use crate::cli::access::ask;
use crate::cli::input;
use crate::cli::run::Run;
use anyhow::bail;
use hcb_compile::compile::Memo;
use hcb_compile::compile::Timings;
use hcb_diff::cause::{self, Compiled};
use hcb_diff::{Causes, Side, trace};
use hcb_source::diag::Diagnostics;
use hcb_source::source::{Role, Sources};
use std::collections::BTreeMap;
use std::path::Path;

/// The most files that may be compiled, over all tries, to find the lines of the spec that lead to each
/// difference: a limit that does not depend on the machine, as a time would, so that a comment on a pull
/// request says the same wherever it is made.
const MOST_FILES: usize = 50_000;

/// Both sides, or one that does not compile.
pub(super) enum Sides {
    Both {
        before: Box<ComparedSide>,
        after: Box<ComparedSide>,
        causes: Causes,
        hint: Option<String>,
    },
    Invalid(Box<Run>),
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
    let before = ComparedSide::without_spec(side);
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
    after: &ComparedSide,
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
pub(super) fn live(spec: &Path, settings: Settings<'_>, reach: Reach<'_>) -> anyhow::Result<Sides> {
    let mut after = match of_spec(spec, settings)? {
        Ok(after) => after,
        Err(run) => return Ok(Sides::Invalid(run)),
    };
    let (live, wanted, notes) = ask(live::sides(&after, reach))?;
    after.side = wanted;
    let before = ComparedSide::without_spec(live);
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
        of_spec(spec, settings)?.map(|mut compiled| {
            "the work tree".clone_into(&mut compiled.side.name);
            compiled
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
            ComparedSide::without_spec(side)
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
    let make = |path: &Path| -> anyhow::Result<Result<ComparedSide, Box<Run>>> {
        if is_tree(path)? {
            let side = Side {
                name: path.display().to_string(),
                ..of_tree(path)?
            };
            return Ok(Ok(ComparedSide::without_spec(side)));
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

fn both(before: ComparedSide, after: ComparedSide, causes: Causes, hint: Option<String>) -> Sides {
    Sides::Both {
        before: Box::new(before),
        after: Box::new(after),
        causes,
        hint,
    }
}

/// The lines that changed between two specs, for each file in which their trees differ.
fn causes(before: &ComparedSide, after: &ComparedSide, settings: Settings<'_>) -> Option<Causes> {
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
    Some(trace::find(
        (&old_texts, &before.side.files),
        (&new_texts, &after.side.files),
        most,
        compile,
    ))
}
