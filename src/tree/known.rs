//! What is known of an output folder from the round before, so that files which nobody has touched are not
//! read again.

use super::Tree;
use std::collections::HashMap;
use std::fs;
use std::time::{Duration, SystemTime};

/// A file that was touched so short a time ago may be touched again and look the same: file systems tell
/// times by the tick of a clock, some of them by the second.
const FRESH: Duration = Duration::from_secs(3);

/// Files that held what they should, and how they looked then.
#[derive(Debug, Default)]
pub struct Known {
    tree: Tree,
    looks: HashMap<String, Looks>,
}

impl Known {
    /// Keeps the tree that an output folder was compared with just now.
    pub fn keep(&mut self, tree: Tree) {
        self.tree = tree;
    }

    /// Keeps how the files look that are as the tree says.
    pub(super) fn saw(&mut self, looks: HashMap<String, Looks>) {
        self.looks = looks;
    }

    /// Whether a file that looks so holds what is wanted of it.
    pub(super) fn has(&self, path: &str, looks: Option<Looks>, wanted: Option<&String>) -> bool {
        looks.is_some()
            && self.looks.get(path).copied() == looks
            && wanted.is_some()
            && self.tree.files.get(path) == wanted
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
    use super::super::write::{compare_with, write};
    use super::super::{HEADER, OWNED};
    use super::*;
    use std::fs::{File, FileTimes};
    use std::path::Path;

    fn tree(files: [(&str, &str); 2]) -> Tree {
        let content = |text: &str| format!("{HEADER}x.yaml; edit that, not this.\n{text}\n");
        let mut files: std::collections::BTreeMap<_, _> = files
            .map(|(path, text)| (path.to_owned(), content(text)))
            .into();
        let owned: Vec<_> = files.keys().map(String::as_str).collect();
        let owned = owned.join("\n");
        files.insert(OWNED.to_owned(), owned);
        Tree { files }
    }

    /// What changed since, and how many files are known then.
    fn changed(tree: &Tree, out: &Path, known: &mut Known) -> (Vec<String>, usize) {
        let changes = compare_with(tree, out, Some(known)).expect("a folder that can be read");
        known.keep(tree.clone());
        (changes.changed, known.looks.len())
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
    }

    #[test]
    fn nothing_is_known_of_a_folder_that_could_not_be_compared() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let out = folder.path().join("out");
        let tree = tree([("clusters/a/one.yaml", "1"), ("clusters/a/other.yaml", "1")]);
        write(&tree, &out).expect("a tree");
        let looks = fs::metadata(&out).ok().as_ref().and_then(Looks::of);
        let mut known = Known::default();
        known.keep(tree.clone());
        known.saw(
            looks
                .map(|looks| (OWNED.to_owned(), looks))
                .into_iter()
                .collect(),
        );
        assert!(!known.looks.is_empty());
        fs::remove_dir_all(&out).expect("a folder");
        fs::write(&out, "a file").expect("a file");
        assert!(compare_with(&tree, &out, Some(&mut known)).is_err());
        assert!(known.looks.is_empty());
    }
}
