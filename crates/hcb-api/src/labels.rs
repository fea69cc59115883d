//! Labels and annotations that more than one part of hcb reads or writes.

/// The label that hcb gives the nodes of a pool.
pub const POOL: &str = "hcb.dev/pool";
/// The label by which Admiralty's virtual node names its cluster.
pub const TARGET: &str = "multicluster.admiralty.io/cluster-target-name";
/// The annotation that says to which clusters a pod may go. Source: `pkg/common/constants.go` of
/// Admiralty 0.17.0.
pub const CONSTRAINTS: &str = "multicluster.admiralty.io/proxy-pod-scheduling-constraints";
/// The label by which an object made of a workload names it.
pub const WORKLOAD: &str = "hcb.dev/workload";
