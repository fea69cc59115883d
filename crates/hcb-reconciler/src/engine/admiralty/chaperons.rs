//! `PodChaperon`s: Admiralty makes one for each candidate, and notes on it that a place is reserved.

use crate::core::facts::{Fact, Watched};
use crate::engine::object::{Object, WatchedKind};
use kube::ResourceExt;
use serde::Deserialize;
use serde_json::Value;

/// The annotation by which Admiralty says that a place is reserved for a candidate.
const RESERVED: &str = "multicluster.admiralty.io/is-reserved";

/// What stands for a candidate. The context is the index of the cluster.
#[derive(Clone, Debug)]
pub(super) enum Chaperons {}

/// What is read of the status of a chaperon.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ChaperonStatus {
    #[serde(default)]
    conditions: Vec<Value>,
}

impl WatchedKind for Chaperons {
    const WATCHED: Watched = Watched::Reservations;
    const GROUP: &'static str = "multicluster.admiralty.io";
    const VERSION: &'static str = "v1alpha1";
    const NAME: &'static str = "PodChaperon";
    const PLURAL: &'static str = "podchaperons";
    type Spec = serde::de::IgnoredAny;
    type Status = ChaperonStatus;
    type Context = usize;

    fn observed(context: &mut Self::Context, chaperon: &Object<Self>) -> Option<Fact> {
        let is_refused = |condition: &Value| {
            condition["type"] == "PodScheduled" && condition["reason"] == "Unschedulable"
        };
        Some(Fact::Reservation {
            cluster: *context,
            key: chaperon.key(),
            is_reserved: chaperon.annotations().contains_key(RESERVED),
            is_stale: chaperon.status.conditions.iter().any(is_refused),
        })
    }

    fn gone(context: &mut Self::Context, chaperon: &Object<Self>) -> Fact {
        Fact::Reservation {
            cluster: *context,
            key: chaperon.key(),
            is_reserved: false,
            is_stale: false,
        }
    }
}
