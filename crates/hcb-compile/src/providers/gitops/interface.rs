//! What the compiler asks of an engine that delivers.

use crate::access::Target;
use crate::rendered::RenderedUnit;
use crate::unit::Unit;
use hcb_spec::model::{Cluster, Model};

/// An engine that applies what is in Git.
///
/// Invariants:
/// - Every unit is delivered to its own cluster, after the units of earlier waves that are awaited.
/// - Live fields are neither shown as drift nor set back.
/// - What belongs to [`Area::Submit`](crate::unit::Area::Submit) is not delivered, and not pruned.
pub(crate) trait GitOps: Sync {
    /// The units that deliver `units`, and what a person applies once.
    fn units(&self, model: &Model, units: &[&RenderedUnit]) -> Vec<Unit>;

    /// The Secret by which the hub's engine reaches another cluster.
    fn credentials<'a>(&self, model: &'a Model, cluster: &Cluster) -> Target<'a>;
}
