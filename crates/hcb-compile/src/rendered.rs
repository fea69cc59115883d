//! What was rendered: manifests and the values of charts, with the place in the spec that asks for each.

pub(crate) mod findings;

use crate::memo::Fingerprint;
use crate::unit::{Chart, Unit};
use hcb_kubernetes::Object;
use hcb_source::source::Location;
use hcb_spec::model::{Cluster, Model};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// One object of Kubernetes.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The object.
    pub value: Arc<Value>,
    /// What is said of it above it, lines without `#`.
    pub comment: Arc<[String]>,
    /// What in the spec asks for it.
    pub origin: Location,
    /// The template it comes from.
    pub template: &'static str,
    /// That of the object and what is said above it.
    pub fingerprint: Fingerprint,
}

/// How many manifests of a unit are worth a task of their own. Most units have few; one, with the jobs of the
/// source cluster, may have as many as all others.
pub(crate) const MANIFESTS_PER_TASK: usize = 16;

/// A unit with its manifests.
#[derive(Debug, Clone)]
pub struct RenderedUnit {
    /// The unit as planned, without what was rendered of it.
    pub unit: Unit,
    /// The charts with their values.
    pub charts: Vec<RenderedChart>,
    /// The manifests, in the order of the plan.
    pub manifests: Box<[Manifest]>,
    fingerprint: OnceLock<Fingerprint>,
}

impl RenderedUnit {
    /// A unit with what was rendered of it.
    pub fn new(unit: Unit, charts: Vec<RenderedChart>, manifests: Box<[Manifest]>) -> Self {
        Self {
            unit,
            charts,
            manifests,
            fingerprint: OnceLock::new(),
        }
    }

    /// That of its manifests, in their order.
    pub fn fingerprint(&self) -> Fingerprint {
        *self.fingerprint.get_or_init(|| {
            let manifests = self.manifests.iter().map(|manifest| manifest.fingerprint);
            Fingerprint::of_all(manifests)
        })
    }
}

/// A chart with its values.
#[derive(Debug, Clone)]
pub struct RenderedChart {
    /// The chart as planned.
    pub chart: Chart,
    /// Its values.
    pub values: Arc<Value>,
}

impl Manifest {
    /// The view of what every object has.
    pub fn object(&self) -> Object<'_> {
        Object(&self.value)
    }

    /// `apiVersion`.
    pub fn api_version(&self) -> &str {
        self.object().api_version()
    }

    /// The API group, empty for the core.
    pub fn group(&self) -> &str {
        self.object().group()
    }

    /// `kind`.
    pub fn kind(&self) -> &str {
        self.object().kind()
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.object().name()
    }

    /// `metadata.namespace`; `None` for what has none.
    pub fn namespace(&self) -> Option<&str> {
        Some(self.object().namespace()).filter(|namespace| !namespace.is_empty())
    }
}

/// The units of each cluster, in their order.
pub fn by_cluster<'a>(
    model: &Model,
    units: impl IntoIterator<Item = &'a RenderedUnit>,
) -> Vec<Vec<&'a RenderedUnit>> {
    let mut of_clusters = vec![Vec::new(); model.clusters.len()];
    for unit in units {
        of_clusters[unit.unit.cluster].push(unit);
    }
    of_clusters
}

/// What one cluster gets.
pub(crate) struct InCluster<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its manifests.
    pub manifests: Vec<&'a Manifest>,
    charts: Vec<&'a RenderedChart>,
}

impl<'a> InCluster<'a> {
    /// What the units of a cluster were rendered to.
    pub(crate) fn new(cluster: &'a Cluster, units: &[&'a RenderedUnit]) -> Self {
        Self {
            cluster,
            manifests: units.iter().flat_map(|unit| &unit.manifests).collect(),
            charts: units.iter().flat_map(|unit| &unit.charts).collect(),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'a str {
        &self.cluster.name
    }

    /// The charts of a name, whatever their releases are called.
    pub(crate) fn charts(&self, name: &str) -> impl Iterator<Item = &'a RenderedChart> {
        self.charts
            .iter()
            .copied()
            .filter(move |chart| chart.chart.name == name)
    }

    /// The manifests of a kind.
    pub(crate) fn of_kind(&self, group: &str, kind: &str) -> impl Iterator<Item = &'a Manifest> {
        self.manifests
            .iter()
            .copied()
            .filter(move |manifest| manifest.group() == group && manifest.kind() == kind)
    }
}
