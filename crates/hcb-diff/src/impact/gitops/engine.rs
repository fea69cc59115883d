//! What the rules need to know of an engine that delivers from Git.

use hcb_api::gitops::DeliveryEngine;
use hcb_kubernetes::GroupKind;

/// An engine that delivers from Git.
#[derive(Debug)]
pub(crate) struct Engine {
    /// What everybody knows of it.
    pub(crate) facts: &'static DeliveryEngine,
    /// The kind that delivers the manifests of a unit.
    pub(crate) unit: GroupKind<'static>,
    /// Every kind whose deletion, pruning or suspension changes what is delivered.
    pub(crate) deliverers: &'static [GroupKind<'static>],
    /// The kinds that say where manifests come from.
    pub(crate) sources: &'static [GroupKind<'static>],
    /// The fields of these kinds that say it.
    pub(crate) source_fields: &'static [&'static [&'static str]],
    /// The field that switches pruning on.
    pub(crate) prune: &'static str,
    /// The field that undoes changes made by hand, where it is one of its own.
    pub(crate) self_heal: Option<&'static str>,
    /// The field that suspends the delivery, where there is one.
    pub(crate) suspend: Option<&'static str>,
    /// How the finalizer begins with which a deliverer deletes what it delivered, where one does that.
    pub(crate) cascading_finalizer: Option<&'static str>,
    /// The kinds that install Helm charts.
    pub(crate) charts: &'static [Chart],
}

/// A kind that installs a Helm chart, or says which one.
#[derive(Debug)]
pub(crate) struct Chart {
    /// The kind.
    pub(crate) kind: GroupKind<'static>,
    /// The field without which an object of this kind installs no chart; empty where all do.
    pub(crate) installs: &'static str,
    /// The fields that name the version, the first that is there.
    pub(crate) version: &'static [&'static str],
    /// The keys to the chart's values; empty where the kind has none.
    pub(crate) values: &'static [&'static str],
    /// Whether deleting an object of this kind uninstalls the chart, whatever else it says.
    pub(crate) uninstalls: bool,
}
