//! Rules on Istio's kinds.

pub(super) mod authorization;
pub(super) mod gateway;
pub(super) mod mesh_identity;
pub(super) mod mutual_tls;
