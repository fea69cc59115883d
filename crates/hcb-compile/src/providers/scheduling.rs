//! What sends pods to other clusters: one provider a file.

pub mod admiralty;

use crate::plan::Unit;
use hcb_spec::model::{ClusterIndex, Model};

/// What the scheduler needs in a cluster.
pub fn plan(model: &Model, index: ClusterIndex) -> Vec<Unit> {
    admiralty::plan(model, index)
}
