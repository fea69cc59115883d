//! The embedded files of `schemas/` and the look-up in them. `schemas/README.md` describes the form.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::KubernetesVersion;

const FILES: [&str; 17] = [
    include_str!("../../schemas/kubernetes.jsonl"),
    include_str!("../../schemas/admiralty.jsonl"),
    include_str!("../../schemas/argo-cd.jsonl"),
    include_str!("../../schemas/aws-controllers-eks.jsonl"),
    include_str!("../../schemas/azure-service-operator.jsonl"),
    include_str!("../../schemas/cert-manager.jsonl"),
    include_str!("../../schemas/cluster-api.jsonl"),
    include_str!("../../schemas/cluster-autoscaler.jsonl"),
    include_str!("../../schemas/cluster-autoscaler-quota.jsonl"),
    include_str!("../../schemas/config-connector.jsonl"),
    include_str!("../../schemas/external-secrets.jsonl"),
    include_str!("../../schemas/flux-helm.jsonl"),
    include_str!("../../schemas/flux-kustomize.jsonl"),
    include_str!("../../schemas/flux-source.jsonl"),
    include_str!("../../schemas/istio.jsonl"),
    include_str!("../../schemas/karpenter.jsonl"),
    include_str!("../../schemas/karpenter-aws.jsonl"),
];

/// How every line but the first of a file starts.
const LINE_START: &str = r#"{"key":""#;

/// The prefix of every reference in the catalogue.
const REFERENCE: &str = "#/$defs/";

/// Where the objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster as a whole.
    Cluster,
}

/// A project whose schemas are in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// The project's name, which is also that of its file in `schemas/`.
    pub project: String,
    /// The Go module that publishes the schemas.
    pub module: String,
    /// The versions of the module, separated by commas; empty if the schemas name none.
    pub version: String,
    /// The SPDX identifier of the licence.
    pub license: String,
    /// Whether the schemas were written from the documentation, for want of the module.
    #[serde(default)]
    pub handwritten: bool,
}

/// Returns where the schemas come from, one entry a file.
///
/// # Panics
///
/// Only if an embedded file is malformed, which a test rules out.
pub fn sources() -> Vec<Source> {
    FILES
        .iter()
        .filter_map(|file| file.lines().next())
        .map(|line| serde_json::from_str(line).expect("the first line of a file is its source"))
        .collect()
}

/// What a line says about its schema. Reading only this skips the schema without building it.
#[derive(Deserialize)]
struct Heading<'l> {
    #[serde(borrow, default)]
    kubernetes: Vec<&'l str>,
    scope: Option<Scope>,
}

#[derive(Deserialize)]
struct Line {
    schema: Value,
}

/// All lines by key. One key has several lines where versions of Kubernetes differ.
static LINES: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in FILES.iter().flat_map(|file| file.lines()) {
        let key = line
            .strip_prefix(LINE_START)
            .and_then(|rest| rest.split_once('"'));
        if let Some((key, _)) = key {
            lines.entry(key).or_default().push(line);
        }
    }
    lines
});

/// The key of a kind in the catalogue.
pub(super) fn kind_key(api_version: &str, kind: &str) -> String {
    format!("{api_version}/{kind}")
}

/// Returns the scope of a kind and its whole schema, with every definition it reaches.
pub(super) fn kind(kubernetes: KubernetesVersion, key: &str) -> Option<(Scope, Value)> {
    let (heading, line) = find(kubernetes, key)?;
    let mut schema = parse(line);
    let scope = heading.scope?;

    let mut definitions = match schema.get_mut("$defs").map(Value::take) {
        Some(Value::Object(own)) => own,
        _ => Map::new(),
    };
    let mut wanted = Vec::new();
    collect_references(&schema, &mut wanted);
    for own in definitions.values() {
        collect_references(own, &mut wanted);
    }
    while let Some(name) = wanted.pop() {
        if definitions.contains_key(&name) {
            continue;
        }
        let (_, line) = find(kubernetes, &name)?;
        let definition = parse(line);
        collect_references(&definition, &mut wanted);
        definitions.insert(name, definition);
    }
    schema["$defs"] = Value::Object(definitions);
    Some((scope, schema))
}

/// Whether the catalogue has a key for a version of Kubernetes.
pub(super) fn has(kubernetes: KubernetesVersion, key: &str) -> bool {
    find(kubernetes, key).is_some()
}

/// Returns the API version and name of every kind of a version of Kubernetes, sorted.
pub(super) fn kinds(
    kubernetes: KubernetesVersion,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    LINES
        .keys()
        .filter(move |key| has(kubernetes, key))
        // The key of a definition has no slash.
        .filter_map(|key| key.rsplit_once('/'))
}

fn find(kubernetes: KubernetesVersion, key: &str) -> Option<(Heading<'static>, &'static str)> {
    let version = kubernetes.to_string();
    LINES.get(key)?.iter().find_map(|line| {
        let heading: Heading = serde_json::from_str(line).expect("every line is JSON");
        let holds = heading.kubernetes.is_empty() || heading.kubernetes.contains(&version.as_str());
        holds.then_some((heading, *line))
    })
}

fn parse(line: &str) -> Value {
    let line: Line = serde_json::from_str(line).expect("every line has a schema");
    line.schema
}

/// Adds the name of every definition that a schema refers to directly.
fn collect_references(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|text| text.strip_prefix(REFERENCE)) {
                names.push(name.to_owned());
            }
            fields
                .values()
                .for_each(|field| collect_references(field, names));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, names)),
        _ => {}
    }
}
