//! What sends pods to other clusters: one provider a file.

pub mod admiralty;

use crate::model::{ClusterIndex, Model};
use crate::plan::Unit;

/// What the scheduler needs in a cluster.
pub fn plan(model: &Model, index: ClusterIndex) -> Vec<Unit> {
    admiralty::plan(model, index)
}
