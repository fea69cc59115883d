//! The tree on disk: what is there, what would change, and the change itself, all or nothing.
//!
//! A new tree is built beside the old one, and the two change places in one step of the file
//! system. Whatever kills hcb, the output folder holds the old tree or the new one, whole. Files
//! that hcb does not own are carried over; where they stand in the way, nothing is done.

use super::{HEADER, OWNED, Tree};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folders that hold nothing but what hcb generates, since an engine applies all that is there.
const EXCLUSIVE: [&str; 3] = ["clusters/", "gitops/", "bootstrap/"];

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

/// The state of an output folder.
#[derive(Debug, Default)]
struct OnDisk {
    /// Files of hcb: listed, and beginning as hcb's files begin.
    owned: BTreeSet<String>,
    /// All other files.
    foreign: BTreeSet<String>,
}

/// Compares a tree with what is on disk, without changing anything.
///
/// # Errors
///
/// The folder cannot be read, must not be replaced, or holds foreign files where there must be none.
pub fn compare(tree: &Tree, out: &Path) -> Result<Changes, Refusal> {
    refuse_odd_output(out)?;
    let disk = look(out)?;
    let in_the_way: Vec<_> = disk
        .foreign
        .iter()
        .filter(|path| {
            tree.files.contains_key(*path)
                || EXCLUSIVE.iter().any(|folder| path.starts_with(folder))
        })
        .cloned()
        .collect();
    if !in_the_way.is_empty() {
        return Err(Refusal::ForeignFiles(in_the_way));
    }
    let mut changes = Changes::default();
    for (path, content) in &tree.files {
        let file = out.join(path);
        if !disk.owned.contains(path) {
            changes.added.push(path.clone());
        } else if read(&file)? == content.as_bytes() {
            changes.unchanged += 1;
        } else {
            changes.changed.push(path.clone());
        }
    }
    changes.removed = disk
        .owned
        .iter()
        .filter(|path| !tree.files.contains_key(*path))
        .cloned()
        .collect();
    Ok(changes)
}

/// Makes the output folder what `tree` says, as a whole, and says what changed.
///
/// # Errors
///
/// As [`compare`], and where the file system refuses. The output folder is then as it was.
pub fn write(tree: &Tree, out: &Path) -> Result<Changes, Refusal> {
    let changes = compare(tree, out)?;
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

fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    fs::read(path).map_err(|source| failed("reading", path, source))
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

/// What is in the output folder.
fn look(out: &Path) -> Result<OnDisk, Refusal> {
    let mut disk = OnDisk::default();
    if !out.exists() {
        return Ok(disk);
    }
    let listed: BTreeSet<String> = match fs::read_to_string(out.join(OWNED)) {
        Ok(text) => text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
        Err(error) => return Err(failed("reading", &out.join(OWNED), error)),
    };
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let full = out.join(&folder);
        let entries = fs::read_dir(&full).map_err(|source| failed("reading", &full, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| failed("reading", &full, source))?;
            let path = folder.join(entry.file_name());
            let kind = entry
                .file_type()
                .map_err(|source| failed("reading", &entry.path(), source))?;
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            let name = slashed(&path);
            if name == OWNED
                || listed.contains(&name) && kind.is_file() && is_generated(&entry.path())?
            {
                disk.owned.insert(name);
            } else {
                disk.foreign.insert(name);
            }
        }
    }
    Ok(disk)
}

fn slashed(path: &Path) -> String {
    let segments: Vec<_> = path
        .iter()
        .map(|segment| segment.to_string_lossy())
        .collect();
    segments.join("/")
}

/// Whether a file begins as hcb's files begin.
fn is_generated(path: &Path) -> Result<bool, Refusal> {
    use io::Read;
    let mut start = Vec::with_capacity(HEADER.len());
    let file = fs::File::open(path).map_err(|source| failed("reading", path, source))?;
    file.take(HEADER.len() as u64)
        .read_to_end(&mut start)
        .map_err(|source| failed("reading", path, source))?;
    Ok(start == HEADER.as_bytes())
}

/// Builds the new tree in `next`: what is new is written, what stays is linked, foreign files are
/// carried over.
fn build(tree: &Tree, changes: &Changes, out: &Path, next: &Path) -> Result<(), Refusal> {
    let new: BTreeSet<&str> = changes
        .added
        .iter()
        .chain(&changes.changed)
        .map(String::as_str)
        .collect();
    let mut made = BTreeSet::new();
    for (path, content) in &tree.files {
        let file = next.join(path);
        if let Some(folder) = file.parent()
            && made.insert(folder.to_owned())
        {
            create_folder(folder)?;
        }
        if new.contains(path.as_str()) || fs::hard_link(out.join(path), &file).is_err() {
            fs::write(&file, content).map_err(|source| failed("writing", &file, source))?;
        }
    }
    for path in look(out)?.foreign {
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
            // What is now in the temporary folder is the old tree: it goes with it.
            Ok(()) => Ok(()),
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
