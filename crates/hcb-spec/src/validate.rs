//! The cross-checks, which turn a [`Spec`] into a [`Model`], one topic a file.

mod autoscaler;
mod capacity;
mod check;
mod cluster;
mod gitops;
mod mesh;
mod object_store;
mod placement;
mod platform;
mod versions;
mod workload;

use crate::findings::Findings;
use crate::model::Model;
use crate::spec::Spec;
use check::Check;
use hcb_source::diag::Diagnostics;

/// Checks everything that the shape of the spec cannot say, and resolves it. The model is `None`
/// only where the spec is so broken that there is nothing to resolve against; a caller goes on
/// only when `diagnostics` has no error.
pub fn validate(spec: &Spec, diagnostics: &mut Diagnostics) -> Option<Model> {
    let mut check = Check {
        spec,
        findings: Findings::new(&spec.documents, diagnostics),
    };
    let cloud = &spec.cloud.spec;

    check.name(
        &spec.cloud.metadata.name,
        &spec.cloud_at.path("metadata.name"),
    );
    if spec.cloud.metadata.namespace.is_some() {
        check.no_effect(
            &spec.cloud_at.path("metadata.namespace"),
            "a HybridCloud has no namespace",
        );
    }
    let tiers = platform::tiers(&mut check);
    let mut clusters = cluster::clusters(&mut check, &tiers);
    if clusters.is_empty() {
        return None;
    }
    let source = platform::source(&mut check, &clusters);
    autoscaler::management(&mut check, &mut clusters, source);
    cluster::clashes(&mut check, &clusters);
    cluster::apis(&mut check, &clusters, source);
    let secrets = platform::secrets(&mut check);
    let mesh = mesh::mesh(&mut check, &clusters);
    let gitops = gitops::gitops(&mut check, &clusters, source);
    let scheduling = platform::scheduling(&mut check, &clusters, &tiers);
    let object_store = object_store::object_store(&mut check, &clusters, &secrets, mesh.is_some());
    let workloads = workload::workloads(&mut check, &clusters, &tiers, &scheduling);
    let namespaces = workload::namespaces(&mut check, &clusters, &workloads);
    capacity::fits(&mut check, &clusters, &workloads, cloud.mesh.engine);
    Some(Model {
        name: spec.cloud.metadata.name.clone(),
        location: spec.locate(&spec.cloud_at.path("metadata.name")),
        gitops,
        tiers,
        clusters,
        source,
        mesh,
        scheduling,
        object_store,
        secrets,
        namespaces,
        workloads,
        addons: cloud.addons.clone(),
    })
}
