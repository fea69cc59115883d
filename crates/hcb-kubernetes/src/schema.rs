//! The strict, offline check of a manifest against the schema of its kind.
//!
//! The schemas are the catalogue in `schemas/`, embedded in the binary. It holds the kinds of
//! several Kubernetes versions and the custom resources that hcb emits, already made strict: a
//! field that the schema does not name is refused, as the API server refuses it with
//! `fieldValidation=Strict`. Only the kinds that are asked for are parsed and compiled.
//!
//! ```
//! use hcb_kubernetes::schema;
//! use serde_json::json;
//!
//! let kubernetes = "1.34".parse()?;
//! let job = schema::validator(kubernetes, "batch/v1", "Job").expect("a known kind");
//! let violations = job.check(&json!({
//!     "apiVersion": "batch/v1",
//!     "kind": "Job",
//!     "metadata": {"name": "train"},
//!     "spec": {"paralelism": 2, "template": {}},
//! }));
//! assert_eq!(violations[0].pointer, "/spec/paralelism");
//! let unknown = violations[0].unknown.as_ref().expect("an unknown field");
//! assert!(unknown.known().any(|field| field == "parallelism"));
//! # Ok::<(), schema::ParseKubernetesVersionError>(())
//! ```

mod catalogue;
mod version;
mod violation;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use jsonschema::{Draft, PatternOptions};
use serde_json::Value;

pub use catalogue::{Scope, Source, sources};
pub use version::{KubernetesVersion, ParseKubernetesVersionError, supported_kubernetes};
pub use violation::{Unknown, Violation};

/// The compiled schema of one kind.
///
/// It is made by [`validator`] and can be used from several threads at once.
#[derive(Debug)]
pub struct Validator {
    scope: Scope,
    schema: Value,
    compiled: jsonschema::Validator,
}

impl Validator {
    /// Whether objects of this kind live in a namespace.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The JSON Schema that manifests are checked against, with all definitions under `$defs`.
    ///
    /// Its annotations `x-kubernetes-list-map-keys` and `x-kubernetes-patch-merge-key` say by
    /// which fields the items of a list are told apart.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Returns everything in `manifest` that the API server would refuse, sorted by place; an
    /// empty list means that the manifest is valid.
    pub fn check(&self, manifest: &Value) -> Vec<Violation> {
        // Nearly every manifest is valid, and finding that out is much cheaper than saying why not.
        if self.compiled.is_valid(manifest) {
            return Vec::new();
        }
        let errors: Vec<_> = self.compiled.iter_errors(manifest).collect();
        let mut violations = violation::explain_all(&errors, &self.schema);
        violations.sort();
        violations.dedup();
        violations
    }
}

/// Returns the validator of a kind, compiled at the first call and shared by all later ones.
///
/// `None` means that the catalogue does not know the kind for this version of Kubernetes:
/// [`known_in`] tells whether another version has it, [`kinds`] what there is instead.
pub fn validator(
    kubernetes: KubernetesVersion,
    api_version: &str,
    kind: &str,
) -> Option<Arc<Validator>> {
    type Slot = Arc<OnceLock<Option<Arc<Validator>>>>;
    static COMPILED: LazyLock<Mutex<HashMap<(KubernetesVersion, String), Slot>>> =
        LazyLock::new(Mutex::default);

    let key = catalogue::kind_key(api_version, kind);
    // The lock is held for the look-up only, so that different kinds compile at the same time.
    let slot = COMPILED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry((kubernetes, key.clone()))
        .or_default()
        .clone();
    slot.get_or_init(|| compile(kubernetes, &key).map(Arc::new))
        .clone()
}

fn compile(kubernetes: KubernetesVersion, key: &str) -> Option<Validator> {
    let (scope, schema) = catalogue::kind(kubernetes, key)?;
    let compiled = jsonschema::options()
        .with_draft(Draft::Draft202012)
        // The patterns are Go's, which this engine was modelled on, and it runs in linear time.
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(false)
        .build(&schema)
        .expect("a test compiles every schema of the catalogue");
    Some(Validator {
        scope,
        schema,
        compiled,
    })
}

/// Returns the schema of a kind as the newest version of Kubernetes has it, with all definitions
/// under `$defs`, without compiling it: for what is known of fields rather than for checks.
pub fn definition(api_version: &str, kind: &str) -> Option<Arc<Value>> {
    static READ: LazyLock<Mutex<HashMap<String, Option<Arc<Value>>>>> =
        LazyLock::new(Mutex::default);
    let key = catalogue::kind_key(api_version, kind);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    read.entry(key)
        .or_insert_with_key(|key| {
            let newest_first = supported_kubernetes().iter().rev();
            newest_first
                .filter_map(|version| catalogue::kind(*version, key))
                .map(|(_, schema)| Arc::new(schema))
                .next()
        })
        .clone()
}

/// Returns the Kubernetes versions that have a kind, in order; none if the catalogue lacks it.
pub fn known_in(api_version: &str, kind: &str) -> Vec<KubernetesVersion> {
    let key = catalogue::kind_key(api_version, kind);
    supported_kubernetes()
        .iter()
        .copied()
        .filter(|&version| catalogue::has(version, &key))
        .collect()
}

/// Returns the kinds that a version of Kubernetes has, as pairs of API version and kind, sorted.
pub fn kinds(kubernetes: KubernetesVersion) -> Vec<(&'static str, &'static str)> {
    catalogue::kinds(kubernetes).collect()
}
