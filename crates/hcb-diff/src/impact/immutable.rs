//! Fields that the API server refuses to change.

use super::super::Level;
use super::super::fields::plain;
use super::super::read::Area;
use super::{Context, Effects, Rule, stays};
use serde_json::Value;

pub(super) const RULE: Rule = Rule {
    id: "immutable-field",
    about: "a field changes that the API server refuses to change, so that the delivery fails",
    check,
};

/// Fields that cannot change once they are there, by kind. Sources: the validation of updates in
/// `k8s.io/kubernetes/pkg/apis/*/validation` and, for custom resources, the rules in their definitions
/// and their controllers' documentation: Karpenter 1 (`nodeClassRef.group` and `kind`), Cluster API
/// (`clusterName`, `selector`), Config Connector (fields marked immutable), ACK EKS.
const FIELDS: &[(&str, &[&[&str]])] = &[
    (
        "Job",
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
    ("Deployment", &[&["spec", "selector"]]),
    ("ReplicaSet", &[&["spec", "selector"]]),
    ("DaemonSet", &[&["spec", "selector"]]),
    (
        "StatefulSet",
        &[
            &["spec", "selector"],
            &["spec", "serviceName"],
            &["spec", "podManagementPolicy"],
            &["spec", "volumeClaimTemplates"],
        ],
    ),
    (
        "PersistentVolumeClaim",
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
        "Service",
        &[&["spec", "clusterIP"], &["spec", "clusterIPs"]],
    ),
    (
        "StorageClass",
        &[
            &["provisioner"],
            &["parameters"],
            &["reclaimPolicy"],
            &["volumeBindingMode"],
        ],
    ),
    ("PriorityClass", &[&["value"], &["preemptionPolicy"]]),
    ("RoleBinding", &[&["roleRef"]]),
    ("ClusterRoleBinding", &[&["roleRef"]]),
    ("Secret", &[&["type"]]),
    ("RuntimeClass", &[&["handler"]]),
    ("IngressClass", &[&["spec", "controller"]]),
    ("CSIDriver", &[&["spec", "attachRequired"]]),
    (
        "CustomResourceDefinition",
        &[
            &["spec", "group"],
            &["spec", "names", "plural"],
            &["spec", "names", "kind"],
            &["spec", "scope"],
        ],
    ),
    (
        "NodePool",
        &[
            &["spec", "template", "spec", "nodeClassRef", "group"],
            &["spec", "template", "spec", "nodeClassRef", "kind"],
        ],
    ),
    (
        "MachineDeployment",
        &[&["spec", "clusterName"], &["spec", "selector"]],
    ),
    (
        "ContainerNodePool",
        &[
            &["spec", "location"],
            &["spec", "clusterRef"],
            &["spec", "resourceID"],
            &["spec", "nodeConfig", "machineType"],
            &["spec", "nodeConfig", "spot"],
        ],
    ),
    (
        "Nodegroup",
        &[
            &["spec", "clusterName"],
            &["spec", "clusterRef"],
            &["spec", "name"],
            &["spec", "subnets"],
            &["spec", "nodeRole"],
            &["spec", "instanceTypes"],
            &["spec", "capacityType"],
            &["spec", "diskSize"],
            &["spec", "amiType"],
        ],
    ),
    (
        "ManagedClustersAgentPool",
        &[
            &["spec", "vmSize"],
            &["spec", "osType"],
            &["spec", "owner"],
            &["spec", "azureName"],
            &["spec", "scaleSetPriority"],
            &["spec", "availabilityZones"],
        ],
    ),
];

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context
        .pairs
        .iter()
        .enumerate()
        .filter(|(_, pair)| stays(pair) && pair.object().area != Area::Submit)
    {
        let kind = pair.object().kind();
        let is_sealed = matches!(kind, "ConfigMap" | "Secret")
            && pair
                .before
                .as_ref()
                .is_some_and(|object| object.value["immutable"] == true);
        let known = FIELDS.iter().find(|(name, _)| *name == kind);
        let mut refused: Vec<_> = known
            .into_iter()
            .flat_map(|(_, fields)| fields.iter())
            .flat_map(|keys| pair.fields_at(keys))
            .collect();
        if is_sealed {
            refused.extend(pair.fields.iter().filter(|field| {
                ["data", "binaryData", "stringData", "immutable"]
                    .iter()
                    .any(|key| field.path.begins_with(&[key]))
            }));
        }
        if refused.is_empty() {
            continue;
        }
        let effect = effects.of_pair(
            index,
            Level::Danger,
            "the API server refuses this change: the delivery fails until the object is deleted by hand and made anew",
        );
        for field in refused {
            let show = |value: &Option<Value>| match value {
                // Of a Secret nothing is told but its type.
                Some(_) if kind == "Secret" && !field.path.begins_with(&["type"]) => "…".to_owned(),
                None => "nothing".to_owned(),
                Some(Value::Object(_) | Value::Array(_)) => "…".to_owned(),
                Some(value) => plain(value),
            };
            let (before, after) = (show(&field.before), show(&field.after));
            effect.detail(if before == after {
                format!("{} cannot change", field.path)
            } else {
                format!("{} cannot change from {before} to {after}", field.path)
            });
        }
    }
}
