//! The gates of clusters.

use serde::{Deserialize, Serialize};

/// The taint of a virtual node whose value is the name of its cluster: its gate.
pub const GATE: &str = "hcb.dev/gate";

/// What the value of a drained cluster's gate begins with. No cluster has a name with a dot, so no pod
/// tolerates it.
const DRAINED: &str = "drained.";

/// The gate of a cluster: a taint of the node that stands for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gate {
    /// There is no taint.
    #[default]
    Open,
    /// Only pods that were released to the cluster pass.
    Closed,
    /// No pod passes.
    Drained,
}

impl Gate {
    /// The value of the taint in a cluster, where there is one.
    pub fn value(self, cluster: &str) -> Option<String> {
        match self {
            Self::Open => None,
            Self::Closed => Some(cluster.to_owned()),
            Self::Drained => Some(format!("{DRAINED}{cluster}")),
        }
    }

    /// The gate that the value of a taint stands for.
    pub fn of_value(value: &str) -> Self {
        if value.starts_with(DRAINED) {
            Self::Drained
        } else {
            Self::Closed
        }
    }
}
