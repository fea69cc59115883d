//! What is known of an output folder from the round before, so that files which nobody has touched are not
//! read again.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A file that was touched so short a time ago may be touched again and look the same: file systems tell
/// times by the tick of a clock, some of them by the second.
const FRESH: Duration = Duration::from_secs(3);

/// Files that held what they should, how they looked then, and what that was.
#[derive(Debug, Default)]
pub struct Known {
    files: HashMap<Arc<str>, (Looks, Arc<str>)>,
}

impl Known {
    /// Whether a file that looks so holds what is wanted of it.
    pub(super) fn has(&self, path: &str, looks: Looks, wanted: &Arc<str>) -> bool {
        self.files.get(path).is_some_and(|(before, text)| {
            *before == looks && (Arc::ptr_eq(text, wanted) || text == wanted)
        })
    }

    /// Notes that a file that looks so holds this.
    pub(super) fn note(&mut self, path: &Arc<str>, looks: Looks, text: &Arc<str>) {
        self.files
            .insert(Arc::clone(path), (looks, Arc::clone(text)));
    }

    /// Forgets a file.
    pub(super) fn forget(&mut self, path: &str) {
        self.files.remove(path);
    }

    /// Forgets all but these, where there are more.
    pub(super) fn keep_only(&mut self, is_there: impl Fn(&str) -> bool, count: usize) {
        if self.files.len() > count {
            self.files.retain(|path, _| is_there(path));
        }
    }
}

/// How a file looks from outside. The last of these changes with whatever is done to it, and nobody can set
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looks {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Looks {
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
    use super::super::compare::compare_with;
    use super::super::write::write;
    use super::super::{HEADER, OWNED, Tree};
    use super::*;
    use std::fs::{File, FileTimes};
    use std::path::Path;

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

    /// What changed since, and how many files are known then.
    fn changed(tree: &Tree, out: &Path, known: &mut Known) -> (Vec<String>, usize) {
        let changes = compare_with(tree, out, Some(known)).expect("a folder that can be read");
        (changes.changed, known.files.len())
    }

    #[test]
    fn what_was_touched_or_is_wanted_otherwise_is_read_again() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let out = folder.path().join("out");
        let (one, other) = ("clusters/a/one.yaml", "clusters/a/other.yaml");
        let before = tree([(one, "1"), (other, "1")]);
        write(&before, &out).expect("a tree");
        let mut known = Known::default();
        // Whoever touched it may do so again within the same tick of the clock.
        assert_eq!(changed(&before, &out, &mut known), (vec![], 0));
        std::thread::sleep(FRESH + Duration::from_secs(1));
        assert_eq!(changed(&before, &out, &mut known), (vec![], 3));
        assert_eq!(changed(&before, &out, &mut known), (vec![], 3));

        let after = tree([(one, "2"), (other, "1")]);
        assert_eq!(changed(&after, &out, &mut known), (vec![one.to_owned()], 2));
        assert_eq!(changed(&before, &out, &mut known), (vec![], 3));

        // By hand, as long as it was, and with the time that it had.
        let path = out.join(other);
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let text = fs::read_to_string(&path).expect("a text");
        fs::write(&path, text.replace('1', "3")).expect("a file");
        let file = File::options().write(true).open(&path).expect("a file");
        let times = FileTimes::new().set_modified(modified.expect("a time"));
        file.set_times(times).expect("a time that can be set");
        assert_eq!(
            changed(&before, &out, &mut known),
            (vec![other.to_owned()], 2)
        );

        fs::remove_file(out.join(one)).expect("a file");
        assert_eq!(
            changed(&before, &out, &mut known),
            (vec![other.to_owned()], 1)
        );
    }

    #[test]
    fn nothing_is_known_of_a_folder_that_could_not_be_compared() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let out = folder.path().join("out");
        let tree = tree([("clusters/a/one.yaml", "1"), ("clusters/a/other.yaml", "1")]);
        write(&tree, &out).expect("a tree");
        let mut known = Known::default();
        std::thread::sleep(FRESH + Duration::from_secs(1));
        assert_eq!(changed(&tree, &out, &mut known), (vec![], 3));
        fs::remove_dir_all(&out).expect("a folder");
        fs::write(&out, "a file").expect("a file");
        assert!(compare_with(&tree, &out, Some(&mut known)).is_err());
        assert!(known.files.is_empty());
    }
}
