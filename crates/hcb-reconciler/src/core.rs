//! What is decided, without any cluster: facts come in, decisions come out. Nothing in here knows the habits of an
//! engine but by its [`Pacing`](pacing::Pacing), and nothing asks a clock or a network, so that a run can be replayed.

pub mod capacity;
pub mod decide;
pub mod decision;
pub mod demand;
pub mod explain;
pub mod facts;
pub mod gates;
pub mod memory;
pub mod observation;
pub mod pacing;
pub mod record;
pub mod spending;
pub mod status;
pub mod weights;
