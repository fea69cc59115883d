//! A run as a file, one line of JSON for each fact and each decision, and that run played again.

use super::decision::Decision;
use super::facts::{Fact, State};
use hcb_api::config::ReconcilerConfig;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;

/// A line of a record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// What was gone by from here on.
    Config(Box<ReconcilerConfig>),
    /// A fact.
    Fact(Timestamp, Fact),
    /// A decision.
    Decision(Timestamp, Box<Decision>),
}

/// Writes a record.
#[derive(Debug)]
pub struct Recorder {
    file: BufWriter<File>,
}

impl Recorder {
    /// Begins one. A file that is there is left alone.
    ///
    /// # Errors
    /// Where the file is there already or cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(path)?;
        Ok(Self {
            file: BufWriter::new(file),
        })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n")
    }

    /// Makes sure that what was added is in the file.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A decision of a record, and the one that is made of the same facts now.
#[derive(Debug)]
pub struct Replayed {
    /// When it was made.
    pub at: Timestamp,
    /// As it was.
    pub before: Decision,
    /// As it is now.
    pub now: Decision,
}

/// Plays a record again, with its own configuration or another of the same clusters.
///
/// # Errors
/// Where the record cannot be read, with the number of the line.
pub fn replay(
    record: impl BufRead,
    other: Option<&ReconcilerConfig>,
    mut see: impl FnMut(&State, &ReconcilerConfig, Replayed),
) -> Result<(), String> {
    let mut current: Option<(ReconcilerConfig, State)> = None;
    for (number, line) in record.lines().enumerate() {
        let number = number + 1;
        let line = line.map_err(|error| format!("line {number}: {error}"))?;
        let line: Line =
            serde_json::from_str(&line).map_err(|error| format!("line {number}: {error}"))?;
        let early = || format!("line {number}: the record does not begin with a configuration");
        match line {
            Line::Config(config) => {
                let names = |config: &ReconcilerConfig| -> Vec<String> {
                    config
                        .clusters
                        .iter()
                        .map(|cluster| cluster.name.clone())
                        .collect()
                };
                if let Some(other) = other
                    && names(other) != names(&config)
                {
                    return Err(format!(
                        "line {number}: the record is of the clusters {}, the configuration of {}",
                        names(&config).join(", "),
                        names(other).join(", "),
                    ));
                }
                let config = other.cloned().unwrap_or(*config);
                let state = match current.take() {
                    Some((before, mut state)) => {
                        state.configure(&before, &config);
                        state
                    }
                    None => State::new(&config),
                };
                current = Some((config, state));
            }
            Line::Fact(at, fact) => {
                let (config, state) = current.as_mut().ok_or_else(early)?;
                if fact
                    .cluster()
                    .is_some_and(|cluster| cluster >= config.clusters.len())
                {
                    return Err(format!(
                        "line {number}: there are only {} clusters",
                        config.clusters.len()
                    ));
                }
                state.take(fact, config, at);
            }
            Line::Decision(at, before) => {
                let (config, state) = current.as_mut().ok_or_else(early)?;
                let now = state.decide(config, at);
                see(
                    state,
                    config,
                    Replayed {
                        at,
                        before: *before,
                        now,
                    },
                );
            }
        }
    }
    Ok(())
}
