//! What is on disk beside a tree: what would change.

use super::known::{Known, Looks};
use super::{HEADER, OWNED, Tree};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    let wanted = Wanted::of(tree, &list);
    let found = look(out, |path, file| see(&wanted, before.as_ref(), path, file))?;
    let mut before = before.unwrap_or_default();
    let mut changes = Changes::default();
    let mut in_the_way = Vec::new();
    let mut is_there = vec![false; wanted.files.len()];
    for file in found {
        let path = file.path(&wanted);
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
            (State::Unchanged, Ok(number), Some(looks)) => {
                let file = &wanted.files[*number];
                before.note(file.path, looks, file.text);
            }
            _ => before.forget(path),
        }
        if let Ok(number) = file.wanted {
            is_there[number] = true;
        }
    }
    if !in_the_way.is_empty() {
        in_the_way.sort();
        return Err(Refusal::ForeignFiles(in_the_way));
    }
    let is_still_there = |path: &str| wanted.find(path).is_some_and(|number| is_there[number]);
    before.keep_only(is_still_there, changes.unchanged);
    if let Some(known) = known {
        *known = before;
    }
    let generated = wanted.files.iter().zip(&is_there);
    changes.added = generated
        .filter(|(_, is_there)| !**is_there)
        .map(|(file, _)| file.path.to_string())
        .collect();
    changes.changed.sort();
    changes.removed.sort();
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
}

impl<'a> Wanted<'a> {
    fn of(tree: &'a Tree, list: &'a str) -> Self {
        let mut listed: Vec<_> = in_list(list).collect();
        listed.sort_unstable();
        let mut files = Vec::with_capacity(tree.files.len());
        let mut folders: HashMap<_, Vec<usize>> = HashMap::new();
        let mut next = listed.iter().peekable();
        for (number, (path, text)) in tree.files.iter().enumerate() {
            // Both are sorted.
            while next.next_if(|listed| **listed < &**path).is_some() {}
            let is_listed = next.peek().is_some_and(|listed| **listed == &**path);
            files.push(WantedFile {
                path,
                text,
                is_listed,
            });
            folders.entry(folder_of(path)).or_default().push(number);
        }
        Self {
            files,
            folders,
            listed,
        }
    }

    fn find(&self, path: &str) -> Option<usize> {
        let folder = self.folders.get(folder_of(path))?;
        let at = folder.binary_search_by(|number| (**self.files[*number].path).cmp(path));
        at.ok().map(|at| folder[at])
    }
}

/// The folder that a file is in, as it is in the file's path.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A file of an output folder, seen beside what it is to hold.
struct Seen {
    /// Which of the wanted files it is, or its path, where it is none.
    wanted: Result<usize, String>,
    state: State,
    /// How it looked before it was read. Only told where somebody wants to know.
    looks: Option<Looks>,
}

impl Seen {
    fn path<'s>(&'s self, wanted: &'s Wanted<'_>) -> &'s str {
        match &self.wanted {
            Ok(number) => wanted.files[*number].path,
            Err(path) => path,
        }
    }
}

fn see(
    wanted: &Wanted<'_>,
    known: Option<&Known>,
    path: &str,
    file: &fs::DirEntry,
) -> Result<Seen, Refusal> {
    // Before it is read: who writes meanwhile makes it look otherwise.
    let looks = known.and_then(|_| Looks::of(&file.metadata().ok()?));
    let number = wanted.find(path);
    let found = number.map(|number| &wanted.files[number]);
    let is_listed = match found {
        Some(found) => found.is_listed,
        None => wanted.listed.binary_search(&path).is_ok(),
    };
    let is_known = (is_listed || path == OWNED)
        && match (known, looks, found) {
            (Some(known), Some(looks), Some(found)) => known.has(path, looks, found.text),
            _ => false,
        };
    let state = if is_known {
        State::Known
    } else {
        state(found.map(|found| &**found.text), is_listed, path, file)?
    };
    Ok(Seen {
        wanted: number.ok_or_else(|| path.to_owned()),
        state,
        looks,
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

/// What `what` says of each file below a folder, in no particular order.
pub(super) fn look<T: Send>(
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
