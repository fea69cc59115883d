//! Argo CD.

use super::engine::{Chart, Engine};
use crate::kinds;
use hcb_api::gitops;

pub(super) const ENGINE: Engine = Engine {
    facts: &gitops::ARGOCD,
    unit: kinds::ARGOCD_APPLICATION,
    deliverers: &[kinds::ARGOCD_APPLICATION, kinds::ARGOCD_APPLICATION_SET],
    sources: &[kinds::ARGOCD_APPLICATION],
    source_fields: &[
        &["spec", "source", "repoURL"],
        &["spec", "source", "targetRevision"],
        &["spec", "source", "path"],
    ],
    prune: "/spec/syncPolicy/automated/prune",
    self_heal: Some("/spec/syncPolicy/automated/selfHeal"),
    suspend: None,
    cascading_finalizer: Some("resources-finalizer"),
    charts: &[Chart {
        kind: kinds::ARGOCD_APPLICATION,
        installs: "/spec/source/chart",
        version: &["/spec/source/targetRevision"],
        values: &["spec", "source", "helm", "valuesObject"],
        uninstalls: false,
    }],
};
