//! What is known of an output folder from the round before, so that files which nobody has touched are not
//! read again.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// A file that was touched so short a time ago may be touched again and look the same: file systems tell
/// times by the tick of a clock, some of them by the second.
const FRESH: Duration = Duration::from_secs(3);

/// Folders that held what they should and nothing else, by their paths with a `/` behind them, as they were in the
/// round before.
#[derive(Debug, Default)]
pub struct Snapshot {
    folders: HashMap<String, Folder>,
}

impl Snapshot {
    /// A folder that looked so.
    pub(super) fn folder(&self, prefix: &str, stamp: Stamp) -> Option<&Folder> {
        let folder = self.folders.get(prefix);
        folder.filter(|folder| folder.stamp == stamp)
    }

    /// Notes what a folder that looks so holds.
    pub(super) fn note(
        &mut self,
        prefix: String,
        stamp: Stamp,
        below: Vec<String>,
        mut files: Vec<File>,
    ) {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let folder = Folder {
            stamp,
            below,
            files,
            goes_on: AtomicBool::new(false),
        };
        self.folders.insert(prefix, folder);
    }

    /// Forgets every folder that did not [`Folder::go_on`] since this was said last.
    pub(super) fn forget_others(&mut self) {
        self.folders
            .retain(|_, folder| std::mem::take(folder.goes_on.get_mut()));
    }
}

/// A folder: it looks otherwise as soon as something comes into it or goes.
#[derive(Debug)]
pub(super) struct Folder {
    stamp: Stamp,
    below: Vec<String>,
    files: Vec<File>,
    goes_on: AtomicBool,
}

impl Folder {
    /// Says that the folder is as it was.
    pub(super) fn go_on(&self) {
        self.goes_on.store(true, Relaxed);
    }

    /// The folders in it.
    pub(super) fn below(&self) -> &[String] {
        &self.below
    }

    /// Its files by their paths, and how they looked.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, Stamp)> {
        self.files.iter().map(|file| (&*file.path, file.stamp))
    }

    /// Whether it held just these files with these texts, which are told by their paths in order.
    pub(super) fn holds<'a>(
        &self,
        wanted: impl ExactSizeIterator<Item = (&'a Arc<str>, &'a Arc<str>)>,
    ) -> bool {
        let is = |before: &Arc<str>, now: &Arc<str>| Arc::ptr_eq(before, now) || before == now;
        wanted.len() == self.files.len()
            && wanted
                .zip(&self.files)
                .all(|((path, text), file)| is(&file.path, path) && is(&file.text, text))
    }
}

/// A file that held what it should, and how it looked then.
#[derive(Debug)]
pub(super) struct File {
    path: Arc<str>,
    text: Arc<str>,
    stamp: Stamp,
}

impl File {
    pub(super) fn new(path: &Arc<str>, text: &Arc<str>, stamp: Stamp) -> Self {
        Self {
            path: Arc::clone(path),
            text: Arc::clone(text),
            stamp,
        }
    }
}

