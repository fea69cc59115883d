//! cert-manager and External Secrets, where the clusters do not have them.

use crate::unit::{Chart, Item, Unit, Wave};
use hcb_api::names::{CERT_MANAGER_NAMESPACE, EXTERNAL_SECRETS_NAMESPACE};
use hcb_spec::model::{ClusterIndex, Model};
use serde_json::json;

pub(super) fn plan(model: &Model, index: ClusterIndex) -> Vec<Unit> {
    let cluster = &model.clusters[index];
    let mut unit = Unit::new(index, "addons", Wave::Addons, cluster.location);
    let mut chart =
        |name: &'static str, repository: &str, version: &str, namespace: &str, template| {
            unit.charts.push(Chart {
                release: name.to_owned(),
                name,
                repository: repository.to_owned(),
                version: version.to_owned(),
                namespace: namespace.to_owned(),
                values: Item {
                    template,
                    context: json!({}),
                    origin: cluster.location,
                },
                live_fields: Vec::new(),
            });
        };
    let addons = &model.addons;
    if addons.cert_manager.install {
        chart(
            "cert-manager",
            "oci://quay.io/jetstack/charts",
            &addons.cert_manager.version,
            CERT_MANAGER_NAMESPACE,
            "addons/cert-manager.values.yaml",
        );
    }
    if addons.external_secrets.install {
        chart(
            "external-secrets",
            "oci://ghcr.io/external-secrets/charts",
            &addons.external_secrets.version,
            EXTERNAL_SECRETS_NAMESPACE,
            "addons/external-secrets.values.yaml",
        );
    }
    vec![unit]
}
