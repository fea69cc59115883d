//! What is on disk beside a tree: what would change.

use super::snapshot::{self, Snapshot, Stamp};
use super::{HEADER, OWNED, Tree};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::SystemTime;

/// The folders that hold nothing but what hcb generates, since an engine applies all that is there.
const EXCLUSIVE: [&str; 4] = ["clusters/", "gitops/", "bootstrap/", "submit/"];

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
    mut snapshot: Option<&mut Snapshot>,
) -> Result<Changes, Refusal> {
    // Should anything fail, nothing is known.
    let before = snapshot.as_deref_mut().map(std::mem::take);
    refuse_odd_output(out)?;
    let begun = SystemTime::now();
    let list = list(out)?.unwrap_or_default();
    let wanted = Wanted::of(tree, &list);
    let folders = if out.exists() {
        see_below(out, "", &wanted, before.as_ref())?
    } else {
        Vec::new()
    };
    let mut after = before.unwrap_or_default();
    after.forget_others();
    let mut changes = Changes::default();
    let mut in_the_way = Vec::new();
    for folder in folders {
        for file in &folder.files {
            let path = file.path();
            let paths = match file.state {
                State::Unchanged => continue,
                State::Changed => &mut changes.changed,
                State::Removed => &mut changes.removed,
                State::Foreign => {
                    let is_exclusive = EXCLUSIVE.iter().any(|folder| path.starts_with(folder));
                    if !is_exclusive && file.wanted.is_err() {
                        continue;
                    }
                    &mut in_the_way
                }
            };
            paths.push(path.to_owned());
        }
        if let Some(stamp) = folder.stamp.filter(|stamp| stamp.is_settled(begun))
            && let Some(files) = as_wanted(&folder.files, begun)
        {
            after.note(folder.prefix, stamp, folder.below, files);
        }
    }
    if !in_the_way.is_empty() {
        in_the_way.sort();
        return Err(Refusal::ForeignFiles(in_the_way));
    }
    if let Some(snapshot) = snapshot {
        *snapshot = after;
    }
    let missing = wanted.files.iter().filter(|file| !file.is_there());
    changes.added = missing.map(|file| file.path.to_string()).collect();
    // A file that is made again while its folder is read may be told twice.
    for paths in [&mut changes.changed, &mut changes.removed] {
        paths.sort();
        paths.dedup();
    }
    changes.unchanged = wanted.files.len() - changes.added.len() - changes.changed.len();
    Ok(changes)
}

/// The files that a folder is to hold, and the list of those of it that are hcb's.
///
/// With a hundred thousand of them, where they are found in memory counts: by the folder first, whose files
/// are asked for one after another.
struct Wanted<'a> {
    /// By path.
    files: Vec<WantedFile<'a>>,
    /// The numbers of the files of each folder, by path.
    folders: HashMap<&'a str, Vec<usize>>,
    /// What the folder's list has, by path.
    listed: Vec<&'a str>,
}

/// A file that a folder is to hold.
struct WantedFile<'a> {
    path: &'a Arc<str>,
    text: &'a Arc<str>,
    /// Whether the folder's list has it.
    is_listed: bool,
    /// Whether it was found.
    is_there: AtomicBool,
}

impl WantedFile<'_> {
    fn is_there(&self) -> bool {
        self.is_there.load(Relaxed)
    }

    fn mark_found(&self) {
        self.is_there.store(true, Relaxed);
    }
}

impl<'a> Wanted<'a> {
    fn of(tree: &'a Tree, list: &'a str) -> Self {
        let mut listed: Vec<_> = in_list(list).collect();
        listed.sort_unstable();
        let mut files = Vec::with_capacity(tree.files.len());
        let mut next = listed.iter().peekable();
        for (path, text) in &tree.files {
            // Both are sorted.
            while next.next_if(|listed| **listed < &**path).is_some() {}
            let is_listed = next.peek().is_some_and(|listed| **listed == &**path);
            files.push(WantedFile {
                path,
                text,
                is_listed,
                is_there: AtomicBool::new(false),
            });
        }
        let mut folders: HashMap<_, Vec<usize>> = HashMap::new();
        let mut number = 0;
        // Files of a folder follow each other, but for those of folders in it.
        for together in files.chunk_by(|a, b| folder_of(a.path) == folder_of(b.path)) {
            let numbers = number..number + together.len();
            number = numbers.end;
            let folder = folders.entry(folder_of(together[0].path)).or_default();
            folder.extend(numbers);
        }
        Self {
            files,
            folders,
            listed,
        }
    }

    /// The files that a folder is to hold itself, by their paths.
    fn in_folder(&self, prefix: &str) -> Vec<&WantedFile<'a>> {
        let folder = prefix.strip_suffix('/').unwrap_or(prefix);
        let numbers = self.folders.get(folder).into_iter().flatten();
        numbers.map(|number| &self.files[*number]).collect()
    }

    fn find(&self, path: &str) -> Option<&WantedFile<'a>> {
        let folder = self.folders.get(folder_of(path))?;
        let at = folder.binary_search_by(|number| (**self.files[*number].path).cmp(path));
        at.ok().map(|at| &self.files[folder[at]])
    }
}

/// The folder that a file is in, as it is in the file's path.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A file of an output folder, seen beside what it is to hold.
struct FoundFile<'w> {
    /// Which of the wanted files it is, or its path, where it is none.
    wanted: Result<&'w WantedFile<'w>, String>,
    state: State,
    /// How it looked before it was read. Only told where somebody wants to know.
    stamp: Option<Stamp>,
}

impl FoundFile<'_> {
    fn path(&self) -> &str {
        match &self.wanted {
            Ok(file) => file.path,
            Err(path) => path,
        }
    }
}

