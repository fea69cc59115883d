//! What tells the engine to deliver: one engine a file, one line of `of` each.
//!
//! The engine runs in the hub, or in every cluster. Each unit of the plan becomes an Application or
//! a Kustomization for its manifests, and one for each chart; a person applies `bootstrap/` once,
//! and the engine finds everything else from there.

mod argocd;
mod flux;

use crate::manifest::RenderedUnit;
use crate::plan::access::{Access, Target};
use crate::plan::{Area, Unit, Wave};
use hcb_source::source::Location;
use hcb_spec::model::{Cluster, ClusterIndex, Model};
use hcb_spec::spec::{Delivery, GitOpsEngine};
use serde_json::json;

/// How the hub applies to other clusters: as the cluster's administrator, like any engine that
/// installs operators. The account is made by hand, from `bootstrap/`.
const ACCESS: Access = Access {
    purpose: "gitops",
    account: hcb_api::names::GITOPS,
    namespace: "kube-system",
};

/// An engine that applies what is in Git.
///
/// Invariants:
/// - Every unit is delivered to its own cluster, after the units of earlier waves that are awaited.
/// - Live fields are neither shown as drift nor set back.
/// - What belongs to [`Area::Submit`] is not delivered, and not pruned.
trait GitOps {
    /// The units that deliver `units`, and what a person applies once.
    fn units(&self, model: &Model, units: &[&RenderedUnit]) -> Vec<Unit>;

    /// The Secret by which the hub's engine reaches another cluster.
    fn credentials<'a>(&self, model: &'a Model, cluster: &Cluster) -> Target<'a>;
}

/// The engine of a model.
fn of(model: &Model) -> &'static dyn GitOps {
    match model.gitops.engine {
        GitOpsEngine::Argocd => &argocd::ArgoCd,
        GitOpsEngine::Flux => &flux::Flux,
    }
}

/// The units that deliver `units`.
pub fn plan(model: &Model, units: &[RenderedUnit]) -> Vec<Unit> {
    // What people submit is none of the engine's.
    let units: Vec<_> = units
        .iter()
        .filter(|unit| unit.unit.area != Area::Submit)
        .collect();
    let mut planned = of(model).units(model, &units);
    planned.extend(remote_access(model));
    planned.retain(|unit| !unit.items.is_empty());
    planned
}

/// What lets the hub reach a cluster: in the hub, the credentials of the others; in the others, what
/// keeps them fresh in the store.
pub fn access(model: &Model, index: ClusterIndex) -> Vec<Unit> {
    let cluster = &model.clusters[index];
    let mut unit = Unit::new(index, "gitops-access", Wave::Credentials, cluster.location);
    for (remote, owner) in remotes(model) {
        if index == model.gitops.hub {
            let target = of(model).credentials(model, owner);
            ACCESS.receive(&mut unit, model, owner, &target);
        } else if index == remote {
            ACCESS.push(&mut unit, model, owner);
        }
    }
    vec![unit]
}

/// The cluster whose engine delivers to a cluster.
fn engine_of(model: &Model, target: ClusterIndex) -> ClusterIndex {
    match model.gitops.delivery {
        Delivery::Hub => model.gitops.hub,
        Delivery::PerCluster => target,
    }
}

/// The clusters that an engine runs in.
fn engines(model: &Model) -> Vec<ClusterIndex> {
    match model.gitops.delivery {
        Delivery::Hub => vec![model.gitops.hub],
        Delivery::PerCluster => (0..model.clusters.len()).collect(),
    }
}

/// The clusters that the hub delivers to and is not in.
fn remotes(model: &Model) -> impl Iterator<Item = (ClusterIndex, &Cluster)> {
    let hub = model.gitops.hub;
    let delivery = model.gitops.delivery;
    model
        .clusters
        .iter()
        .enumerate()
        .filter(move |(index, _)| delivery == Delivery::Hub && *index != hub)
}

/// What a person applies to each remote cluster before the hub can reach it.
fn remote_access(model: &Model) -> Vec<Unit> {
    remotes(model)
        .map(|(index, cluster)| {
            let mut unit = bootstrap(index, cluster);
            unit.add(
                "gitops/remote-access.yaml",
                cluster.location,
                json!({ "account": ACCESS.account, "namespace": ACCESS.namespace }),
            );
            unit
        })
        .collect()
}

/// A unit that tells the engine of a cluster to deliver to it.
fn delivery(
    model: &Model,
    target: ClusterIndex,
    name: impl Into<String>,
    wave: Wave,
    origin: Location,
) -> Unit {
    let mut unit = Unit::new(engine_of(model, target), name, wave, origin);
    unit.area = Area::Delivery(target);
    unit
}

fn bootstrap(index: ClusterIndex, cluster: &Cluster) -> Unit {
    let mut unit = Unit::new(index, "bootstrap", Wave::Foundation, cluster.location);
    unit.area = Area::Bootstrap;
    unit
}

/// The folder of `below` in the repository.
fn path(model: &Model, below: &str) -> String {
    format!("{}/{below}", model.gitops.path)
}
