//! The spec as users write it: its documents, their schema, and the places of everything in them.
//!
//! [`read`] goes from texts to a [`Spec`]: YAML with places, shape check of every document against
//! the JSON Schema that editors use too, then the typed documents. What is wrong becomes a
//! finding and is taken out; the rest is read, so that later checks still see it.

mod cloud;
mod cluster;
mod documents;
mod metadata;
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
pub use documents::{Incomplete, Spec};
pub use metadata::{ApiVersion, Metadata};
pub use platform::*;
pub use policies::*;
pub use read::{json_schema, read};
pub use workload::*;
