//! What the charts of Istio are found by in a cluster.

use crate::rendered::{InCluster, RenderedChart};

/// The namespace of the control plane and the gateways.
pub(super) const NAMESPACE: &str = "istio-system";

/// The control plane of a cluster.
pub(super) fn istiod<'a>(cluster: &InCluster<'a>) -> Option<&'a RenderedChart> {
    cluster.charts("istiod").next()
}
