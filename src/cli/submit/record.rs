//! What is kept of a submission until its job is created, so that the same command goes on with it: the
//! name of the run, and the ids of unfinished uploads.

use crate::submission::run_name;
use anyhow::Context;
use hcb_transfer::layout::Place;
use hcb_transfer::upload::Memory;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The record of a submission, in a file of the user's.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    kept: StoredRecord,
    goes_on: bool,
    /// Held as long as this runs: another hcb with the same command makes another run.
    _lock: File,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredRecord {
    run: String,
    /// Ids of unfinished uploads by the URLs that they are for.
    uploads: BTreeMap<String, String>,
}

impl Record {
    /// The record of what is asked for, or a new one.
    pub(super) fn open(asked: &Value, workload: &str) -> anyhow::Result<Self> {
        Self::open_in(&folder()?, asked, workload)
    }

    fn open_in(folder: &Path, asked: &Value, workload: &str) -> anyhow::Result<Self> {
        let described = || {
            format!(
                "the folder `{}` of unfinished submissions",
                folder.display()
            )
        };
        fs::create_dir_all(folder).with_context(described)?;
        let digest = hcb_source::digest::short(&asked.to_string(), 16);
        let mut name = format!("{workload}-{digest}");
        let run = run_name(workload, RandomState::new().build_hasher().finish());
        let mut lock = File::create(folder.join(format!("{name}.lock"))).with_context(described)?;
        if lock.try_lock().is_err() {
            name.clone_from(&run);
            lock = File::create(folder.join(format!("{name}.lock"))).with_context(described)?;
            lock.try_lock().with_context(described)?;
        }
        let path = folder.join(format!("{name}.json"));
        // A record that cannot be read is none: it names nothing that could be lost.
        let kept: Option<StoredRecord> = fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let goes_on = kept.is_some();
        let record = Self {
            path,
            kept: kept.unwrap_or_else(|| StoredRecord {
                run,
                uploads: BTreeMap::new(),
            }),
            goes_on,
            _lock: lock,
        };
        record.write()?;
        Ok(record)
    }

    /// The name of the run.
    pub(super) fn run(&self) -> &str {
        &self.kept.run
    }

    /// Whether it was begun before.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// The job is there: the same command makes another run from now on.
    pub(super) fn forget(self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(self.path.with_extension("lock"));
    }

    fn write(&self) -> anyhow::Result<()> {
        let described = || format!("`{}`", self.path.display());
        let folder = self.path.parent().with_context(described)?;
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(described)?;
        serde_json::to_writer(&mut file, &self.kept)?;
        file.flush().with_context(described)?;
        file.persist(&self.path).with_context(described)?;
        Ok(())
    }
}

impl Memory for Record {
    fn get(&self, place: &Place) -> Option<String> {
        self.kept.uploads.get(&place.to_string()).cloned()
    }

    fn set(&mut self, place: &Place, id: Option<&str>) -> Result<(), Box<dyn Error + Send + Sync>> {
        match id {
            Some(id) => drop(self.kept.uploads.insert(place.to_string(), id.to_owned())),
            None => drop(self.kept.uploads.remove(&place.to_string())),
        }
        Ok(self.write()?)
    }
}

/// `$XDG_STATE_HOME/hcb/submissions`, by default in `~/.local/state`.
fn folder() -> anyhow::Result<PathBuf> {
    let named = |name: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let state =
        named("XDG_STATE_HOME").or_else(|| named("HOME").map(|home| home.join(".local/state")));
    let state =
        state.context("set XDG_STATE_HOME to a folder where hcb keeps unfinished submissions")?;
    Ok(state.join("hcb/submissions"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_command_resumes_its_upload_until_the_job_is_created() {
        let folder = tempfile::tempdir().expect("a folder");
        let open =
            |asked: &str| Record::open_in(folder.path(), &json!(asked), "train").expect("a record");
        let place = Place::parse("s3://data/x").expect("a place");
        let mut first = open("a");
        first.set(&place, Some("id-1")).expect("kept");
        // At the same time, it is another run.
        assert_ne!(open("a").run(), first.run());
        let name = first.run().to_owned();
        drop(first);

        let again = open("a");
        assert_eq!((again.run(), again.goes_on()), (name.as_str(), true));
        assert_eq!(again.get(&place).as_deref(), Some("id-1"));
        assert_ne!(open("b").run(), name);
        again.forget();
        let next = open("a");
        assert!(next.run() != name && !next.goes_on() && next.get(&place).is_none());
    }

    #[test]
    fn a_broken_upload_record_is_ignored() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Record::open_in(folder.path(), &json!("a"), "train")
            .expect("a record")
            .path;
        fs::write(&path, "{").expect("a file");
        let again = Record::open_in(folder.path(), &json!("a"), "train").expect("a record");
        assert!(!again.goes_on());
    }
}
