//! What the compiler asks of a mesh.

use crate::providers::common::{Pair, PlatformNamespace};
use crate::rendered::InCluster;
use crate::unit::Unit;
use hcb_source::diag::Diagnostics;
use hcb_spec::model::{Cluster, ClusterIndex, Model, ObjectStore};
use serde_json::Value;

/// What a mesh puts beside the containers of a pod.
pub(crate) struct Sidecar {
    /// What it requests, by resource.
    pub requests: Value,
    /// The most that it may use, by resource.
    pub limits: Value,
    /// Annotations of a pod by which it gets such a sidecar, started before and ended after the pod's own
    /// containers.
    pub annotations: Vec<Pair>,
    /// Labels of a pod by which it gets none.
    pub refusal: Vec<Pair>,
}

/// A mesh: it lets pods of one cluster reach Services of another by name, encrypted.
///
/// Invariants:
/// - Every cluster gets the same units, by name and wave; a cluster is told of all others.
/// - The namespaces of the mesh are made in [`crate::unit::Wave::Foundation`], by [`Mesh::namespaces`] and by
///   nothing else, so that their labels are there before the mesh starts.
/// - What a sidecar requests is known before it is there: [`Sidecar::annotations`] say so on the pod that waits.
/// - The object store has one name in all clusters. [`Mesh::add_store`] makes it work from where it does not run.
pub(crate) trait Mesh: Sync {
    /// Namespaces of the mesh itself in a cluster.
    fn namespaces(&self, cluster: &Cluster) -> Vec<PlatformNamespace>;

    /// What the mesh needs in a cluster.
    fn units(&self, model: &Model, cluster: ClusterIndex) -> Vec<Unit>;

    /// Labels of a namespace whose pods are in the mesh.
    fn namespace_labels(&self) -> Vec<Pair>;

    /// What pods get beside their containers; `None` where nothing.
    fn sidecar(&self) -> Option<Sidecar>;

    /// What the images of its sidecars begin with.
    fn sidecar_images(&self) -> String;

    /// Whether pods in the mesh need more rights than the Pod Security Standard `restricted` grants.
    fn needs_rights(&self) -> bool;

    /// Namespaces from which requests of other clusters come in.
    fn gateway_namespaces(&self) -> Vec<&'static str>;

    /// Adds what makes the object store reachable from the pods of a cluster, and only for those that may use it.
    fn add_store(&self, model: &Model, store: &ObjectStore, cluster: ClusterIndex, unit: &mut Unit);

    /// Looks for what does not fit together across clusters.
    fn lint(&self, clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics);
}
