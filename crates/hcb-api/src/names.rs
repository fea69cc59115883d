//! Names of objects, accounts, field managers and folders that the compiler writes and the reconciler, `hcb
//! diff` or the command line look for.

use std::path::PathBuf;

/// The namespace of the reconciler and of what it reads and writes.
pub const SYSTEM_NAMESPACE: &str = "hcb-system";
/// The namespace of cert-manager, where hcb installs it.
pub const CERT_MANAGER_NAMESPACE: &str = "cert-manager";
/// The namespace of External Secrets, where hcb installs it.
pub const EXTERNAL_SECRETS_NAMESPACE: &str = "external-secrets";
/// The reconciler: its Deployment, service account, roles, Service, the `ConfigMap` of its configuration, its
/// Lease and its field manager.
pub const RECONCILER: &str = "hcb-reconciler";
/// The Lease of the replica that leads.
pub const LEASE: &str = RECONCILER;
/// The `ConfigMap` of the reconciler's configuration.
pub const CONFIG_MAP: &str = RECONCILER;
/// The field manager of the status.
pub const FIELD_MANAGER: &str = RECONCILER;
/// What the reconciler calls itself in Events.
pub const REPORTER: &str = "hcb.dev/reconciler";
/// The `ConfigMap` in which the reconciler says what it sees and decided last.
pub const STATUS: &str = "hcb-status";
/// The `ConfigMap` in which the reconciler keeps what was spent.
pub const LEDGER: &str = "hcb-ledger";
/// The service account by which the reconciler reads nodes and pods of a target cluster.
pub const READER: &str = "hcb-reader";
/// The service account by which the source cluster sends pods to a target cluster.
pub const SOURCE: &str = "hcb-source";
/// The service account by which the hub's `GitOps` engine applies to another cluster.
pub const GITOPS: &str = "hcb-gitops";
/// The field manager of `hcb submit`.
pub const SUBMITTER: &str = "hcb-submit";
/// The `CronJob` that opens gates where no reconciler runs.
pub const OPEN_IF_DOWN: &str = "hcb-open-if-down";

/// The key of the configuration in the `ConfigMap` [`RECONCILER`].
pub const CONFIG_KEY: &str = "config.yaml";
/// The folder in which the reconciler finds its configuration.
pub const CONFIG_FOLDER: &str = "/etc/hcb/config";
/// The folder in which the reconciler finds the kubeconfig of each target cluster.
pub const TARGETS_FOLDER: &str = "/etc/hcb/targets";

/// The Secret with the reconciler's kubeconfig of a target cluster.
pub fn target_secret(cluster: &str) -> String {
    format!("hcb-target-{cluster}")
}

/// Where the reconciler finds its kubeconfig of a target cluster.
pub fn target_kubeconfig(cluster: &str) -> PathBuf {
    [TARGETS_FOLDER, cluster, "config"].iter().collect()
}
