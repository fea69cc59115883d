//! What the compiler asks of a scheduling engine.

use crate::providers::common::{Pair, PlatformNamespace};
use crate::rendered::InCluster;
use crate::unit::Unit;
use hcb_source::diag::Diagnostics;
use hcb_spec::model::{ClusterIndex, Model, Workload};
use serde_json::Value;

/// What a pod needs so that the engine sends it to a cluster.
#[derive(Debug, Default)]
pub(crate) struct PodParts {
    /// Its annotations.
    pub annotations: Vec<Pair>,
    /// Its labels.
    pub labels: Vec<Pair>,
    /// Taints that it tolerates, as in a pod's spec.
    pub tolerations: Vec<Value>,
}

/// What the reconciler needs beyond nodes, pods and quotas. Rules are as in a Role.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    /// What it reads in every cluster, in all namespaces.
    pub reads: Vec<Value>,
    /// What it changes in every cluster, in the namespaces of workloads.
    pub changes: Vec<Value>,
    /// Annotations of a pod that it writes.
    pub pod_notes: Vec<&'static str>,
    /// Templates of the policies that hold it to what it may change in the source cluster.
    pub policies: Vec<&'static str>,
}

/// A scheduling engine: it runs pods of the source cluster in the cluster that the reconciler chose.
///
/// Invariants:
/// - No pod goes to a gated cluster before the reconciler lets it, also while no reconciler has run yet.
/// - [`SchedulingEngine::stand_in`] is unique for each cluster and does not change from run to run.
/// - A workload that is restricted to some clusters reaches no other, whatever the reconciler does.
/// - Rights are granted by name or for one kind only: no rule of [`Rights`] has a wildcard.
pub(crate) trait SchedulingEngine: Sync {
    /// Namespaces of the engine itself, which every cluster gets.
    fn namespaces(&self, model: &Model) -> Vec<PlatformNamespace>;

    /// What the engine needs in a cluster.
    fn units(&self, model: &Model, cluster: ClusterIndex) -> Vec<Unit>;

    /// Labels of a namespace whose pods the engine looks at.
    fn namespace_labels(&self) -> Vec<Pair>;

    /// What a pod of a workload needs.
    fn pod(&self, model: &Model, workload: &Workload) -> PodParts;

    /// The name of the node that stands for a cluster in the source cluster.
    fn stand_in(&self, cluster: &str) -> String;

    /// Whether a pod of the source cluster stands in for one elsewhere and never runs a container, and its
    /// labels do not reach the pod that does.
    fn has_stand_in_pods(&self) -> bool;

    /// Whether the engine brings the Secrets of a pod to where the pod runs.
    fn copies_secrets(&self) -> bool;

    /// What the reconciler needs to work with this engine.
    fn rights(&self) -> Rights;

    /// Looks for what does not fit together.
    fn lint(&self, clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics);
}
