//! The tree on disk: what is there, what would change, and the change itself, all or nothing.
//!
//! A new tree is built beside the old one, and the two change places in one step of the file
//! system. Whatever kills hcb, the output folder holds the old tree or the new one, whole. Files
//! that hcb does not own are carried over; where they stand in the way, nothing is done.

use super::known::{Known, Looks};
use super::{HEADER, OWNED, Tree};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The folders that hold nothing but what hcb generates, since an engine applies all that is there.
const EXCLUSIVE: [&str; 4] = ["clusters/", "gitops/", "bootstrap/", "submit/"];

/// How the folder begins in which a new tree is built, beside the output folder.
const TEMPORARY: &str = ".hcb-tree-";

/// No run takes this long.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);

/// What a new tree would change. Paths are relative to the output folder and sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Changes {
    /// Files that are not there yet.
    pub added: Vec<String>,
    /// Files with another content.
    pub changed: Vec<String>,
    /// Files of hcb that are no longer generated.
    pub removed: Vec<String>,
    /// How many files stay as they are.
    pub unchanged: usize,
}

impl Changes {
    /// Whether the tree on disk is what was generated.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Why a tree cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The output folder is something that hcb must not replace.
    #[error("{0}")]
    BadOutput(String),
    /// Files that hcb does not own stand in the way, or where an engine would apply them.
    #[error("files that hcb does not own are in the output folder")]
    ForeignFiles(Vec<String>),
    /// The file system refused.
    #[error("{doing} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A file of an output folder, beside what is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is hcb's, and as generated, as is known from before.
    Known,
    /// It is hcb's, and as generated.
    Unchanged,
    /// It is hcb's, with another content.
    Changed,
    /// It is hcb's, and no longer generated.
    Removed,
    /// Somebody else's.
    Foreign,
}

/// Compares a tree with what is on disk, without changing anything.
///
/// # Errors
///
/// The folder cannot be read, must not be replaced, or holds foreign files where there must be none.
pub fn compare(tree: &Tree, out: &Path) -> Result<Changes, Refusal> {
    compare_with(tree, out, None)
}

/// As [`compare()`], sooner where something is known of the folder from before.
///
/// # Errors
///
/// As [`compare()`].
pub fn compare_with(
    tree: &Tree,
    out: &Path,
    mut known: Option<&mut Known>,
) -> Result<Changes, Refusal> {
    // Should anything fail, nothing is known.
    let before = known.as_deref_mut().map(std::mem::take);
    refuse_odd_output(out)?;
    let begun = SystemTime::now();
    let list = list(out)?.unwrap_or_default();
    let listed: HashSet<&str> = in_list(&list).collect();
    let found = look(out, |path, file| {
        see(tree, &listed, before.as_ref(), path, file)
    })?;
    let mut before = before.unwrap_or_default();
    let mut changes = Changes::default();
    let mut in_the_way = Vec::new();
    let mut there = HashSet::new();
    for file in found {
        let path = file.path();
        match file.state {
            State::Known | State::Unchanged => changes.unchanged += 1,
            State::Changed => changes.changed.push(path.to_owned()),
            State::Removed => changes.removed.push(path.to_owned()),
            State::Foreign => {
                let is_exclusive = EXCLUSIVE.iter().any(|folder| path.starts_with(folder));
                if is_exclusive || file.wanted.is_ok() {
                    in_the_way.push(path.to_owned());
                }
                continue;
            }
        }
        let settled = file.looks.filter(|looks| looks.is_settled(begun));
        match (file.state, &file.wanted, settled) {
            (State::Known, ..) => {}
            (State::Unchanged, Ok((path, text)), Some(looks)) => before.note(path, looks, text),
            _ => before.forget(file.path()),
        }
        if let Ok((path, _)) = &file.wanted {
            there.insert(*path);
        }
    }
    if !in_the_way.is_empty() {
        in_the_way.sort();
        return Err(Refusal::ForeignFiles(in_the_way));
    }
    before.keep_only(|path| there.contains(&path), changes.unchanged);
    if let Some(known) = known {
        *known = before;
    }
    if there.len() < tree.files.len() {
        let generated = tree.files.keys();
        changes.added = generated
            .filter(|path| !there.contains(path))
            .map(|path| path.to_string())
            .collect();
    }
    changes.changed.sort();
    changes.removed.sort();
    Ok(changes)
}

/// A file of an output folder, seen beside a tree.
struct Seen<'a> {
    /// Its path and what it is to hold, as the tree has them; its path alone, where the tree has no such file.
    wanted: Result<(&'a Arc<str>, &'a Arc<str>), String>,
    state: State,
    /// How it looked before it was read. Only told where somebody wants to know.
    looks: Option<Looks>,
}

impl Seen<'_> {
    fn path(&self) -> &str {
        match &self.wanted {
            Ok((path, _)) => path,
            Err(path) => path,
        }
    }
}

