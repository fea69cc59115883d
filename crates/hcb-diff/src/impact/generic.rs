//! Rules on the kinds of Kubernetes itself, and on objects of any kind.

pub(super) mod admission;
pub(super) mod exposure;
pub(super) mod image;
pub(super) mod immutable;
pub(super) mod job;
pub(super) mod moved;
pub(super) mod namespace;
pub(super) mod network_policy;
pub(super) mod pod_privileges;
pub(super) mod pods_restart;
pub(super) mod project;
pub(super) mod pruned;
pub(super) mod quota;
pub(super) mod rbac;
pub(super) mod refused;
pub(super) mod replicas;
pub(super) mod resources;
pub(super) mod schedule;
