//! The Secrets by which istiod of one cluster watches the services of another.
//!
//! Source: `pkg/kube/multicluster/secretcontroller.go` of Istio 1.31: the key of the data is the name of
//! the cluster; one that is the own cluster's, or that another Secret has already, is left out silently.

use super::charts::istiod;
use crate::rendered::InCluster;
use crate::rendered::Manifest;
use crate::rendered::findings::{about, about_values, text};
use hcb_source::diag::{Diagnostics, codes, suggest};
use hcb_spec::istio::NAMESPACE;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn check(clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
    for cluster in clusters {
        own_name(cluster, diagnostics);
        let mut seen: BTreeMap<String, &Manifest> = BTreeMap::new();
        // What is filled with all that a key of the store has is known to the store alone.
        let mut is_known = true;
        for manifest in cluster.manifests.iter().copied().filter(|m| is_remote(m)) {
            let Some(keys) = keys(manifest) else {
                is_known = false;
                continue;
            };
            for (key, kubeconfig) in keys {
                let is_good = one(clusters, cluster, manifest, &key, kubeconfig, diagnostics);
                // A key that is wrong is the reason why another is missing.
                is_known &= is_good;
                let Some(first) = seen.insert(key.clone(), manifest) else {
                    continue;
                };
                let message = format!(
                    "two Secrets of `{}` tell istiod of `{key}`: `{}` and `{}`",
                    cluster.name(),
                    first.name(),
                    manifest.name()
                );
                diagnostics.push(
                    about(manifest, codes::REMOTE_SECRET, message)
                        .help("istiod takes one of them and leaves out the other"),
                );
            }
        }
        let Some(istiod) = istiod(cluster).filter(|_| is_known) else {
            continue;
        };
        for peer in clusters.iter().filter(|peer| peer.name() != cluster.name()) {
            if !seen.contains_key(peer.name()) {
                let message = format!(
                    "istiod of `{}` is not told of `{}`",
                    cluster.name(),
                    peer.name()
                );
                diagnostics.push(about_values(istiod, codes::REMOTE_SECRET, message).help(format!(
                    "add a Secret to `istio-system` with the label `istio/multiCluster: \"true\"` and the key `{}`",
                    peer.name()
                )));
            }
        }
    }
}

/// istiod knows its own cluster by a name in its values; by another, its own services are remote ones.
fn own_name(cluster: &InCluster<'_>, diagnostics: &mut Diagnostics) {
    let Some(istiod) = istiod(cluster) else {
        return;
    };
    let found = text(&istiod.values, "/global/multiCluster/clusterName");
    if found != cluster.name() {
        let message = format!(
            "istiod of `{}` takes its cluster for `{found}`",
            cluster.name()
        );
        diagnostics.push(
            about_values(istiod, codes::REMOTE_SECRET, message)
                .help("let `global.multiCluster.clusterName` be the name of the cluster"),
        );
    }
}

/// Checks one key. Whether it is that of another cluster.
fn one(
    clusters: &[InCluster<'_>],
    cluster: &InCluster<'_>,
    manifest: &Manifest,
    key: &str,
    kubeconfig: Option<&str>,
    diagnostics: &mut Diagnostics,
) -> bool {
    let mut say = |message: String, help: Option<String>| {
        diagnostics.push(about(manifest, codes::REMOTE_SECRET, message).maybe_help(help));
    };
    let name = manifest.name();
    if manifest.namespace() != Some(NAMESPACE) {
        say(
            format!("istiod does not see the Secret `{name}`: it is not in `istio-system`"),
            Some("put it into the namespace of istiod".to_owned()),
        );
    }
    if key == cluster.name() {
        say(
            format!("the Secret `{name}` tells istiod of `{key}` about its own cluster"),
            Some("istiod leaves that out: name the key after the other cluster".to_owned()),
        );
        return false;
    }
    let Some(peer) = clusters.iter().find(|peer| peer.name() == key) else {
        say(
            format!("the Secret `{name}` tells istiod of a cluster `{key}`, which there is not"),
            suggest(key, clusters.iter().map(InCluster::name))
                .or_else(|| Some("the key of the data is the name of the cluster".to_owned())),
        );
        return false;
    };
    let annotation = "/metadata/annotations/networking.istio.io~1cluster";
    for found in [
        text(
            &manifest.value,
            &format!("/spec/target/template{annotation}"),
        ),
        text(&manifest.value, annotation),
    ] {
        if !found.is_empty() && found != key {
            say(
                format!("the Secret `{name}` is said to be of `{found}`, its key of `{key}`"),
                Some("istiod goes by the key".to_owned()),
            );
        }
    }
    if let Some(server) = kubeconfig.and_then(server)
        && let Some(expected) = &peer.cluster.api_server
        && server != *expected
    {
        say(
            format!(
                "the Secret `{name}` leads to `{server}`, and the API server of `{key}` is `{expected}`"
            ),
            Some(
                "istiod would take the services of another cluster for those of this one"
                    .to_owned(),
            ),
        );
    }
    true
}

/// Whether istiod reads what this makes.
fn is_remote(manifest: &Manifest) -> bool {
    let label = "/metadata/labels/istio~1multiCluster";
    let pointer = match manifest.kind() {
        "ExternalSecret" => format!("/spec/target/template{label}"),
        "Secret" => label.to_owned(),
        _ => return false,
    };
    text(&manifest.value, &pointer) == "true"
}

/// The keys of the Secret with what is below them, where the manifest says so.
fn keys(manifest: &Manifest) -> Option<Vec<(String, Option<&str>)>> {
    if manifest.kind() == "Secret" {
        return None;
    }
    let spec = manifest.value.get("spec")?;
    if let Some(template) = spec.pointer("/target/template/data") {
        let template = template.as_object()?.iter();
        return Some(
            template
                .map(|(key, text)| (key.clone(), text.as_str()))
                .collect(),
        );
    }
    if spec.get("dataFrom").is_some() {
        return None;
    }
    let data = spec.get("data").and_then(Value::as_array)?;
    let keys = data
        .iter()
        .map(|item| (text(item, "/secretKey").to_owned(), None));
    Some(keys.collect())
}

/// The URL in a kubeconfig whose secrets are still to be filled in.
fn server(kubeconfig: &str) -> Option<String> {
    let mut sources = hcb_source::source::Sources::default();
    let file = sources.add("kubeconfig", kubeconfig);
    let documents = hcb_source::yaml::read(file, kubeconfig, &mut Diagnostics::default());
    let server = documents.first()?.to_json();
    let server = server.pointer("/clusters/0/cluster/server")?.as_str()?;
    Some(server.to_owned())
}
