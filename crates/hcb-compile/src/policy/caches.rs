//! What was judged already.

use super::admission::Violation;
use super::spec_policy;
use crate::memo::{Cache, Keep};
use std::sync::Arc;

/// What policies have against a manifest.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// With the number of the policy.
    pub(super) violations: Vec<(usize, Violation)>,
    /// Exceptions without which there would be more: the number of the policy, and that of the exception
    /// among those of its cluster.
    pub(super) used: Vec<(usize, usize)>,
}

/// What policies have against the manifests of a unit, each with its number there, where they have anything.
pub(crate) type JudgedUnit = Arc<[(usize, Arc<Judged>)]>;

impl Judged {
    /// Whether no policy has anything against it, with or without exceptions.
    pub(super) fn is_nothing(&self) -> bool {
        self.violations.is_empty() && self.used.is_empty()
    }
}

/// What was judged already.
#[derive(Debug)]
pub struct Caches {
    /// What policies have against manifests.
    pub(super) judged: Cache<Arc<Judged>>,
    /// What policies have against the manifests of a unit, where they have anything.
    pub(super) judged_units: Cache<JudgedUnit>,
    /// What policies about the spec have against each of what they are about.
    pub(super) judged_spec: Cache<Arc<[spec_policy::Violation]>>,
    /// Which manifests of a unit are namespaces.
    pub(super) namespaces: Cache<Arc<[usize]>>,
}

impl Caches {
    /// Empty caches.
    pub fn new(keep: Keep) -> Self {
        Self {
            judged: Cache::shared(keep),
            judged_units: Cache::shared(keep),
            judged_spec: Cache::of_runs(keep),
            namespaces: Cache::of_runs(keep),
        }
    }

    /// Ends a run: what has not been used for some runs is forgotten.
    pub fn end_run(&mut self) {
        self.judged.end_run();
        self.judged_units.end_run();
        self.judged_spec.end_run();
        self.namespaces.end_run();
    }
}