/// A folder of an output folder that was looked into.
struct FoundFolder<'w> {
    /// Its path with a `/` behind it.
    prefix: String,
    /// How it looked before it was read. Only told where somebody wants to know.
    stamp: Option<Stamp>,
    files: Vec<FoundFile<'w>>,
    /// The folders in it.
    below: Vec<String>,
}

/// Looks at a folder and those below it, and marks in `wanted` which files are there. A folder that is as it was
/// before, and is wanted so, is not told but marked in `snapshot`.
fn see_below<'w>(
    out: &Path,
    prefix: &str,
    wanted: &'w Wanted<'_>,
    snapshot: Option<&Snapshot>,
) -> Result<Vec<FoundFolder<'w>>, Refusal> {
    let folder = out.join(prefix);
    // Before it is read: who writes meanwhile makes it look otherwise.
    let stamp = snapshot.and_then(|_| Stamp::of(&fs::metadata(&folder).ok()?));
    let before = snapshot.zip(stamp);
    let before = before.and_then(|(snapshot, stamp)| snapshot.folder(prefix, stamp));
    if let Some(before) = before {
        let files = wanted.in_folder(prefix);
        if is_as_before(out, &files, before) {
            before.go_on();
            for file in files {
                file.mark_found();
            }
            return see_each(out, before.below(), wanted, snapshot);
        }
    }
    let (files, below) = entries(&folder, prefix)?;
    let files = files
        .iter()
        .map(|(path, file)| see(wanted, path, file, stamp.is_some()))
        .collect::<Result<_, _>>()?;
    let mut seen = see_each(out, &below, wanted, snapshot)?;
    seen.push(FoundFolder {
        prefix: prefix.to_owned(),
        stamp,
        files,
        below,
    });
    Ok(seen)
}

/// Looks at folders and those below them.
fn see_each<'w>(
    out: &Path,
    folders: &[String],
    wanted: &'w Wanted<'_>,
    snapshot: Option<&Snapshot>,
) -> Result<Vec<FoundFolder<'w>>, Refusal> {
    let seen: Vec<_> = folders
        .par_iter()
        .map(|prefix| see_below(out, prefix, wanted, snapshot))
        .collect::<Result<_, _>>()?;
    Ok(seen.into_iter().flatten().collect())
}

/// Whether a folder in which no file came or went holds what is wanted of it.
fn is_as_before(out: &Path, wanted: &[&WantedFile<'_>], before: &snapshot::Folder) -> bool {
    let stamp = |path: &str| Stamp::of(&fs::symlink_metadata(out.join(path)).ok()?);
    wanted
        .iter()
        .all(|file| file.is_listed || &**file.path == OWNED)
        && before.holds(wanted.iter().map(|file| (file.path, file.text)))
        && before
            .files()
            .all(|(path, before)| stamp(path) == Some(before))
}

/// The files of a folder with how they look, if it holds what is wanted and nothing else.
fn as_wanted(files: &[FoundFile<'_>], begun: SystemTime) -> Option<Vec<snapshot::File>> {
    let files = files.iter().map(|seen| {
        let file = seen.wanted.as_ref().ok();
        let file = file.filter(|_| seen.state == State::Unchanged)?;
        let stamp = seen.stamp.filter(|stamp| stamp.is_settled(begun))?;
        Some(snapshot::File::new(file.path, file.text, stamp))
    });
    files.collect()
}

fn see<'w>(
    wanted: &'w Wanted<'_>,
    path: &str,
    file: &fs::DirEntry,
    with_stamp: bool,
) -> Result<FoundFile<'w>, Refusal> {
    // Before it is read, as with folders.
    let stamp = || Stamp::of(&file.metadata().ok()?);
    let stamp = with_stamp.then(stamp).flatten();
    let found = wanted.find(path);
    if let Some(found) = found {
        found.mark_found();
    }
    let is_listed = match found {
        Some(found) => found.is_listed,
        None => wanted.listed.binary_search(&path).is_ok(),
    };
    Ok(FoundFile {
        wanted: found.ok_or_else(|| path.to_owned()),
        state: state(found.map(|found| &**found.text), is_listed, path, file)?,
        stamp,
    })
}

/// What a file is. Whether one is hcb's is seen by the list and by how it begins.
fn state(
    wanted: Option<&str>,
    is_listed: bool,
    path: &str,
    file: &fs::DirEntry,
) -> Result<State, Refusal> {
    let is_list = path == OWNED;
    let is_own = is_listed && file.file_type().is_ok_and(|kind| kind.is_file());
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

/// Refuses what must not be replaced by a tree.
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

/// The paths of all files below a folder, in no particular order.
pub(super) fn all_below(out: &Path, prefix: &str) -> Result<Vec<String>, Refusal> {
    let folder = out.join(prefix);
    let (files, below) = entries(&folder, prefix)?;
    let below: Vec<_> = below
        .par_iter()
        .map(|prefix| all_below(out, prefix))
        .collect::<Result<_, _>>()?;
    let files = files.into_iter().map(|(path, _)| path);
    Ok(files.chain(below.into_iter().flatten()).collect())
}

/// What a folder has: files by their paths, and folders by theirs with a `/` behind them.
type Entries = (Vec<(String, fs::DirEntry)>, Vec<String>);

fn entries(folder: &Path, prefix: &str) -> Result<Entries, Refusal> {
    let reading = |source| failed("reading", folder, source);
    let (mut files, mut below) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry
            .file_type()
            .map_err(|source| failed("reading", &entry.path(), source))?;
        if kind.is_dir() {
            below.push(format!("{path}/"));
        } else {
            files.push((path, entry));
        }
    }
    Ok((files, below))
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

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> Refusal {
    Refusal::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}
