//! Units: what the engine applies as a whole, with the templates and charts that it is made of.

use hcb_source::source::Location;
use hcb_spec::model::{ClusterIndex, Model};
use serde_json::Value;

/// The template of Jobs that people submit: not in Git's care, so their names have no hash.
pub const SUBMITTED: &str = "workloads/submitted-job.yaml";

/// The order in which units are applied to a cluster. A wave begins when the one before is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wave {
    /// Namespaces and what else is built in.
    Foundation,
    /// cert-manager and External Secrets.
    Addons,
    /// Secrets that must be there before their users start.
    Credentials,
    /// CRDs of the mesh.
    MeshBase,
    /// The mesh's control plane.
    MeshControl,
    /// Gateways, the scheduler, autoscalers.
    Platform,
    /// What is configured by objects of the platform.
    Services,
    /// Jobs. Nothing waits for them.
    Workloads,
}

/// Which part of the tree a unit is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// `clusters/`: what a cluster gets.
    Cluster,
    /// `gitops/`: what tells the engine in a unit's cluster to deliver to the cluster here.
    Delivery(ClusterIndex),
    /// `bootstrap/`: what a person applies once.
    Bootstrap,
    /// `submit/`: what `hcb submit` makes jobs of. No engine applies it.
    Submit,
}

/// What the engine applies as a whole.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The part of the tree it is in.
    pub area: Area,
    /// The cluster it is applied to.
    pub cluster: ClusterIndex,
    /// Its name, unique in its area of the cluster.
    pub name: String,
    /// When it is applied.
    pub wave: Wave,
    /// The charts that are installed.
    pub charts: Vec<Chart>,
    /// The templates that are rendered.
    pub items: Vec<Item>,
    /// Whether the next wave waits until this one is healthy.
    pub awaited: bool,
    /// Fields that others than the engine write at run time.
    pub live_fields: Vec<LiveField>,
    /// What in the spec asks for this unit.
    pub origin: Location,
}

/// A template with what it is rendered with.
#[derive(Debug, Clone)]
pub struct Item {
    /// The template's path below `templates/`.
    pub template: &'static str,
    /// The values it can use.
    pub context: Value,
    /// What in the spec asks for it.
    pub origin: Location,
}

/// A Helm chart that the engine installs.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Name of the release.
    pub release: String,
    /// Name of the chart.
    pub name: &'static str,
    /// `oci://…` or `https://…`, without the chart's name.
    pub repository: String,
    /// Version of the chart.
    pub version: String,
    /// Namespace of the release.
    pub namespace: String,
    /// The template of the values, and what it is rendered with.
    pub values: Item,
    /// Fields that others than the engine write at run time.
    pub live_fields: Vec<LiveField>,
}

/// Fields of objects that others than the engine write at run time: no drift, never reverted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LiveField {
    /// The API group, empty for the core.
    pub group: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The name, where only one object is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The fields, as JSON pointers.
    pub pointers: Vec<&'static str>,
}

impl Unit {
    /// A unit without content.
    pub fn new(
        cluster: ClusterIndex,
        name: impl Into<String>,
        wave: Wave,
        origin: Location,
    ) -> Self {
        Self {
            area: Area::Cluster,
            cluster,
            name: name.into(),
            wave,
            charts: Vec::new(),
            items: Vec::new(),
            // Jobs take as long as they take.
            awaited: wave != Wave::Workloads,
            live_fields: Vec::new(),
            origin,
        }
    }

    /// The folder of the unit in the tree.
    pub fn folder(&self, model: &Model) -> String {
        let cluster = &model.clusters[self.cluster].name;
        match self.area {
            Area::Cluster => format!("clusters/{cluster}/{}", self.name),
            Area::Delivery(target) => {
                format!(
                    "gitops/{cluster}/{}/{}",
                    model.clusters[target].name, self.name
                )
            }
            Area::Bootstrap => format!("bootstrap/{cluster}"),
            Area::Submit => format!("submit/{cluster}"),
        }
    }

    /// What units are sorted by: the cluster, the wave, the name.
    pub fn order(&self) -> (ClusterIndex, Wave, &str) {
        (self.cluster, self.wave, &self.name)
    }

    /// Adds a template that is asked for by `origin`.
    pub fn add(&mut self, template: &'static str, origin: Location, context: Value) {
        self.items.push(Item {
            template,
            context,
            origin,
        });
    }
}
