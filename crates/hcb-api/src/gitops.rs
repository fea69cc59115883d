//! The engines that deliver from Git, as everybody must know them: one definition an engine.

/// What an engine is called, how it applies, and what it reads of the objects that it applies.
#[derive(Debug)]
pub struct DeliveryEngine {
    /// As the spec and the command line write it.
    pub key: &'static str,
    /// Its name, for people.
    pub name: &'static str,
    /// The namespace that it is installed in, unless the spec names another.
    pub namespace: &'static str,
    /// The service account that applies.
    pub account: &'static str,
    /// The field manager of what it applies.
    pub field_manager: &'static str,
    /// Labels and annotations by which it recognizes what it has applied.
    pub marks: &'static [&'static str],
    /// The annotation that keeps in the cluster what leaves the tree, and the text in it that says so.
    pub keeps: (&'static str, &'static str),
    /// The annotation of an object that it creates and never changes, where it has one for that.
    pub creates_only: Option<(&'static str, &'static str)>,
}

/// Argo CD. Sources: its user guide on sync options and on resource tracking, and its manifests.
pub const ARGOCD: DeliveryEngine = DeliveryEngine {
    key: "argocd",
    name: "Argo CD",
    namespace: "argocd",
    account: "argocd-application-controller",
    field_manager: "argocd-controller",
    marks: &[
        "argocd.argoproj.io/tracking-id",
        "app.kubernetes.io/instance",
    ],
    keeps: ("argocd.argoproj.io/sync-options", "Prune=false"),
    creates_only: None,
};

/// Flux. Sources: the documentation and the manifests of its kustomize-controller.
pub const FLUX: DeliveryEngine = DeliveryEngine {
    key: "flux",
    name: "Flux",
    namespace: "flux-system",
    account: "kustomize-controller",
    field_manager: "kustomize-controller",
    marks: &["kustomize.toolkit.fluxcd.io/name"],
    keeps: ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
    creates_only: Some(("kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent")),
};

/// Every engine that hcb knows.
pub const ENGINES: [&DeliveryEngine; 2] = [&FLUX, &ARGOCD];

/// The annotations of an object that no engine removes when it leaves the tree.
pub fn kept() -> Vec<(&'static str, &'static str)> {
    ENGINES.iter().map(|engine| engine.keeps).collect()
}

/// The annotations of an object that an engine creates, and from then on neither changes nor removes.
pub fn created_only() -> Vec<(&'static str, &'static str)> {
    let creates_only = ENGINES.iter().filter_map(|engine| engine.creates_only);
    creates_only.chain(kept()).collect()
}