fn see<'a>(
    tree: &'a Tree,
    listed: &HashSet<&str>,
    known: Option<&Known>,
    path: &str,
    file: &fs::DirEntry,
) -> Result<Seen<'a>, Refusal> {
    // Before it is read: who writes meanwhile makes it look otherwise.
    let looks = known.and_then(|_| Looks::of(&file.metadata().ok()?));
    let wanted = tree.files.get_key_value(path);
    let is_known = (listed.contains(path) || path == OWNED)
        && match (known, looks, wanted) {
            (Some(known), Some(looks), Some((_, text))) => known.has(path, looks, text),
            _ => false,
        };
    let state = if is_known {
        State::Known
    } else {
        let wanted = wanted.map(|(_, text)| &**text);
        state(wanted, listed, path, file)?
    };
    Ok(Seen {
        wanted: wanted.ok_or_else(|| path.to_owned()),
        state,
        looks,
    })
}

/// What a file is. Whether one is hcb's is seen by the list and by how it begins.
fn state(
    wanted: Option<&str>,
    listed: &HashSet<&str>,
    path: &str,
    file: &fs::DirEntry,
) -> Result<State, Refusal> {
    let is_list = path == OWNED;
    let is_file = || file.file_type().is_ok_and(|kind| kind.is_file());
    let is_own = listed.contains(path) && is_file();
    if !is_list && !is_own {
        return Ok(State::Foreign);
    }
    let most = wanted.unwrap_or_default().len();
    // A file that is longer differs, whatever comes then.
    let found = read(&file.path(), most.max(HEADER.len()) + 1)?;
    Ok(if !is_list && !found.starts_with(HEADER.as_bytes()) {
        State::Foreign
    } else {
        match wanted {
            None => State::Removed,
            Some(wanted) if found == wanted.as_bytes() => State::Unchanged,
            Some(_) => State::Changed,
        }
    })
}

/// Makes the output folder what `tree` says, as a whole, and says what changed.
///
/// # Errors
///
/// As [`compare`], and where the file system refuses. The output folder is then as it was.
pub fn write(tree: &Tree, out: &Path) -> Result<Changes, Refusal> {
    write_with(tree, out, None)
}

/// As [`write()`], sooner where something is known of the folder from before.
///
/// # Errors
///
/// As [`write()`].
pub fn write_with(tree: &Tree, out: &Path, known: Option<&mut Known>) -> Result<Changes, Refusal> {
    let changes = compare_with(tree, out, known)?;
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

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Refusal {
    Refusal::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// The first bytes of a file, at most so many.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, Refusal> {
    use io::Read;
    let mut bytes = Vec::with_capacity(most);
    fs::File::open(path)
        .and_then(|file| file.take(most as u64).read_to_end(&mut bytes))
        .map_err(|source| failed("reading", path, source))?;
    Ok(bytes)
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

fn refuse_odd_output(out: &Path) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::BadOutput(format!("`{}` {why}", out.display())));
    match fs::metadata(out) {
        Ok(metadata) if !metadata.is_dir() => return refuse("is not a folder"),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("reading", out, error)),
    }
    if out.join(".git").exists() {
        return refuse("is the root of a Git repository; the tree needs a folder of its own");
    }
    let here = std::env::current_dir().and_then(fs::canonicalize);
    if let (Ok(here), Ok(out)) = (here, fs::canonicalize(out))
        && here.starts_with(&out)
    {
        return refuse("holds the folder that hcb runs in; the tree needs a folder of its own");
    }
    Ok(())
}

/// The files that a tree lists as hcb's; none where it is no tree of hcb's.
///
/// # Errors
///
/// The list cannot be read.
pub fn listed(out: &Path) -> Result<Option<HashSet<String>>, Refusal> {
    let list = list(out)?;
    Ok(list.map(|list| in_list(&list).map(str::to_owned).collect()))
}

/// The list of hcb's files as it is.
fn list(out: &Path) -> Result<Option<String>, Refusal> {
    match fs::read_to_string(out.join(OWNED)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("reading", &out.join(OWNED), error)),
    }
}

fn in_list(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.starts_with('#'))
}

/// What `what` says of each file below a folder, in no particular order.
fn look<T: Send>(
    out: &Path,
    what: impl Fn(&str, &fs::DirEntry) -> Result<T, Refusal> + Sync,
) -> Result<Vec<T>, Refusal> {
    if !out.exists() {
        return Ok(Vec::new());
    }
    look_below(out, "", &what)
}

fn look_below<T: Send>(
    folder: &Path,
    prefix: &str,
    what: &(impl Fn(&str, &fs::DirEntry) -> Result<T, Refusal> + Sync),
) -> Result<Vec<T>, Refusal> {
    let reading = |source| failed("reading", folder, source);
    let mut found = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry
            .file_type()
            .map_err(|source| failed("reading", &entry.path(), source))?;
        if kind.is_dir() {
            folders.push((entry.path(), format!("{path}/")));
        } else {
            found.push(what(&path, &entry)?);
        }
    }
    let below: Vec<_> = folders
        .into_par_iter()
        .map(|(folder, prefix)| look_below(&folder, &prefix, what))
        .collect::<Result<_, _>>()?;
    found.extend(below.into_iter().flatten());
    Ok(found)
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
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push((path, content));
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
    for path in look(out, |path, _| Ok(path.to_owned()))? {
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
