//! Schemas of every kind that hcb writes, and the strict check of manifests against them.
//!
//! The schemas are part of the binary: nothing is asked of any cluster or network. Where they come
//! from is in `schemas/README.md`, and in [`sources`].

mod catalogue;
mod violation;

pub use violation::Violation;

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex};

/// A Kubernetes version: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    /// The major version.
    pub major: u16,
    /// The minor version.
    pub minor: u16,
}

/// Why a text is not a [`KubernetesVersion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version such as `1.34`")]
pub struct NotAVersion;

/// Whether an object belongs to a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// It does.
    Namespaced,
    /// It belongs to the cluster.
    Cluster,
}

/// Where schemas come from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Source {
    /// The project.
    pub project: String,
    /// Its Go module.
    pub module: String,
    /// The version.
    pub version: String,
    /// Its licence, by SPDX.
    pub license: String,
}

/// The compiled schema of one kind.
pub struct Validator {
    scope: Scope,
    schema: Value,
    compiled: jsonschema::Validator,
}

type Key = (KubernetesVersion, String, String);

/// What was compiled already, by version, apiVersion and kind.
static COMPILED: LazyLock<Mutex<BTreeMap<Key, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// The versions of Kubernetes that there are schemas of, oldest first.
pub fn supported_kubernetes() -> &'static [KubernetesVersion] {
    const fn minor(minor: u16) -> KubernetesVersion {
        KubernetesVersion { major: 1, minor }
    }
    const VERSIONS: [KubernetesVersion; 5] =
        [minor(32), minor(33), minor(34), minor(35), minor(36)];
    &VERSIONS
}

/// Where all schemas come from.
pub fn sources() -> Vec<Source> {
    catalogue::sources()
}

/// The validator of a kind on a version of Kubernetes; `None` where the kind is not known there.
/// Each is compiled once in a process.
pub fn validator(
    kubernetes: KubernetesVersion,
    api_version: &str,
    kind: &str,
) -> Option<Arc<Validator>> {
    let key = (kubernetes, api_version.to_owned(), kind.to_owned());
    // A panic elsewhere leaves the map as good as it was.
    let lock = || {
        COMPILED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    };
    if let Some(known) = lock().get(&key) {
        return Some(known.clone());
    }
    let compiled = Arc::new(compile(kubernetes, api_version, kind)?);
    Some(lock().entry(key).or_insert(compiled).clone())
}

/// The kinds whose names are like `kind`, as `apiVersion kind`, for a suggestion.
pub fn similar_kinds(kubernetes: KubernetesVersion, api_version: &str, kind: &str) -> Vec<String> {
    let kinds = catalogue::kinds(kubernetes);
    let same: Vec<_> = kinds
        .iter()
        .filter(|(_, known)| known.eq_ignore_ascii_case(kind))
        .map(|(version, known)| format!("{version} {known}"))
        .collect();
    if !same.is_empty() {
        return same;
    }
    let of_version = kinds
        .iter()
        .filter(|(version, _)| *version == api_version)
        .map(|(_, known)| *known);
    crate::diag::nearest(kind, of_version)
        .map(|near| format!("{api_version} {near}"))
        .into_iter()
        .collect()
}

fn compile(kubernetes: KubernetesVersion, api_version: &str, kind: &str) -> Option<Validator> {
    let entry = catalogue::kind(kubernetes, api_version, kind)?;
    let scope = match entry.get("scope").and_then(Value::as_str) {
        Some("Cluster") => Scope::Cluster,
        _ => Scope::Namespaced,
    };
    let mut schema = entry.get("schema")?.clone();
    let mut definitions = Map::new();
    collect_definitions(kubernetes, &schema, &mut definitions);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["definitions"] = Value::Object(definitions);
    // A reference hides what stands beside it in draft 7.
    if let Some(reference) = schema
        .as_object_mut()
        .and_then(|schema| schema.remove("$ref"))
    {
        schema["allOf"] = json!([{ "$ref": reference }]);
    }
    match jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .build(&schema)
    {
        Ok(compiled) => Some(Validator {
            scope,
            schema,
            compiled,
        }),
        // A test compiles every schema there is.
        Err(error) => unreachable!("the schema of {api_version} {kind} does not compile: {error}"),
    }
}

/// All definitions that a schema refers to, directly or not.
fn collect_definitions(
    kubernetes: KubernetesVersion,
    schema: &Value,
    found: &mut Map<String, Value>,
) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix("#/definitions/"))
                && !found.contains_key(name)
                && let Some(definition) = catalogue::definition(kubernetes, name)
            {
                found.insert(name.to_owned(), definition.clone());
                collect_definitions(kubernetes, &definition, found);
            }
            for field in fields.values() {
                collect_definitions(kubernetes, field, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_definitions(kubernetes, item, found);
            }
        }
        _ => {}
    }
}

impl Validator {
    /// Whether objects of the kind belong to a namespace.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Everything that is wrong with a manifest; empty where nothing is.
    pub fn check(&self, manifest: &Value) -> Vec<Violation> {
        // Nearly every manifest is fine, and saying so is much faster than saying why not.
        if self.compiled.is_valid(manifest) {
            return Vec::new();
        }
        let errors = self.compiled.iter_errors(manifest);
        errors
            .flat_map(|error| violation::violations(&self.schema, manifest, &error))
            .collect()
    }
}

impl FromStr for KubernetesVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let (major, minor) = text.split_once('.').ok_or(NotAVersion)?;
        let number = |text: &str| {
            if text.starts_with('+') {
                Err(NotAVersion)
            } else {
                text.parse().map_err(|_| NotAVersion)
            }
        };
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
