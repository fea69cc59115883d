//! What waits for a place.

use hcb_api::requirements::PodRequirements;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a demand is, and so which object of the source cluster an engine changes to release it. An engine that
/// places groups of pods or workload objects adds a kind of its own here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum DemandKind {
    /// One pod.
    #[default]
    Pod,
}

impl DemandKind {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_pod(&self) -> bool {
        *self == Self::Pod
    }
}

/// Something that waits to be placed as a whole, or was placed, in the source cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// What it is.
    #[serde(default, skip_serializing_if = "DemandKind::is_pod")]
    pub kind: DemandKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version of it that was seen: what is done to it holds for no other.
    pub version: String,
    /// The Job that made it.
    pub job: Option<JobName>,
    /// When it was created.
    pub created: Timestamp,
    /// Higher goes first.
    pub priority: i32,
    /// What it asks for, shared by all that ask for the same.
    #[serde(rename = "shape")]
    pub requirements: Arc<PodRequirements>,
    /// The clusters that it was released to, with the time since when.
    pub released: BTreeMap<String, Timestamp>,
    /// The cluster that it was bound to. Where the node that it was bound to stands for no cluster of the configuration,
    /// the name of that node.
    pub placed: Option<String>,
    /// The node of the source cluster that it takes up room of, where it was bound to one and not to a virtual node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether somebody else holds it back by a scheduling gate. It waits for nothing of ours until that is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_gated: bool,
    /// Whether it ended.
    pub ended: bool,
}

/// The Job that a demand is of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobName {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Demand {
    /// Whether it waits to be placed.
    pub fn waits(&self) -> bool {
        self.placed.is_none() && !self.ended && !self.is_gated
    }
}
