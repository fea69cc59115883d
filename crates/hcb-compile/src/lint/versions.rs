//! What is installed in a cluster is of the versions that the spec says, part by part.
//!
//! What the spec itself says wrongly about versions is found in the spec.

use super::{InCluster, about, text};
use crate::manifest::Manifest;
use hcb_api::names;
use hcb_kubernetes::image::tag;
use hcb_source::diag::{Diagnostics, codes};
use hcb_spec::model::Model;

pub(super) fn check(model: &Model, clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
    let expected = tag(&model.scheduling.reconciler.image).unwrap_or_default();
    for cluster in clusters {
        deployment(cluster, names::RECONCILER, expected, diagnostics);
    }
}

/// Checks that the images of a Deployment are of a version.
pub(crate) fn deployment(
    cluster: &InCluster<'_>,
    name: &str,
    expected: &str,
    diagnostics: &mut Diagnostics,
) {
    let deployments = cluster.of_kind("apps", "Deployment");
    for deployment in deployments.filter(|deployment| deployment.name() == name) {
        for image in images(deployment) {
            let Some(found) = tag(image).filter(|found| *found != expected) else {
                continue;
            };
            let message = format!(
                "`{name}` of `{}` runs {found}, and the spec says {expected}",
                cluster.name()
            );
            diagnostics.push(
                about(deployment, codes::VERSION_SKEW, message)
                    .help("it works with the rest in one version: say that in the spec"),
            );
        }
    }
}

fn images(deployment: &Manifest) -> impl Iterator<Item = &str> {
    let containers = deployment
        .value
        .pointer("/spec/template/spec/containers")
        .and_then(serde_json::Value::as_array);
    containers
        .into_iter()
        .flatten()
        .map(|container| text(container, "/image"))
}
