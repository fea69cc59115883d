//! The spec as users write it: its documents, their schema, and the places of everything in them.
//!
//! [`read`] goes from texts to a [`Spec`]: YAML with places, shape check of every document against
//! the JSON Schema that editors use too, then the typed documents. What is wrong becomes a
//! finding and is taken out; the rest is read, so that later checks still see it.

mod cloud;
mod cluster;
mod platform;
mod policies;
mod read;
mod workload;

pub use crate::gitops::{Delivery, GitOps, GitOpsEngine};
pub use crate::mesh::{EastWestGateway, Mesh, MeshEngine, MutualTls};
pub use crate::place::At;
pub use crate::provider::*;
pub use crate::quantity::QuantityText;
pub use crate::scheduling::SchedulingEngine;
pub use cloud::*;
pub use cluster::*;
pub use platform::*;
pub use policies::*;
pub use read::{json_schema, read};
pub use workload::*;

use hcb_source::source::Location;
use hcb_source::yaml::Node;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the spec's format.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
pub enum ApiVersion {
    /// The first.
    #[serde(rename = "hcb.dev/v1alpha1")]
    V1Alpha1,
}

/// Name and namespace of a document.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The name: lower-case letters, digits and dashes.
    pub name: String,
    /// The namespace of a workload, which is `ml` unless said here. A `HybridCloud` has none.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// A spec that was read.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The platform team's document.
    pub cloud: HybridCloudDocument,
    /// Its place.
    pub cloud_at: At,
    /// The ML teams' documents with their places, in the order of the files.
    pub workloads: Vec<(WorkloadDocument, At)>,
    /// The documents as they were read, for places.
    pub documents: Vec<Node>,
    /// What had to be left out because its shape is wrong. Checks that need all of
    /// a part (is there such a cluster?) are skipped when it is incomplete.
    pub incomplete: Incomplete,
}

/// Parts of the spec that were left out because their shape is wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Incomplete {
    /// Clusters, or parts of one.
    pub clusters: bool,
    /// Workloads, or parts of one.
    pub workloads: bool,
    /// Anything else of the cloud.
    pub cloud: bool,
}

impl Spec {
    /// The location of the key that `at` ends with, if the spec has that key.
    pub fn locate_key(&self, at: &At) -> Option<Location> {
        at.locate_key(&self.documents)
    }

    /// Where one of `paths` leads to in the document that `origin` is in: the first one that is
    /// there, and in it what `message` mentions. A path is written with dots, such as `spec.image`.
    pub fn place_near(
        &self,
        origin: Location,
        paths: &[String],
        message: &str,
    ) -> Option<Location> {
        let document = self.documents.iter().position(|document| {
            let whole = document.location;
            whole.file == origin.file && whole.start <= origin.start && origin.end <= whole.end
        })?;
        paths.iter().find_map(|path| {
            let at = At::document(document).path(path);
            let node = at.find(&self.documents)?;
            Some(
                node.mentioned_in(message)
                    .unwrap_or_else(|| self.locate(&at)),
            )
        })
    }

    /// The location of `at`, or of the nearest key above that exists.
    pub fn locate(&self, at: &At) -> Location {
        at.locate(&self.documents)
    }
}
