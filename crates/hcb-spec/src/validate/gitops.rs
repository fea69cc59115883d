//! The delivery, resolved.

use super::check::Check;
use crate::model::{Cluster, ClusterIndex, GitOps};
use crate::spec::Delivery;

pub(super) fn gitops(check: &mut Check<'_>, clusters: &[Cluster], source: ClusterIndex) -> GitOps {
    let spec = &check.spec.cloud.spec.gitops;
    let at = check.cloud().key("gitops");
    spec.check(check, &at);
    let hub = match &spec.hub {
        Some(name) => {
            if spec.delivery == Delivery::PerCluster {
                check.no_effect(
                    &at.key("hub"),
                    "with `delivery: per-cluster` there is no hub",
                );
            }
            check
                .cluster(name, clusters, &at.key("hub"))
                .unwrap_or(source)
        }
        None => source,
    };
    let default_namespace = || spec.engine.facts().namespace.to_owned();
    GitOps {
        engine: spec.engine,
        repository: spec.repository.clone(),
        revision: spec.revision.clone(),
        path: spec.folder(),
        delivery: spec.delivery,
        hub,
        namespace: spec.namespace.clone().unwrap_or_else(default_namespace),
        interval: check.duration(&spec.interval, &at.key("interval")),
        credentials_secret: spec.credentials_secret.clone(),
        location: check.locate(&at.key("engine")),
    }
}
