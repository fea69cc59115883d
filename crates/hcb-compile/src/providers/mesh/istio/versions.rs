//! The images of the control plane are of the version of its charts.

use crate::rendered::InCluster;
use crate::rendered::findings::{about_values, text};
use hcb_source::diag::{Diagnostics, codes};

pub(super) fn check(clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
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
    }
}
