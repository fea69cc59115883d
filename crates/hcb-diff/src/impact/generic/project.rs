//! The kinds of Kubernetes itself. Source: the validation of updates in
//! `k8s.io/kubernetes/pkg/apis/*/validation`.

use crate::impact::project::Project;
use crate::kinds;

pub(crate) const PROJECT: Project = Project {
    immutable: &[
        (
            kinds::JOB,
            &[
                &["spec", "template"],
                &["spec", "selector"],
                &["spec", "completions"],
                &["spec", "completionMode"],
                &["spec", "podFailurePolicy"],
                &["spec", "backoffLimitPerIndex"],
                &["spec", "managedBy"],
            ],
        ),
        (kinds::DEPLOYMENT, &[&["spec", "selector"]]),
        (kinds::REPLICA_SET, &[&["spec", "selector"]]),
        (kinds::DAEMON_SET, &[&["spec", "selector"]]),
        (
            kinds::STATEFUL_SET,
            &[
                &["spec", "selector"],
                &["spec", "serviceName"],
                &["spec", "podManagementPolicy"],
                &["spec", "volumeClaimTemplates"],
            ],
        ),
        (
            kinds::PERSISTENT_VOLUME_CLAIM,
            &[
                &["spec", "accessModes"],
                &["spec", "selector"],
                &["spec", "storageClassName"],
                &["spec", "volumeMode"],
                &["spec", "volumeName"],
                &["spec", "dataSource"],
                &["spec", "dataSourceRef"],
            ],
        ),
        (
            kinds::SERVICE,
            &[&["spec", "clusterIP"], &["spec", "clusterIPs"]],
        ),
        (
            kinds::STORAGE_CLASS,
            &[
                &["provisioner"],
                &["parameters"],
                &["reclaimPolicy"],
                &["volumeBindingMode"],
            ],
        ),
        (kinds::PRIORITY_CLASS, &[&["value"], &["preemptionPolicy"]]),
        (kinds::ROLE_BINDING, &[&["roleRef"]]),
        (kinds::CLUSTER_ROLE_BINDING, &[&["roleRef"]]),
        (kinds::SECRET, &[&["type"]]),
        (kinds::RUNTIME_CLASS, &[&["handler"]]),
        (kinds::INGRESS_CLASS, &[&["spec", "controller"]]),
        (kinds::CSI_DRIVER, &[&["spec", "attachRequired"]]),
        (
            kinds::CUSTOM_RESOURCE_DEFINITION,
            &[
                &["spec", "group"],
                &["spec", "names", "plural"],
                &["spec", "names", "kind"],
                &["spec", "scope"],
            ],
        ),
    ],
    deleted: &[
        (
            kinds::PERSISTENT_VOLUME_CLAIM,
            "deleted, and unless its class keeps volumes, the data with it",
        ),
        (
            kinds::PERSISTENT_VOLUME,
            "deleted: what uses it loses its data",
        ),
        (
            kinds::CUSTOM_RESOURCE_DEFINITION,
            "deleted, and with it every object of this kind",
        ),
        (kinds::STATEFUL_SET, "deleted: its pods stop"),
        (kinds::DEPLOYMENT, "deleted: its pods stop"),
        (kinds::DAEMON_SET, "deleted: its pods stop"),
        (
            kinds::PRIORITY_CLASS,
            "deleted: pods that name it are refused",
        ),
    ],
};
