//! Every part of a cluster's mesh names the same network, and every cluster the same mesh.
//!
//! Sources: istio.io's guide to multi-primary on different networks; the network of a cluster without
//! endpoints' labels is that of the label on istiod's namespace (`pilot/pkg/serviceregistry/kube/
//! controller/network.go` of Istio 1.31).

use super::charts::istiod;
use crate::rendered::InCluster;
use crate::rendered::findings::{about, about_values, text};
use hcb_source::diag::{Diagnostics, codes};
use hcb_spec::istio::NAMESPACE;

/// The label that says which network something is in.
const LABEL: &str = "/metadata/labels/topology.istio.io~1network";

pub(super) fn check(clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
    let mut first: Option<(&str, &str)> = None;
    for cluster in clusters {
        let name = cluster.name();
        let expected = cluster.cluster.network.as_str();
        let differs = |what: &str, found: &str| {
            let found = match found {
                "" => "none".to_owned(),
                found => format!("`{found}`"),
            };
            format!("`{name}` is in the network `{expected}`, but {what} is {found}")
        };
        let namespace = cluster
            .of_kind("", "Namespace")
            .find(|manifest| manifest.name() == NAMESPACE);
        if let Some(namespace) = namespace {
            let found = text(&namespace.value, LABEL);
            if found != expected {
                let message = differs(
                    "the label `topology.istio.io/network` of `istio-system`",
                    found,
                );
                diagnostics.push(
                    about(namespace, codes::MESH_NETWORK, message).help(
                        "istiod would take endpoints of its own cluster for those of another network, or the reverse",
                    ),
                );
            }
        }
        for (chart, pointer, what) in [
            ("istiod", "/global/network", "`global.network` of istiod"),
            (
                "gateway",
                "/networkGateway",
                "`networkGateway` of its gateway",
            ),
        ] {
            for chart in cluster.charts(chart) {
                let found = text(&chart.values, pointer);
                if found != expected {
                    diagnostics.push(
                        about_values(chart, codes::MESH_NETWORK, differs(what, found)).help(
                            "the network of a cluster is said in the spec: `clusters[].network`",
                        ),
                    );
                }
            }
        }
        let Some(istiod) = istiod(cluster) else {
            continue;
        };
        let id = text(&istiod.values, "/global/meshID");
        match first {
            None => first = Some((name, id)),
            Some((other, known)) if known != id => {
                let message =
                    format!("the mesh of `{name}` has the id `{id}`, that of `{other}` `{known}`");
                diagnostics.push(
                    about_values(istiod, codes::MESH_NETWORK, message)
                        .help("the id of the mesh is said in the spec: `mesh.meshId`"),
                );
            }
            Some(_) => {}
        }
    }
}
