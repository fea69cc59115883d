//! Labels, annotations and taint keys that more than one part of hcb reads or writes.
//!
//! The key of the gates is [`crate::gate::GATE`].

/// The label that hcb gives the nodes of a pool: the name of the pool.
pub const POOL: &str = "hcb.dev/pool";
/// The label that hcb gives the nodes of a pool whose GPUs are of a product that the spec names.
pub const GPU_PRODUCT: &str = "hcb.dev/gpu-product";
/// The label that NVIDIA's feature discovery gives nodes with GPUs.
/// Source: `docs/gpu-feature-discovery` of NVIDIA/k8s-device-plugin.
pub const NVIDIA_GPU_PRODUCT: &str = "nvidia.com/gpu.product";
/// The label of the jobs and pods of a workload: its name.
pub const WORKLOAD: &str = "hcb.dev/workload";
/// The annotation that says when the reconciler released a pod.
pub const RELEASED: &str = "hcb.dev/released";
/// The annotation by which the reconciler makes the scheduler look at a pod again.
pub const WOKEN: &str = "hcb.dev/woken";
/// The annotation with what the reconciler decided about a pod. Its prefix is Admiralty's, which copies
/// annotations with it to the pod that runs.
pub const DECISION: &str = "multicluster.admiralty.io/hcb-decision";

/// The label of namespaces whose pods Admiralty looks at.
pub const SCHEDULED: &str = "multicluster-scheduler";
/// The annotation of pods that Admiralty sends to a cluster.
pub const ELECT: &str = "multicluster.admiralty.io/elect";
/// The label by which Admiralty's virtual node names its cluster.
pub const TARGET: &str = "multicluster.admiralty.io/cluster-target-name";
/// The annotation that says to which clusters a pod may go. Source: `pkg/common/constants.go` of
/// Admiralty 0.17.0.
pub const CONSTRAINTS: &str = "multicluster.admiralty.io/proxy-pod-scheduling-constraints";
