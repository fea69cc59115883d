//! Names by which the reconciler is known in clusters. Trees, Events and field managers of earlier releases hold
//! them too.

/// The name of its Deployment, accounts, Lease and configuration.
pub const RECONCILER: &str = "hcb-reconciler";
/// The Lease of the replica that leads.
pub const LEASE: &str = RECONCILER;
/// The `ConfigMap` of its configuration.
pub const CONFIG_MAP: &str = RECONCILER;
/// The key in it.
pub const CONFIG_KEY: &str = "config.yaml";
/// The field manager of the status.
pub const FIELD_MANAGER: &str = RECONCILER;
/// The namespace that it runs in, unless it is told another.
pub const SYSTEM_NAMESPACE: &str = "hcb-system";
/// What it calls itself in Events.
pub const REPORTER: &str = "hcb.dev/reconciler";
