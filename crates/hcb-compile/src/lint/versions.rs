//! What is installed in a cluster is of the versions that the spec says, part by part.
//!
//! What the spec itself says wrongly about versions is found in the spec.

use crate::rendered::InCluster;
use crate::rendered::findings::check_images;
use hcb_api::names;
use hcb_kubernetes::image::tag;
use hcb_source::diag::Diagnostics;
use hcb_spec::model::Model;

pub(super) fn check(model: &Model, clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
    let expected = tag(&model.scheduling.reconciler.image).unwrap_or_default();
    for cluster in clusters {
        check_images(cluster, names::RECONCILER, expected, diagnostics);
    }
}
