//! A run as a file, one line of JSON for each fact and each decision, and that run played again.

use super::decision::Decision;
use super::explain::described;
use super::facts::{Fact, State};
use super::pacing::Pacing;
use hcb_api::config::ReconcilerConfig;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
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

/// Why a record cannot be played again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A line cannot be read.
    #[error("line {number}: {source}")]
    Unreadable {
        /// The number of the line.
        number: usize,
        /// Why.
        source: io::Error,
    },
    /// A line is none of a record.
    #[error("line {number}: {source}")]
    NotALine {
        /// The number of the line.
        number: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// Something stands before the first configuration.
    #[error("line {number}: the record does not begin with a configuration")]
    NoConfiguration {
        /// The number of the line.
        number: usize,
    },
    /// The other configuration is of other clusters.
    #[error(
        "line {number}: the record is of the clusters {recorded}, the configuration of {given}"
    )]
    OtherClusters {
        /// The number of the line.
        number: usize,
        /// The clusters of the record.
        recorded: String,
        /// The clusters of the configuration.
        given: String,
    },
    /// A fact is about a cluster that the configuration does not have.
    #[error("line {number}: there are only {count} clusters")]
    NoSuchCluster {
        /// The number of the line.
        number: usize,
        /// How many there are.
        count: usize,
    },
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
/// Where the record cannot be read.
pub fn replay(
    record: impl BufRead,
    pacing_of: impl Fn(&ReconcilerConfig) -> Pacing,
    other: Option<&ReconcilerConfig>,
    mut see: impl FnMut(&State, &ReconcilerConfig, Replayed),
) -> Result<(), ReplayError> {
    let mut current: Option<(ReconcilerConfig, State)> = None;
    for (number, line) in record.lines().enumerate() {
        let number = number + 1;
        let line = line.map_err(|source| ReplayError::Unreadable { number, source })?;
        let line: Line = serde_json::from_str(&line)
            .map_err(|source| ReplayError::NotALine { number, source })?;
        let early = || ReplayError::NoConfiguration { number };
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
                    return Err(ReplayError::OtherClusters {
                        number,
                        recorded: names(&config).join(", "),
                        given: names(other).join(", "),
                    });
                }
                let config = other.cloned().unwrap_or(*config);
                let state = match current.take() {
                    Some((before, mut state)) => {
                        state.configure(&before, &config);
                        state
                    }
                    None => State::new(&config, pacing_of(&config)),
                };
                current = Some((config, state));
            }
            Line::Fact(at, fact) => {
                let (config, state) = current.as_mut().ok_or_else(early)?;
                if fact
                    .cluster()
                    .is_some_and(|cluster| cluster >= config.clusters.len())
                {
                    return Err(ReplayError::NoSuchCluster {
                        number,
                        count: config.clusters.len(),
                    });
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

/// A record, compared with what is decided of the same facts now.
#[derive(Debug)]
pub struct Comparison {
    /// How many decisions there are.
    pub decisions: usize,
    /// Those that are made otherwise now.
    pub different: Vec<Replayed>,
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.decisions == 1 { "" } else { "s" };
        write!(formatter, "{} decision{plural}; ", self.decisions)?;
        match self.different.len() {
            0 => formatter.write_str("none is different now"),
            1 => formatter.write_str("1 is different now"),
            many => write!(formatter, "{many} are different now"),
        }
    }
}

/// Plays a record again as [`replay`] does, and says a line for each new reason of a demand that waits.
///
/// # Errors
/// Where the record cannot be read.
pub fn compare(
    record: impl BufRead,
    pacing_of: impl Fn(&ReconcilerConfig) -> Pacing,
    other: Option<&ReconcilerConfig>,
    mut say: impl FnMut(&str),
) -> Result<Comparison, ReplayError> {
    let mut comparison = Comparison {
        decisions: 0,
        different: Vec::new(),
    };
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    replay(record, pacing_of, other, |state, _, replayed| {
        comparison.decisions += 1;
        for verdict in &replayed.now.verdicts {
            let why = described(&verdict.outcome);
            if said.get(&verdict.uid) == Some(&why) {
                continue;
            }
            if let Some(demand) = state.observer.observation.demands.get(&verdict.uid) {
                let at = replayed.at;
                say(&format!(
                    "{at:.3} {}/{} {why}",
                    demand.namespace, demand.name
                ));
            }
            said.insert(verdict.uid.clone(), why);
        }
        if replayed.before != replayed.now {
            comparison.different.push(replayed);
        }
    })?;
    Ok(comparison)
}
