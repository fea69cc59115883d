//! What is installed in a cluster is of the versions that the spec says, part by part.
//!
//! What the spec itself says wrongly about versions is found in the spec.

use super::{InCluster, about, about_values, text};
use crate::manifest::Manifest;
use hcb_kubernetes::image::tag;
use hcb_source::diag::{Diagnostics, codes};
use hcb_spec::model::Model;

/// The Deployments whose images must be of the version of something else.
const PROXY_SCHEDULER: &str = "admiralty-proxy-scheduler";
const RECONCILER: &str = "hcb-reconciler";

pub(super) fn check(model: &Model, clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
    for cluster in clusters {
        for chart in cluster.charts("istiod") {
            let version = chart.chart.version.as_str();
            let found = text(&chart.values, "/global/tag");
            // A variant of the same version has a suffix: `1.31.4-distroless`.
            let is_same = found
                .strip_prefix(version)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            if !found.is_empty() && !is_same {
                let message = format!(
                    "`{}` gets the charts of Istio {version} with images of {found}",
                    cluster.name()
                );
                diagnostics.push(
                    about_values(chart, codes::VERSION_SKEW, message)
                        .help("the version is said in the spec, for charts and images alike"),
                );
            }
        }
        let admiralty = cluster.charts("admiralty").next();
        for deployment in cluster.of_kind("apps", "Deployment") {
            let expected = match (deployment.name(), admiralty) {
                (PROXY_SCHEDULER, Some(chart)) => chart.chart.version.as_str(),
                (RECONCILER, _) => tag(&model.scheduling.reconciler.image).unwrap_or_default(),
                _ => continue,
            };
            for image in images(deployment) {
                let Some(found) = tag(image).filter(|found| *found != expected) else {
                    continue;
                };
                let message = format!(
                    "`{}` of `{}` runs {found}, and the spec says {expected}",
                    deployment.name(),
                    cluster.name()
                );
                diagnostics.push(
                    about(deployment, codes::VERSION_SKEW, message)
                        .help("it works with the rest in one version: say that in the spec"),
                );
            }
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
