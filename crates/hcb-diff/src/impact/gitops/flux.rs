//! Flux.

use super::engine::{Chart, Engine};
use crate::kinds;
use hcb_api::gitops;

pub(super) const ENGINE: Engine = Engine {
    facts: &gitops::FLUX,
    unit: kinds::FLUX_KUSTOMIZATION,
    deliverers: &[kinds::FLUX_KUSTOMIZATION, kinds::FLUX_HELM_RELEASE],
    sources: &[kinds::FLUX_KUSTOMIZATION, kinds::FLUX_GIT_REPOSITORY],
    source_fields: &[&["spec", "path"], &["spec", "url"], &["spec", "ref"]],
    prune: "/spec/prune",
    self_heal: None,
    suspend: Some("/spec/suspend"),
    cascading_finalizer: None,
    charts: &[
        Chart {
            kind: kinds::FLUX_HELM_RELEASE,
            installs: "",
            version: &["/spec/chart/spec/version"],
            values: &["spec", "values"],
            uninstalls: true,
        },
        Chart {
            kind: kinds::FLUX_OCI_REPOSITORY,
            installs: "",
            version: &["/spec/ref/tag", "/spec/ref/semver"],
            values: &[],
            uninstalls: false,
        },
        Chart {
            kind: kinds::FLUX_HELM_CHART,
            installs: "",
            version: &["/spec/version"],
            values: &[],
            uninstalls: false,
        },
    ],
};
