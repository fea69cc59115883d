//! What was rendered and checked already.

use super::templates::TemplateError;
use crate::memo::{Cache, Fingerprint, Keep};
use hcb_kubernetes::schema::Violation;
use serde_json::Value;
use std::sync::Arc;

/// What a template renders to, without what is of one place only: objects with what is said above each, or
/// why there are none.
pub(crate) type Rendered = Result<Vec<(Arc<Value>, Arc<[String]>, Fingerprint)>, TemplateError>;

/// What was rendered and checked already, with one set of templates.
#[derive(Debug)]
pub struct Caches {
    /// What templates rendered to, by template, context and the name of the hybrid cloud.
    pub(super) rendered: Cache<Arc<Rendered>>,
    /// The objects that rendered texts are read as, by template, text and the name of the hybrid cloud.
    pub(super) read: Cache<Arc<Rendered>>,
    /// The values of charts, by template and context.
    pub(super) values: Cache<Arc<Result<Option<Arc<Value>>, TemplateError>>>,
    /// What schemas have against manifests.
    pub(super) violations: Cache<Arc<[Violation]>>,
    /// Whether a unit breaks no schema, by its manifests and the version of Kubernetes.
    pub(super) right: Cache<bool>,
    /// Whether no object of a cluster is there twice, by its units.
    pub(super) single: Cache<bool>,
}

impl Caches {
    /// Empty caches.
    pub fn new(keep: Keep) -> Self {
        Self {
            rendered: Cache::of_runs(keep),
            read: Cache::shared(keep),
            values: Cache::of_runs(keep),
            violations: Cache::shared(keep),
            right: Cache::shared(keep),
            single: Cache::of_runs(keep),
        }
    }

    /// Ends a run: what has not been used for some runs is forgotten.
    pub fn end_run(&mut self) {
        self.rendered.end_run();
        self.read.end_run();
        self.values.end_run();
        self.violations.end_run();
        self.right.end_run();
        self.single.end_run();
    }
}
