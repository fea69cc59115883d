//! The tree on disk: the change of it, all or nothing.
//!
//! A new tree is built beside the old one, and the two change places in one step of the file
//! system. Whatever kills hcb, the output folder holds the old tree or the new one, whole. Files
//! that hcb does not own are carried over; where they stand in the way, nothing is done.

use super::Tree;
use super::compare::{Changes, Refusal, all_below, compare_with, failed, folder_of};
use super::snapshot::Snapshot;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the folder begins in which a new tree is built, beside the output folder.
const TEMPORARY: &str = ".hcb-tree-";

/// No run takes this long.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);

/// Makes the output folder what `tree` says, as a whole, and says what changed.
///
/// # Errors
///
/// As [`compare_with`], and where the file system refuses. The output folder is then as it was.
pub fn write(tree: &Tree, out: &Path) -> Result<Changes, Refusal> {
    write_with(tree, out, None)
}

/// As [`write()`], sooner where something is known of the folder from before.
///
/// # Errors
///
/// As [`write()`].
pub fn write_with(
    tree: &Tree,
    out: &Path,
    snapshot: Option<&mut Snapshot>,
) -> Result<Changes, Refusal> {
    let changes = compare_with(tree, out, snapshot)?;
    if changes.is_empty() && out.exists() {
        return Ok(changes);
    }
    let out = resolve(out)?;
    let parent = out.parent().ok_or_else(|| {
        Refusal::BadOutput("the output folder is the root of the file system".to_owned())
    })?;
    create_folder(parent)?;
    clear_leftovers(parent);
    let next = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempdir_in(parent)
        .map_err(|source| failed("creating a folder in", parent, source))?;
    build(tree, &changes, &out, next.path())?;
    exchange(&out, next)?;
    Ok(changes)
}

/// Removes what runs that were killed left in `parent`: folders of this name that nobody has touched
/// for so long that no run can still be at work in them. What they hold is generated, or is linked
/// to from the tree. That one cannot be removed is no reason to fail.
fn clear_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
        let age = entry
            .metadata()
            .ok()
            .filter(fs::Metadata::is_dir)
            .and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
        if is_ours && age.is_some_and(|age| age > LEFTOVER_AGE) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn create_folder(path: &Path) -> Result<(), Refusal> {
    fs::create_dir_all(path).map_err(|source| failed("creating", path, source))
}

/// Follows a link, so that what it points at is replaced and not the link.
fn resolve(out: &Path) -> Result<PathBuf, Refusal> {
    if out.exists() {
        return fs::canonicalize(out).map_err(|source| failed("reading", out, source));
    }
    std::path::absolute(out).map_err(|source| failed("reading", out, source))
}

/// Builds the new tree in `next`: what is new is written, what stays is linked, foreign files are
/// carried over.
fn build(tree: &Tree, changes: &Changes, out: &Path, next: &Path) -> Result<(), Refusal> {
    let new: HashSet<&str> = changes
        .added
        .iter()
        .chain(&changes.changed)
        .map(String::as_str)
        .collect();
    let mut folders: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (path, content) in &tree.files {
        folders
            .entry(folder_of(path))
            .or_default()
            .push((path, content));
    }
    let folders: Vec<_> = folders.into_iter().collect();
    folders.par_iter().try_for_each(|(folder, files)| {
        create_folder(&next.join(folder))?;
        for (path, content) in files {
            let file = next.join(path);
            if new.contains(path) || fs::hard_link(out.join(path), &file).is_err() {
                fs::write(&file, content).map_err(|source| failed("writing", &file, source))?;
            }
        }
        Ok(())
    })?;
    let removed: HashSet<&str> = changes.removed.iter().map(String::as_str).collect();
    // As late as can be, so that nothing is lost that somebody has put there meanwhile.
    let there = if out.exists() {
        all_below(out, "")?
    } else {
        Vec::new()
    };
    for path in there {
        if tree.files.contains_key(path.as_str()) || removed.contains(path.as_str()) {
            continue;
        }
        let (from, to) = (out.join(&path), next.join(&path));
        if let Some(folder) = to.parent() {
            create_folder(folder)?;
        }
        carry(&from, &to).map_err(|source| failed("keeping", &from, source))?;
    }
    if let Ok(metadata) = fs::metadata(out) {
        let _ = fs::set_permissions(next, metadata.permissions());
    } else {
        open_to_others(next);
    }
    Ok(())
}

/// Removes a folder with all that is in it. What cannot be removed stays.
fn remove(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.partition(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for file in files {
        let _ = fs::remove_file(file.path());
    }
    folders
        .into_par_iter()
        .for_each(|folder| remove(&folder.path()));
    let _ = fs::remove_dir(folder);
}

/// A temporary folder is its owner's alone; a new tree is as readable as any other folder.
#[cfg(unix)]
fn open_to_others(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) {}

/// A foreign file at its place in the new tree: the same file where that is possible.
fn carry(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    if metadata.is_symlink() {
        #[cfg(unix)]
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

/// Puts the new tree where the old one is, in one step.
#[cfg(target_os = "linux")]
fn exchange(out: &Path, next: tempfile::TempDir) -> Result<(), Refusal> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if out.exists() {
        let exchanged = renameat_with(CWD, next.path(), CWD, out, RenameFlags::EXCHANGE);
        return match exchanged {
            // What is now in the temporary folder is the old tree.
            Ok(()) => {
                remove(&next.keep());
                Ok(())
            }
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => two_steps(out, next),
            Err(error) => Err(failed("replacing", out, error.into())),
        };
    }
    let next = next.keep();
    fs::rename(&next, out).map_err(|source| failed("replacing", out, source))
}

#[cfg(not(target_os = "linux"))]
fn exchange(out: &Path, next: tempfile::TempDir) -> Result<(), Refusal> {
    two_steps(out, next)
}

/// Where the file system cannot exchange two folders: the old tree steps aside first, and comes
/// back if the new one cannot take its place.
fn two_steps(out: &Path, next: tempfile::TempDir) -> Result<(), Refusal> {
    if !out.exists() {
        return fs::rename(next.keep(), out).map_err(|source| failed("replacing", out, source));
    }
    let aside = next.path().with_extension("old");
    fs::rename(out, &aside).map_err(|source| failed("replacing", out, source))?;
    if let Err(source) = fs::rename(next.path(), out) {
        let _ = fs::rename(&aside, out);
        return Err(failed("replacing", out, source));
    }
    let _ = next.keep();
    fs::remove_dir_all(&aside).map_err(|source| failed("removing the old tree", &aside, source))
}
