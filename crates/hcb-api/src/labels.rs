//! Labels, annotations and taint keys that more than one part of hcb reads or writes.
//!
//! The key of the gates is [`crate::gate::GATE`].

/// The label that hcb gives the nodes of a pool: the name of the pool.
pub const POOL: &str = "hcb.dev/pool";
/// The label that hcb gives the nodes of a pool whose GPUs are of a product that the spec names.
pub const GPU_PRODUCT: &str = "hcb.dev/gpu-product";
/// The label of the jobs and pods of a workload: its name.
pub const WORKLOAD: &str = "hcb.dev/workload";

/// The label of namespaces whose pods Admiralty looks at. Source: `pkg/common/constants.go` of Admiralty 0.17.0.
pub const SCHEDULED_NAMESPACE: &str = "multicluster-scheduler";
/// The annotation of pods that Admiralty sends to a cluster.
pub const ELECT: &str = "multicluster.admiralty.io/elect";
/// The label by which Admiralty's virtual node names its cluster.
pub const TARGET: &str = "multicluster.admiralty.io/cluster-target-name";
/// The annotation that says to which clusters a pod may go. Source: `pkg/common/constants.go` of
/// Admiralty 0.17.0.
pub const CONSTRAINTS: &str = "multicluster.admiralty.io/proxy-pod-scheduling-constraints";
/// The annotation of a Job that was submitted: the URL at which its submitter reached the object store.
pub const OBJECT_STORE: &str = "hcb.dev/object-store";
/// The annotation of a Job that was cancelled: when that was, as RFC 3339 says it.
pub const CANCELLED_AT: &str = "hcb.dev/cancelled-at";
/// The label by which the pod in a target cluster names the uid of its pod in the source cluster. Source:
/// `pkg/common/constants.go` of Admiralty 0.17.0.
pub const PARENT_UID: &str = "multicluster.admiralty.io/parent-uid";
/// The label by which Istio puts sidecars into the pods of a namespace.
pub const SIDECAR_INJECTION: &str = "istio-injection";
/// The label by which a pod names its Job.
pub const JOB_NAME: &str = "batch.kubernetes.io/job-name";
