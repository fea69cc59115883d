//! The files of schemas: lines of a key, a tab and JSON, found by their keys without being parsed.
//!
//! Keys are `kind/API_VERSION/KIND@VERSIONS` and `def/NAME@VERSIONS`; `VERSIONS` lists the versions
//! of Kubernetes that the line is for, and is empty for custom resources, which go with any.

use super::{KubernetesVersion, Source};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Every file of `schemas/`: one line a project.
const FILES: [&str; 13] = [
    include_str!("../../schemas/kubernetes.jsonl"),
    include_str!("../../schemas/admiralty.jsonl"),
    include_str!("../../schemas/argo-cd.jsonl"),
    include_str!("../../schemas/cert-manager.jsonl"),
    include_str!("../../schemas/cluster-api.jsonl"),
    include_str!("../../schemas/external-secrets.jsonl"),
    include_str!("../../schemas/flux-helm-controller.jsonl"),
    include_str!("../../schemas/flux-kustomize-controller.jsonl"),
    include_str!("../../schemas/flux-source-controller.jsonl"),
    include_str!("../../schemas/handwritten.jsonl"),
    include_str!("../../schemas/istio.jsonl"),
    include_str!("../../schemas/karpenter.jsonl"),
    include_str!("../../schemas/karpenter-aws.jsonl"),
];

/// A line: the versions it is for, and its JSON.
type Line = (&'static str, &'static str);

/// The lines by the part of the key before `@`.
static LINES: LazyLock<HashMap<&'static str, Vec<Line>>> = LazyLock::new(|| {
    let mut lines: HashMap<_, Vec<Line>> = HashMap::new();
    for line in FILES.iter().flat_map(|file| file.lines()) {
        if let Some((key, json)) = line.split_once('\t')
            && let Some((name, versions)) = key.split_once('@')
        {
            lines.entry(name).or_default().push((versions, json));
        }
    }
    lines
});

/// The entry of a kind: its scope and schema.
pub(super) fn kind(kubernetes: KubernetesVersion, api_version: &str, kind: &str) -> Option<Value> {
    find(kubernetes, &format!("kind/{api_version}/{kind}"))
}

/// A definition that schemas share.
pub(super) fn definition(kubernetes: KubernetesVersion, name: &str) -> Option<Value> {
    find(kubernetes, &format!("def/{name}"))
}

/// The kinds of a version, as apiVersion and kind, sorted.
pub(super) fn kinds(kubernetes: KubernetesVersion) -> Vec<(&'static str, &'static str)> {
    let mut kinds: Vec<_> = LINES
        .iter()
        .filter(|(_, lines)| {
            lines
                .iter()
                .any(|(versions, _)| is_for(kubernetes, versions))
        })
        .filter_map(|(key, _)| key.strip_prefix("kind/")?.rsplit_once('/'))
        .collect();
    kinds.sort_unstable();
    kinds
}

/// The first line of every file.
pub(super) fn sources() -> Vec<Source> {
    FILES
        .iter()
        .filter_map(|file| {
            let (_, header) = file.lines().next()?.split_once('\t')?;
            serde_json::from_str(header).ok()
        })
        .collect()
}

fn find(kubernetes: KubernetesVersion, key: &str) -> Option<Value> {
    let lines = LINES.get(key)?;
    let (_, json) = lines
        .iter()
        .find(|(versions, _)| is_for(kubernetes, versions))?;
    serde_json::from_str(json).ok()
}

fn is_for(kubernetes: KubernetesVersion, versions: &str) -> bool {
    versions.is_empty()
        || versions
            .split(',')
            .any(|version| version.parse() == Ok(kubernetes))
}
