//! What lints look for and say, whoever they belong to.

use super::{InCluster, Manifest, RenderedChart};
use hcb_kubernetes::image::tag;
use hcb_source::diag::{Code, Diagnostic, Diagnostics, codes};
use serde_json::Value;

/// The text at a JSON pointer, empty where there is none.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A finding about a manifest.
pub(crate) fn about(manifest: &Manifest, code: Code, message: String) -> Diagnostic {
    Diagnostic::error(code, message)
        .at(manifest.origin, "leads to this manifest")
        .note(format!("from the template `{}`", manifest.template))
}

/// A finding about the values of a chart.
pub(crate) fn about_values(chart: &RenderedChart, code: Code, message: String) -> Diagnostic {
    let values = &chart.chart.values;
    Diagnostic::error(code, message)
        .at(values.origin, "leads to the values of this chart")
        .note(format!("from the template `{}`", values.template))
}

/// Checks that the images of a Deployment are of a version.
pub(crate) fn check_images(
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
