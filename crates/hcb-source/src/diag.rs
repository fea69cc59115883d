//! Findings: what is wrong, where, and what to do about it.
//!
//! Every stage takes a [`Diagnostics`] and adds to it, and goes on where it can, so that one run
//! shows everything that is wrong. [`text`] and [`json`] show findings, and [`report`] writes them for
//! other tools.

pub mod codes;
pub mod json;
pub mod report;
pub mod text;

pub use codes::Code;

use crate::source::Location;
use rayon::prelude::*;
use std::sync::Arc;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look; the run goes on and exits 0.
    Warning,
    /// Nothing is written and the run exits 1.
    Error,
}

/// An underlined part of a file with a remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What is underlined.
    pub location: Location,
    /// What the finding says about it.
    pub text: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of finding; `hcb explain-code` has the long form.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// Where it is: the first label is the place itself, others give context. Findings about the
    /// surroundings of a run (no file, say) have none.
    pub labels: Vec<Label>,
    /// What to do, one sentence each.
    pub help: Vec<String>,
    /// Facts behind the finding, one sentence each.
    pub notes: Vec<String>,
    /// The policy that is broken, for findings about policies.
    pub rule: Option<Arc<Rule>>,
}

/// The rule that a finding is about, in addition to its [`Code`]: a policy, built in or the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in a run.
    pub name: String,
    /// What it requires, in one line.
    pub title: String,
    /// The long form, Markdown; empty where there is none.
    pub page: String,
}

impl Diagnostic {
    /// An error: the run stops before anything is written.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning: the run goes on.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    fn new(severity: Severity, code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            labels: Vec::new(),
            help: Vec::new(),
            notes: Vec::new(),
            rule: None,
        }
    }

    /// Sets the rule that it is about.
    #[must_use]
    pub fn rule(mut self, rule: Arc<Rule>) -> Self {
        self.rule = Some(rule);
        self
    }

    /// The id of the finding's kind: the name of its rule, or its code.
    pub(crate) fn rule_id(&self) -> String {
        self.rule
            .as_ref()
            .map_or_else(|| self.code.id(), |rule| rule.name.clone())
    }

    /// Sets the place that it is about.
    #[must_use]
    pub fn at(mut self, location: Location, text: impl Into<String>) -> Self {
        self.labels.insert(
            0,
            Label {
                location,
                text: text.into(),
            },
        );
        self
    }

    /// Adds another place that belongs to it.
    #[must_use]
    pub fn also(mut self, location: Location, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            location,
            text: text.into(),
        });
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds what to do about it, if anything is known.
    #[must_use]
    pub fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// All findings of a run so far.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Adds the findings of another run.
    pub fn extend(&mut self, other: Diagnostics) {
        self.found.extend(other.found);
    }

    /// The findings of all parts, in the order of the parts.
    pub fn of_all(parts: impl ParallelIterator<Item = Self>) -> Self {
        let found = parts.flat_map_iter(|part| part.found);
        Self {
            found: found.collect(),
        }
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings of this severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.found
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    }

    /// Whether there is an error at the place of `diagnostic` already, of which it is then a
    /// consequence.
    pub(crate) fn blames(&self, diagnostic: &Diagnostic) -> bool {
        let place = diagnostic.labels.first().map(|label| label.location);
        place.is_some()
            && self.found.iter().any(|found| {
                found.severity == Severity::Error
                    && found.labels.first().map(|label| label.location) == place
            })
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The findings in the order of the files and of the places in them, each once.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut sorted: Vec<_> = self.found.iter().collect();
        sorted.sort_by_key(|diagnostic| {
            (
                diagnostic.labels.first().map(|label| label.location),
                diagnostic.code,
            )
        });
        sorted.dedup();
        sorted
    }
}

/// The candidate that is nearest to `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let near = strsim::damerau_levenshtein(&folded, &candidate.to_lowercase());
            (near, candidate)
        })
        .filter(|(distance, candidate)| {
            *distance <= 1 + candidate.len().max(word.len()) / 4 && *distance < candidate.len()
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// "did you mean": the help line with the candidate that is nearest to `word`, if one is near enough to be meant.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// The help line for a word that is not among `candidates`: the nearest one, or all if they are few.
pub fn suggest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(near) = did_you_mean(word, candidates.clone()) {
        return Some(near);
    }
    let mut all: Vec<_> = candidates.into_iter().collect();
    all.sort_unstable();
    (1..=12)
        .contains(&all.len())
        .then(|| format!("known here: {}", code_list(all)))
}

/// `a`, `b`, `c`: words as a list for a message.
pub fn code_list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
