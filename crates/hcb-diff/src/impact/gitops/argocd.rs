//! Argo CD.

use super::engine::{Chart, Engine};
use crate::kinds;

pub(super) const ENGINE: Engine = Engine {
    name: "Argo CD",
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
    keeps: ("argocd.argoproj.io/sync-options", "Prune=false"),
};