/// How a file or a folder looks from outside. The last of these changes with whatever is done to it, and
/// nobody can set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    #[cfg(unix)]
    #[expect(
        clippy::unnecessary_wraps,
        reason = "other systems have nothing to tell"
    )]
    pub(super) fn of(metadata: &fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &fs::Metadata) -> Option<Self> {
        None
    }

    /// Whether it was touched long enough before a time to look otherwise when it is touched after it.
    pub(super) fn is_settled(self, before: SystemTime) -> bool {
        let fresh = before.checked_sub(FRESH);
        let since = fresh.and_then(|fresh| fresh.duration_since(SystemTime::UNIX_EPOCH).ok());
        let since = since.and_then(|since| i64::try_from(since.as_secs()).ok());
        since.is_some_and(|since| self.changed.0 < since)
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::{Refusal, compare_with};
    use super::super::write::write;
    use super::super::{HEADER, OWNED, Tree};
    use super::{Duration, FRESH, Snapshot, fs};
    use std::fs::{File, FileTimes};
    use std::path::Path;
    use std::sync::Arc;

    fn tree(files: [(&str, &str); 2]) -> Tree {
        let content = |text: &str| format!("{HEADER}x.yaml; edit that, not this.\n{text}\n");
        let mut files: std::collections::BTreeMap<Arc<str>, Arc<str>> = files
            .map(|(path, text)| (path.into(), content(text).into()))
            .into();
        let owned: Vec<_> = files.keys().map(|path| &**path).collect();
        let owned = owned.join("\n");
        files.insert(OWNED.into(), owned.into());
        Tree { files }
    }

    /// What changed since, and which folders are known then.
    fn changed(tree: &Tree, out: &Path, snapshot: &mut Snapshot) -> (Vec<String>, Vec<String>) {
        let changes = compare_with(tree, out, Some(snapshot)).expect("a folder that can be read");
        let mut folders: Vec<_> = snapshot.folders.keys().cloned().collect();
        folders.sort();
        (changes.changed, folders)
    }

    const ALL: [&str; 3] = ["", "clusters/", "clusters/a/"];

    #[test]
    fn a_file_that_was_touched_or_should_change_is_read_again() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let out = folder.path().join("out");
        let (one, other) = ("clusters/a/one.yaml", "clusters/a/other.yaml");
        let before = tree([(one, "1"), (other, "1")]);
        write(&before, &out).expect("a tree");
        let mut snapshot = Snapshot::default();
        let mut look = |tree: &Tree| changed(tree, &out, &mut snapshot);
        let is_as_wanted = |(files, folders): (Vec<String>, Vec<String>)| {
            assert!(files.is_empty() && folders == ALL, "{files:?} {folders:?}");
        };
        let differs = |(files, folders): (Vec<String>, Vec<String>), file: &str| {
            assert!(
                files == [file] && folders == ALL[..2],
                "{files:?} {folders:?}"
            );
        };
        // Whoever touched it may do so again within the same tick of the clock.
        assert_eq!(look(&before), (vec![], vec![]));
        std::thread::sleep(FRESH + Duration::from_secs(1));
        is_as_wanted(look(&before));
        is_as_wanted(look(&before));

        differs(look(&tree([(one, "2"), (other, "1")])), one);
        is_as_wanted(look(&before));

        // By hand, as long as it was, and with the time that it had.
        let path = out.join(other);
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let text = fs::read_to_string(&path).expect("a text");
        fs::write(&path, text.replace('1', "3")).expect("a file");
        let file = File::options().write(true).open(&path).expect("a file");
        let times = FileTimes::new().set_modified(modified.expect("a time"));
        file.set_times(times).expect("a time that can be set");
        differs(look(&before), other);
    }

    #[test]
    fn new_and_removed_files_are_noticed() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let out = folder.path().join("out");
        let (one, other) = ("clusters/a/one.yaml", "clusters/a/other.yaml");
        let tree = tree([(one, "1"), (other, "1")]);
        write(&tree, &out).expect("a tree");
        let mut snapshot = Snapshot::default();
        std::thread::sleep(FRESH + Duration::from_secs(1));
        assert_eq!(changed(&tree, &out, &mut snapshot).1, ALL);
        for foreign in ["clusters/b/new.yaml", "clusters/a/new.yaml"] {
            let path = out.join(foreign);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, "").expect("a file");
            let refused = compare_with(&tree, &out, Some(&mut snapshot));
            assert!(
                matches!(&refused, Err(Refusal::ForeignFiles(files)) if *files == [foreign]),
                "{refused:?}"
            );
            fs::remove_file(&path).expect("a file");
            std::thread::sleep(FRESH + Duration::from_secs(1));
            assert_eq!(changed(&tree, &out, &mut snapshot).0, [""; 0]);
        }
        fs::remove_file(out.join(one)).expect("a file");
        let changes = compare_with(&tree, &out, Some(&mut snapshot)).expect("a folder");
        assert_eq!(changes.added, [one]);
        assert_eq!(changes.unchanged, 2);
    }

    #[test]
    fn nothing_is_known_of_a_folder_that_could_not_be_compared() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let out = folder.path().join("out");
        let tree = tree([("clusters/a/one.yaml", "1"), ("clusters/a/other.yaml", "1")]);
        write(&tree, &out).expect("a tree");
        let mut snapshot = Snapshot::default();
        std::thread::sleep(FRESH + Duration::from_secs(1));
        assert_eq!(changed(&tree, &out, &mut snapshot).1, ALL);
        fs::remove_dir_all(&out).expect("a folder");
        fs::write(&out, "a file").expect("a file");
        assert!(compare_with(&tree, &out, Some(&mut snapshot)).is_err());
        assert!(snapshot.folders.is_empty());
    }
}
