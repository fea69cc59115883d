//! What the charts of Istio are found by in a cluster.

use crate::rendered::{InCluster, RenderedChart};

/// The control plane of a cluster.
pub(super) fn istiod<'a>(cluster: &InCluster<'a>) -> Option<&'a RenderedChart> {
    cluster.charts("istiod").next()
}
