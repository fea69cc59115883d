//! One root of trust for the whole mesh.
//!
//! Sources: istio.io's guide to plugging in CA certificates; `pilot/pkg/bootstrap/istio_ca.go` of Istio
//! 1.31 for the two sets of files that istiod takes, and for the root that it makes where it has none.

use super::charts::istiod;
use crate::rendered::InCluster;
use crate::rendered::Manifest;
use crate::rendered::findings::{about, about_values, text};
use hcb_source::diag::{Diagnostic, Diagnostics, codes};
use hcb_spec::istio::NAMESPACE;
use serde_json::Value;

/// The Secret that istiod reads its CA from.
const SECRET: &str = "cacerts";
/// The files of such a Secret, the root first: Istio's own names, and those of `kubernetes.io/tls`.
const FILES: [&[&str]; 2] = [
    &[
        "root-cert.pem",
        "ca-cert.pem",
        "ca-key.pem",
        "cert-chain.pem",
    ],
    &["ca.crt", "tls.crt", "tls.key"],
];
/// What the chart's values have where `meshConfig.trustDomain` is left out.
const TRUST_DOMAIN: &str = "cluster.local";

pub(super) fn check(clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
    if clusters.len() < 2 {
        return;
    }
    let mut first: Option<(&str, String)> = None;
    for cluster in clusters {
        trust_domain(&clusters[0], cluster, diagnostics);
        let Some(istiod) = istiod(cluster) else {
            continue;
        };
        // Another CA than istiod signs, which is the same for all or not a matter of this tree.
        if !text(&istiod.values, "/global/caAddress").is_empty() {
            continue;
        }
        let Some(manifest) = cluster.manifests.iter().copied().find(|m| makes_cacerts(m)) else {
            let message = format!(
                "nothing makes the Secret `{SECRET}` in `{}`, so its istiod makes a root of its own",
                cluster.name()
            );
            diagnostics.push(
                about_values(istiod, codes::NO_SHARED_ROOT, message).help(
                    "its certificates would be refused by the other clusters: bring a CA of the common root into `cacerts` of `istio-system`",
                ),
            );
            continue;
        };
        let Some(files) = files(manifest) else {
            continue;
        };
        if let Some(missing) = missing(&files) {
            let message = format!(
                "the Secret `{SECRET}` of `{}` has no `{missing}`",
                cluster.name()
            );
            diagnostics.push(
                about(manifest, codes::NO_SHARED_ROOT, message)
                    .help(format!("istiod needs {}", FILES[0].join(", "))),
            );
            continue;
        }
        let Some(root) = root(manifest) else {
            continue;
        };
        let Some((other, known)) = &first else {
            first = Some((cluster.name(), root));
            continue;
        };
        if *known != root {
            diagnostics.push(
                Diagnostic::warning(
                    codes::NO_SHARED_ROOT,
                    format!(
                        "`{other}` and `{}` read their root from two places, which need not be one root",
                        cluster.name()
                    ),
                )
                .at(manifest.origin, "leads to this manifest")
                .note(format!("from {root}, the other from {known}"))
                .note(format!("from the template `{}`", manifest.template))
                .help("read `root-cert.pem` of every cluster from one key"),
            );
        }
    }
}

/// Identities of two trust domains are strangers, whatever root signed them.
fn trust_domain(first: &InCluster<'_>, cluster: &InCluster<'_>, diagnostics: &mut Diagnostics) {
    let domain = |cluster: &InCluster<'_>| {
        let values = &istiod(cluster)?.values;
        let domain = text(values, "/meshConfig/trustDomain");
        Some(
            if domain.is_empty() {
                TRUST_DOMAIN
            } else {
                domain
            }
            .to_owned(),
        )
    };
    let (Some(ours), Some(theirs), Some(istiod)) =
        (domain(first), domain(cluster), istiod(cluster))
    else {
        return;
    };
    let aliases = istiod.values.pointer("/meshConfig/trustDomainAliases");
    let is_alias = aliases
        .and_then(Value::as_array)
        .is_some_and(|aliases| aliases.iter().any(|alias| *alias == ours.as_str()));
    if ours != theirs && !is_alias {
        let message = format!(
            "the trust domain of `{}` is `{theirs}`, that of `{}` is `{ours}`",
            cluster.name(),
            first.name()
        );
        diagnostics.push(
            about_values(istiod, codes::NO_SHARED_ROOT, message)
                .help("give all clusters one trust domain, or the other's as an alias"),
        );
    }
}

/// Whether this makes the Secret, by whatever means.
fn makes_cacerts(manifest: &Manifest) -> bool {
    if manifest.namespace() != Some(NAMESPACE) {
        return false;
    }
    let value = &manifest.value;
    let named = match manifest.kind() {
        "ExternalSecret" => text(value, "/spec/target/name"),
        "Certificate" => text(value, "/spec/secretName"),
        "Secret" | "SealedSecret" => "",
        _ => return false,
    };
    let name = if named.is_empty() {
        manifest.name()
    } else {
        named
    };
    name == SECRET
}

/// The files that the Secret will have, where the manifest says so.
fn files(manifest: &Manifest) -> Option<Vec<&str>> {
    let spec = manifest.value.get("spec")?;
    if manifest.kind() != "ExternalSecret" || spec.get("dataFrom").is_some() {
        return None;
    }
    if let Some(template) = spec.pointer("/target/template/data") {
        return Some(template.as_object()?.keys().map(String::as_str).collect());
    }
    let data = spec.get("data")?.as_array()?;
    Some(data.iter().map(|item| text(item, "/secretKey")).collect())
}

/// What is missing of the set of files that istiod takes: the one that the Secret has more of.
fn missing(files: &[&str]) -> Option<&'static str> {
    let lacks = |set: &&[&'static str]| set.iter().copied().find(|file| !files.contains(file));
    let is_tls = files.contains(&"tls.crt");
    lacks(&FILES[usize::from(is_tls)])
}

/// Where the root comes from: store, key and property.
fn root(manifest: &Manifest) -> Option<String> {
    let spec = manifest.value.get("spec")?;
    let data = spec.get("data")?.as_array()?;
    let item = data
        .iter()
        .find(|item| FILES.iter().any(|set| text(item, "/secretKey") == set[0]))?;
    let store = item
        .pointer("/sourceRef/storeRef")
        .or_else(|| spec.get("secretStoreRef"))?;
    Some(format!(
        "`{}` in `{}` of the store `{}`",
        text(item, "/remoteRef/property"),
        text(item, "/remoteRef/key"),
        text(store, "/name")
    ))
}
