//! What tells the engine to deliver: one engine a file, one line of `of` each.
//!
//! The engine runs in the hub, or in every cluster. Each unit of the plan becomes an Application or
//! a Kustomization for its manifests, and one for each chart; a person applies `bootstrap/` once,
//! and the engine finds everything else from there.

mod argocd;
mod delivery;
mod flux;
mod interface;

pub(crate) use interface::GitOps;

use crate::access::Access;
use crate::rendered::RenderedUnit;
use crate::unit::{Area, Unit, Wave};
use delivery::bootstrap;
use hcb_spec::model::{Cluster, ClusterIndex, Model};
use hcb_spec::spec::{Delivery, GitOpsEngine};
use serde_json::json;

/// How the hub applies to other clusters: as the cluster's administrator, like any engine that
/// installs operators. The account is made by hand, from `bootstrap/`.
pub(crate) const ACCESS: Access = Access {
    purpose: "gitops",
    account: hcb_api::names::GITOPS,
    namespace: "kube-system",
};

/// The engine of a model.
pub(crate) fn of(model: &Model) -> &'static dyn GitOps {
    match model.gitops.engine {
        GitOpsEngine::Argocd => &argocd::ArgoCd,
        GitOpsEngine::Flux => &flux::Flux,
    }
}

/// The units that deliver `units`.
pub(crate) fn plan(model: &Model, engine: &dyn GitOps, units: &[RenderedUnit]) -> Vec<Unit> {
    // What people submit is none of the engine's.
    let units: Vec<_> = units
        .iter()
        .filter(|unit| unit.unit.area != Area::Submit)
        .collect();
    let mut planned = engine.units(model, &units);
    planned.extend(remote_access(model));
    planned.retain(|unit| !unit.items.is_empty());
    planned
}

/// What lets the hub reach a cluster: in the hub, the credentials of the others; in the others, what
/// keeps them fresh in the store.
pub(crate) fn access(model: &Model, engine: &dyn GitOps, index: ClusterIndex) -> Vec<Unit> {
    let cluster = &model.clusters[index];
    let mut unit = Unit::new(index, "gitops-access", Wave::Credentials, cluster.location);
    for (remote, owner) in remotes(model) {
        if index == model.gitops.hub {
            let target = engine.credentials(model, owner);
            ACCESS.receive(&mut unit, model, owner, &target);
        } else if index == remote {
            ACCESS.push(&mut unit, model, owner);
        }
    }
    vec![unit]
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
