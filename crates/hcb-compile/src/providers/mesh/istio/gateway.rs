//! The east-west gateway is one that its configuration selects.
//!
//! Source of the labels of its pods: `manifests/charts/gateway/templates/_helpers.tpl` of Istio 1.31.

use super::charts::istiod;
use crate::rendered::InCluster;
use crate::rendered::findings::{about, about_values, text};
use crate::rendered::{Manifest, RenderedChart};
use hcb_source::diag::{Diagnostics, codes};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The port that sidecars of other networks connect to. It is fixed in istiod.
const PORT: u64 = 15443;

pub(super) fn check(clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
    let networks: BTreeSet<_> = clusters.iter().map(|c| &c.cluster.network).collect();
    if networks.len() < 2 {
        return;
    }
    for cluster in clusters {
        let gateways: Vec<_> = cluster.charts("gateway").collect();
        let crossings: Vec<_> = cluster
            .of_kind("networking.istio.io", "Gateway")
            .filter(|manifest| lets_networks_in(manifest))
            .collect();
        for crossing in &crossings {
            let selector = crossing.value.pointer("/spec/selector");
            let selector = selector.and_then(Value::as_object);
            let selects = |labels: &BTreeMap<String, String>| {
                selector.is_some_and(|selector| {
                    selector
                        .iter()
                        .all(|(key, value)| labels.get(key).is_some_and(|label| value == label))
                })
            };
            let labels: Vec<_> = gateways.iter().map(|chart| labels(chart)).collect();
            if labels.iter().any(selects) {
                continue;
            }
            let described: Vec<_> = labels.iter().map(written).collect();
            let message = format!(
                "the Gateway `{}` selects no gateway of `{}`",
                crossing.name(),
                cluster.name()
            );
            diagnostics.push(
                about(crossing, codes::MESH_GATEWAY, message)
                    .note(format!("its selector is {}", selector_text(crossing)))
                    .note(match described.len() {
                        0 => "the cluster has no gateway".to_owned(),
                        _ => format!("pods of its gateway have {}", described.join(" or ")),
                    })
                    .help("nothing would listen for other networks: let the selector be among the labels"),
            );
        }
        if crossings.is_empty()
            && let Some(istiod) = istiod(cluster)
        {
            let message = format!(
                "no Gateway of `{}` lets traffic of other networks in",
                cluster.name()
            );
            diagnostics.push(
                about_values(istiod, codes::MESH_GATEWAY, message).help(format!(
                    "add a Gateway with a server on port {PORT} and `tls.mode: AUTO_PASSTHROUGH`"
                )),
            );
        }
    }
}

fn lets_networks_in(manifest: &Manifest) -> bool {
    let servers = manifest.value.pointer("/spec/servers");
    let servers = servers.and_then(Value::as_array);
    servers.into_iter().flatten().any(|server| {
        server["port"]["number"] == PORT && text(server, "/tls/mode") == "AUTO_PASSTHROUGH"
    })
}

/// The labels that the chart gives its pods, as far as selectors use them.
fn labels(chart: &RenderedChart) -> BTreeMap<String, String> {
    let named = text(&chart.values, "/name");
    let name = if named.is_empty() {
        chart.chart.release.as_str()
    } else {
        named
    };
    let mut labels = BTreeMap::from([
        ("app".to_owned(), name.to_owned()),
        (
            "istio".to_owned(),
            name.strip_prefix("istio-").unwrap_or(name).to_owned(),
        ),
    ]);
    let given = chart.values.get("labels").and_then(Value::as_object);
    for (key, value) in given.into_iter().flatten() {
        // An empty one is as none for the chart.
        if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
            labels.insert(key.clone(), value.to_owned());
        }
    }
    let network = text(&chart.values, "/networkGateway");
    if !network.is_empty() {
        labels.insert("topology.istio.io/network".to_owned(), network.to_owned());
    }
    labels
}

fn written(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("`{key}: {value}`"))
        .collect();
    pairs.join(", ")
}

fn selector_text(manifest: &Manifest) -> String {
    let selector = manifest.value.pointer("/spec/selector");
    let labels = selector.and_then(Value::as_object).map(|selector| {
        let pairs = selector
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
        written(&pairs.collect())
    });
    labels.unwrap_or_else(|| "none".to_owned())
}
