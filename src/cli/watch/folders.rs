//! Which folders are watched, and what shows a change where nothing tells of one.

use super::super::show;
use super::debounce::Change;
use anyhow::Context;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folders that are watched.
///
/// Each is watched by itself: a watch of a tree would miss what is put into a new folder before that is
/// watched, and would not come back with a folder that was replaced.
pub(super) struct Folders {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    /// Whether it was said that there are too many.
    told: bool,
}

impl Folders {
    /// Watches nothing yet.
    pub(super) fn new(
        handler: impl Fn(notify::Result<Event>) + Send + 'static,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            watcher: notify::recommended_watcher(handler)
                .context("the system does not tell of changes to files")?,
            watched: BTreeSet::new(),
            told: false,
        })
    }

    /// Takes in that a folder may be another one now.
    pub(super) fn note(&mut self, change: &Change) {
        match change {
            Change::Moved(path) => {
                let below = |folder: &PathBuf| folder.starts_with(path);
                if self.watched.iter().any(below) {
                    self.watched.retain(|folder| !below(folder));
                }
            }
            Change::Missed => self.watched.clear(),
            Change::Writing(_) | Change::Done(_) => {}
        }
    }

    /// Watches these folders and no others. Says whether any was not watched before: what was put into it
    /// before that was not told.
    pub(super) fn cover(&mut self, folders: &BTreeSet<PathBuf>) -> bool {
        let folders: BTreeSet<_> = folders
            .iter()
            .filter(|folder| folder.is_dir())
            .filter_map(|folder| std::path::absolute(folder).ok())
            .collect();
        let new: Vec<_> = folders.difference(&self.watched).cloned().collect();
        let old: Vec<_> = self.watched.difference(&folders).cloned().collect();
        if new.is_empty() && old.is_empty() {
            return false;
        }
        let mut paths = self.watcher.paths_mut();
        for folder in &old {
            // It is gone, as a rule, and its watch with it.
            let _ = paths.remove(folder);
        }
        let mut problem = None;
        for folder in &new {
            // One that is gone again was in another, which is watched.
            if let Err(error) = paths.add(folder, RecursiveMode::NonRecursive)
                && matches!(error.kind, notify::ErrorKind::MaxFilesWatch)
            {
                problem = Some(error);
                break;
            }
        }
        let problem = problem.or(paths.commit().err());
        if let Some(problem) = problem
            && !std::mem::replace(&mut self.told, true)
        {
            show::say(&format!(
                "not all folders can be watched ({problem}); they are looked at once a second instead"
            ));
        }
        self.watched = folders;
        !new.is_empty()
    }
}

/// What files and folders look like from outside, to see changes that no event reported: on a file system
/// across the network, behind a link, or to a folder that was not there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps(BTreeMap<PathBuf, Option<(u64, Option<SystemTime>)>>);

impl Stamps {
    /// Looks.
    pub(super) fn of<'a>(paths: impl Iterator<Item = &'a Path>) -> Self {
        let stamp = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.modified().ok()))
        };
        Self(paths.map(|path| (path.to_owned(), stamp(path))).collect())
    }

    /// Looks at the same again.
    pub(super) fn again(&self) -> Self {
        Self::of(self.0.keys().map(PathBuf::as_path))
    }
}
