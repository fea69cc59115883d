//! When what happened to files is over. Pure: it has no clock and reads nothing.

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So long nothing must happen until a change counts as whole: an editor writes a file, renames it and
/// sets its times within less.
const QUIET: Duration = Duration::from_millis(8);
/// So long a file that is being written is waited for after each piece.
const WRITING: Duration = Duration::from_millis(500);
/// So long changes without end are waited for.
const AT_MOST: Duration = Duration::from_secs(2);
/// The endings of files that are read.
const INPUTS: [&str; 3] = ["yaml", "yml", "md"];

/// What happened, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A file is being written.
    Writing(PathBuf),
    /// A file, or a folder, is changed, is there, or is gone.
    Done(PathBuf),
    /// As `Done`, and what was known of that path as a folder is known no more.
    Moved(PathBuf),
    /// Something happened that was missed.
    Missed,
}

/// What an event means.
pub(super) fn changes(event: &Event) -> Vec<Change> {
    if event.need_rescan() {
        return vec![Change::Missed];
    }
    let of_inputs = |change: fn(PathBuf) -> Change| {
        let inputs = event.paths.iter().filter(|path| is_input(path));
        inputs.cloned().map(change).collect()
    };
    let of_all = |change: fn(PathBuf) -> Change| {
        let visible = event.paths.iter().filter(|path| !is_hidden(path));
        visible.cloned().map(change).collect()
    };
    // Where the end of writing is reported, as by inotify, it is waited for.
    let written = if cfg!(target_os = "linux") {
        Change::Writing
    } else {
        Change::Done
    };
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Metadata(_)) => of_inputs(Change::Done),
        // Reading, which is what comes of all this, is no change. Both halves of a renaming are reported too.
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => Vec::new(),
        EventKind::Modify(ModifyKind::Name(_))
        | EventKind::Remove(_)
        | EventKind::Create(CreateKind::Folder)
        | EventKind::Any
        | EventKind::Other => of_all(Change::Moved),
        EventKind::Create(_) | EventKind::Modify(_) => of_inputs(written),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Whether a file may be read: what editors keep beside it, such as swap files and backups, is not.
fn is_input(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    INPUTS.iter().any(|input| extension == *input) && !is_hidden(path)
}

/// Changes that may not be over yet.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    /// When the first and the last of them were.
    span: Option<(Instant, Instant)>,
    /// Files that are being written, with when they last were.
    writing: BTreeMap<PathBuf, Instant>,
    touched: BTreeSet<PathBuf>,
}

impl Debounce {
    /// Takes in what happened.
    pub(super) fn note(&mut self, change: Change, now: Instant) {
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
        match change {
            Change::Writing(path) => {
                self.touched.insert(path.clone());
                self.writing.insert(path, now);
            }
            Change::Done(path) | Change::Moved(path) => {
                self.writing.remove(&path);
                self.touched.insert(path);
            }
            Change::Missed => {}
        }
    }

    /// When the changes are over if nothing more happens; `None` where there are none.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = self.span?;
        let written = self.writing.values().map(|at| *at + WRITING);
        let due = written
            .max()
            .map_or(last + QUIET, |at| at.max(last + QUIET));
        Some(due.min(first + AT_MOST))
    }

    /// The changes that are over: when the last of them was, and which paths are concerned. From here on
    /// others begin.
    pub(super) fn take(&mut self) -> Option<(Instant, BTreeSet<PathBuf>)> {
        let taken = std::mem::take(self);
        taken.span.map(|(_, last)| (last, taken.touched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{DataChange, Flag, MetadataKind, RemoveKind};

    const DATA: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const OPENED: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
    const CREATED: EventKind = EventKind::Create(CreateKind::File);
    const REMOVED: EventKind = EventKind::Remove(RemoveKind::File);
    const FROM: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::From));
    const TO: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    const TIMES: EventKind = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));

    /// When changes are over after events at some milliseconds: `None` where nothing of it matters.
    fn over(events: &[(u64, EventKind, &str)]) -> Option<u64> {
        let start = Instant::now();
        let mut debounce = Debounce::default();
        for (at, kind, path) in events {
            let event = Event::new(*kind).add_path(PathBuf::from(path));
            for change in changes(&event) {
                debounce.note(change, start + Duration::from_millis(*at));
            }
        }
        let due = debounce.due()?;
        Some(u64::try_from((due - start).as_millis()).expect("little"))
    }

    /// When something happened to which file.
    type Happening<'a> = (u64, EventKind, &'a str);

    #[test]
    fn a_change_is_complete_after_a_quiet_moment() {
        let (quiet, writing) = (8, 500);
        let swap = "spec/.cloud.yaml.swp";
        let cases: [(&str, &[Happening<'_>], Option<u64>); 12] = [
            ("nothing", &[], None),
            ("reading", &[(0, OPENED, "a.yaml")], None),
            (
                "a swap file",
                &[(0, CREATED, swap), (1, DATA, swap), (2, CLOSED, swap)],
                None,
            ),
            (
                "a file that is not read",
                &[(0, DATA, "a.rs"), (1, CLOSED, "a.rs")],
                None,
            ),
            (
                "written in place",
                &[
                    (0, DATA, "a.yaml"),
                    (1, DATA, "a.yaml"),
                    (2, CLOSED, "a.yaml"),
                ],
                Some(2 + quiet),
            ),
            (
                "written beside and renamed",
                &[
                    (0, CREATED, "a.yaml.tmp"),
                    (1, CLOSED, "a.yaml.tmp"),
                    (2, FROM, "a.yaml.tmp"),
                    (2, TO, "a.yaml"),
                    (3, TIMES, "a.yaml"),
                ],
                Some(3 + quiet),
            ),
            ("half written", &[(0, DATA, "a.yaml")], Some(writing)),
            (
                "half written, and goes on",
                &[(0, DATA, "a.yaml"), (300, DATA, "a.yaml")],
                Some(300 + writing),
            ),
            (
                "half written, another saved",
                &[(0, DATA, "a.yaml"), (10, CLOSED, "b.yaml")],
                Some(writing),
            ),
            (
                "half written and removed",
                &[(0, DATA, "a.yaml"), (10, REMOVED, "a.yaml")],
                Some(10 + quiet),
            ),
            (
                "several at once",
                &[
                    (0, CLOSED, "a.yaml"),
                    (6, CLOSED, "b.yaml"),
                    (12, CLOSED, "c.yaml"),
                ],
                Some(12 + quiet),
            ),
            (
                "a folder",
                &[(0, EventKind::Create(CreateKind::Folder), "spec/more")],
                Some(quiet),
            ),
        ];
        for (case, events, expected) in cases {
            assert_eq!(over(events), expected, "{case}");
        }
    }

    #[test]
    fn endless_changes_are_delivered_after_a_limit() {
        let events: Vec<_> = (0..1000).map(|at| (at * 5, CLOSED, "a.yaml")).collect();
        assert_eq!(over(&events), Some(2000));
    }

    #[test]
    fn lost_events_count_as_a_change() {
        let event = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(changes(&event), [Change::Missed]);
    }

    #[test]
    fn a_complete_change_is_delivered_once() {
        let now = Instant::now();
        let mut debounce = Debounce::default();
        debounce.note(Change::Done("a.yaml".into()), now);
        debounce.note(Change::Moved("b".into()), now);
        let (last, touched) = debounce.take().expect("changes");
        assert_eq!(last, now);
        assert!(
            touched
                .iter()
                .map(|path| path.display().to_string())
                .eq(["a.yaml", "b"])
        );
        assert!(debounce.take().is_none() && debounce.due().is_none());
    }
}
