//! Admiralty, with a proxy scheduler that fills tiers in their order.
//!
//! The stock proxy scheduler scores clusters by how empty they are and asks every cluster before it
//! chooses, so jobs go to public while private has room, and each job leaves a candidate pod in
//! public, which can buy a node. The proxy scheduler here checks taints before it asks a cluster:
//! `hcb.dev/gate=CLUSTER:NoSchedule` on a virtual node keeps its cluster out altogether.

use super::interface::{PodParts, Rights};
use crate::access::{Access, Target, kubeconfig};
use crate::providers::common::{Pair, PlatformNamespace, mapping};
use crate::rendered::InCluster;
use crate::rendered::findings::check_images;
use crate::unit::{Chart, Item, LiveField, Unit, Wave};
use hcb_api::explanation::DECISION;
use hcb_api::gate::Gate;
use hcb_api::release::{NUDGED, RELEASED};
use hcb_api::{gitops, labels, names};
use hcb_source::diag::Diagnostics;
use hcb_spec::admiralty::NAMESPACE;
use hcb_spec::model::{Cluster, ClusterIndex, Model, Workload};
use serde_json::{Value, json};

/// How the source cluster creates candidate pods in the targets.
const SOURCE: Access = Access {
    purpose: "admiralty-source",
    account: names::SOURCE,
    namespace: NAMESPACE,
};

/// Where Admiralty's chart is.
const CHARTS: &str = "oci://public.ecr.aws/admiralty";

/// The Deployment whose images are of the version of the chart.
const PROXY_SCHEDULER: &str = "admiralty-proxy-scheduler";

/// Admiralty.
pub(crate) struct Admiralty;

impl super::interface::SchedulingEngine for Admiralty {
    fn namespaces(&self, model: &Model) -> Vec<PlatformNamespace> {
        vec![PlatformNamespace {
            name: NAMESPACE,
            labels: json!({}),
            origin: model.scheduling.location,
        }]
    }

    fn units(&self, model: &Model, index: ClusterIndex) -> Vec<Unit> {
        let mut units = vec![engine(model, index)];
        if index == model.source {
            units.push(virtual_nodes(model));
            units.push(targets(model));
        } else {
            units.push(source_access(model, index));
        }
        units
    }

    fn namespace_labels(&self) -> Vec<Pair> {
        vec![(labels::SCHEDULED_NAMESPACE, "enabled".to_owned())]
    }

    fn pod(&self, model: &Model, workload: &Workload) -> PodParts {
        let mut annotations = vec![(labels::ELECT, String::new())];
        if let Some(constraints) = constraints(model, workload) {
            annotations.push((labels::CONSTRAINTS, constraints));
        }
        PodParts {
            annotations,
            ..PodParts::default()
        }
    }

    fn stand_in(&self, cluster: &str) -> String {
        virtual_node_name(cluster)
    }

    /// Admiralty prefixes labels on the pod that does run.
    fn has_stand_in_pods(&self) -> bool {
        true
    }

    fn copies_secrets(&self) -> bool {
        true
    }

    fn rights(&self) -> Rights {
        let group = "multicluster.admiralty.io";
        Rights {
            // What a place is kept for.
            reads: vec![json!({
                "apiGroups": [group],
                "resources": ["podchaperons"],
                "verbs": ["get", "list", "watch"],
            })],
            // Its copy of the condition of a candidate.
            changes: vec![json!({
                "apiGroups": [group],
                "resources": ["podchaperons/status"],
                "verbs": ["patch"],
            })],
            pod_notes: vec![DECISION, RELEASED, NUDGED],
            policies: vec![
                "reconciler/release-policy.yaml",
                "scheduling/admiralty/sent-pods.yaml",
            ],
        }
    }

    fn lint(&self, clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
        for cluster in clusters {
            if let Some(chart) = cluster.charts("admiralty").next() {
                let version = &chart.chart.version;
                check_images(cluster, PROXY_SCHEDULER, version, diagnostics);
            }
        }
    }
}

/// The constraints of the proxy pod, which choose the cluster: Admiralty drops the affinity of the
/// pod's own spec there, and takes it from this annotation. Source: `pkg/webhooks/proxypod` of
/// Admiralty 0.17.0.
fn constraints(model: &Model, workload: &Workload) -> Option<String> {
    if !workload.restricted {
        return None;
    }
    let names: Vec<_> = workload
        .clusters
        .iter()
        .map(|index| model.clusters[*index].name.as_str())
        .collect();
    Some(hcb_source::yaml::to_string(&json!({
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchExpressions": [{
                "key": labels::TARGET,
                "operator": "In",
                "values": names,
            }] }],
        } } },
    })))
}

fn engine(model: &Model, index: ClusterIndex) -> Unit {
    let cluster = &model.clusters[index];
    let origin = model.scheduling.location;
    let is_source = index == model.source;
    let mut unit = Unit::new(index, "scheduling", Wave::Platform, origin);
    unit.charts.push(Chart {
        release: "admiralty".to_owned(),
        name: "admiralty",
        repository: CHARTS.to_owned(),
        version: model.scheduling.version.clone(),
        namespace: NAMESPACE.to_owned(),
        values: Item {
            template: "scheduling/admiralty/values.yaml",
            context: json!({ "cluster": cluster.name, "isSource": is_source }),
            origin,
        },
        live_fields: live_fields(),
    });
    if is_source {
        // The restarter of the chart restarts the proxy scheduler by this name when targets change,
        // so the Deployment must have it, in the chart's namespace.
        let context = json!({
            "namespace": NAMESPACE,
            "cluster": cluster.name,
            "version": model.scheduling.version,
            "config": proxy_scheduler_config(),
            "configHash": hcb_source::digest::short(&proxy_scheduler_config(), 16),
        });
        for template in [
            "scheduling/admiralty/proxy-scheduler-config.yaml",
            "scheduling/admiralty/proxy-scheduler.yaml",
            "scheduling/admiralty/proxy-scheduler-disruption-budget.yaml",
        ] {
            unit.add(template, origin, context.clone());
        }
        unit.live_fields.push(restarted(PROXY_SCHEDULER));
    }
    unit
}

/// What others write into objects of the chart: the CA of the webhook, rules that are aggregated,
/// and the annotation by which the restarter restarts.
fn live_fields() -> Vec<LiveField> {
    vec![
        LiveField {
            group: "admissionregistration.k8s.io",
            kind: "MutatingWebhookConfiguration",
            name: Some("admiralty".to_owned()),
            pointers: vec!["/webhooks/0/clientConfig/caBundle"],
        },
        LiveField {
            group: "rbac.authorization.k8s.io",
            kind: "ClusterRole",
            name: Some("admiralty".to_owned()),
            pointers: vec!["/rules"],
        },
        restarted("admiralty-controller-manager"),
    ]
}

fn restarted(deployment: &str) -> LiveField {
    LiveField {
        group: "apps",
        kind: "Deployment",
        name: Some(deployment.to_owned()),
        pointers: vec![
            "/spec/template/metadata/annotations/multicluster.admiralty.io~1restartedAt",
        ],
    }
}

/// The virtual nodes of gated clusters, with their gates closed. They are there before Admiralty
/// starts, so no job can slip through before the reconciler is up: Admiralty patches status and
/// labels of a node that exists, and leaves its taints alone (virtual-kubelet 1.11, `node.go`).
/// The value of each gate is its cluster, so that a pod can be let through one and no other.
fn virtual_nodes(model: &Model) -> Unit {
    let mut unit = Unit::new(
        model.source,
        "gates",
        Wave::Credentials,
        model.scheduling.location,
    );
    // A virtual node is ready only once Admiralty runs, which comes later.
    unit.awaited = false;
    for cluster in model.clusters.iter().filter(|cluster| cluster.is_gated()) {
        let gate = if cluster.drain {
            Gate::Drained
        } else {
            Gate::Closed
        };
        unit.add(
            "scheduling/admiralty/virtual-node.yaml",
            cluster.location,
            json!({
                "name": virtual_node_name(&cluster.name),
                "cluster": cluster.name,
                "gate": gate.value(&cluster.name),
                "before": &model.tiers[..cluster.tier],
                "createdOnly": mapping(gitops::created_only()),
            }),
        );
    }
    unit.live_fields.push(LiveField {
        group: "",
        kind: "Node",
        name: None,
        pointers: vec!["/metadata/labels", "/metadata/annotations", "/spec"],
    });
    unit
}

/// The clusters that the source sends pods to; itself is one of them.
fn targets(model: &Model) -> Unit {
    let mut unit = Unit::new(
        model.source,
        "scheduling-targets",
        Wave::Services,
        model.scheduling.location,
    );
    for (index, cluster) in model.clusters.iter().enumerate() {
        let is_source = index == model.source;
        unit.add(
            "scheduling/admiralty/cluster-target.yaml",
            cluster.location,
            json!({
                "name": cluster.name,
                "secret": if is_source { Value::Null } else { target_secret(cluster).into() },
                "namespace": NAMESPACE,
            }),
        );
        if !is_source {
            let target = Target {
                name: target_secret(cluster),
                namespace: NAMESPACE,
                labels: json!({}),
                annotations: json!({}),
                // The key that Admiralty reads unless told otherwise.
                data: json!({ "config": kubeconfig(cluster) }),
            };
            SOURCE.receive(&mut unit, model, cluster, &target);
        }
    }
    unit
}

fn target_secret(cluster: &Cluster) -> String {
    format!("target-{}", cluster.name)
}

/// What lets the source in. Admiralty binds the roles; the service account is made here, since
/// Admiralty 0.17.0 cannot create it for a `ClusterSource`.
fn source_access(model: &Model, index: ClusterIndex) -> Unit {
    let cluster = &model.clusters[index];
    let mut unit = Unit::new(index, "scheduling-source", Wave::Services, cluster.location);
    SOURCE.grant(&mut unit, model, cluster, true);
    unit.add(
        "scheduling/admiralty/cluster-source.yaml",
        cluster.location,
        json!({
            "name": model.source().name,
            "account": SOURCE.account,
            "namespace": SOURCE.namespace,
        }),
    );
    unit
}

/// The name of the virtual node that Admiralty makes for a `ClusterTarget`. Source: `pkg/name` and
/// `pkg/config/agent` of Admiralty 0.17.0: a name with a dash gets a hash, so that it stays unique.
pub fn virtual_node_name(target: &str) -> String {
    let name = format!("admiralty-{target}");
    if target.contains('-') {
        let hash = hcb_source::digest::short(&format!("admiralty//{target}"), 10);
        format!("{name}-{hash}")
    } else {
        name
    }
}

/// The scheduler's configuration. Order matters: cheap filters first, `proxy`, which creates
/// candidate pods, last. Only what taints and affinity say is scored, since the load that stock
/// plugins see on a virtual node is not that of the cluster.
fn proxy_scheduler_config() -> String {
    hcb_source::yaml::to_string(&json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {
            "leaderElect": true,
            "resourceName": PROXY_SCHEDULER,
            "resourceNamespace": NAMESPACE,
            "resourceLock": "leases",
        },
        // A pod that fits nowhere is no burden here: room is what it waits for.
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 1,
        "profiles": [{
            "schedulerName": "admiralty-proxy",
            "plugins": {
                "multiPoint": { "enabled": [{ "name": "proxy" }] },
                "filter": {
                    "disabled": [{ "name": "*" }],
                    "enabled": [
                        { "name": "NodeUnschedulable" },
                        { "name": "TaintToleration" },
                        { "name": "NodeAffinity" },
                        { "name": "proxy" },
                    ],
                },
                "preScore": {
                    "disabled": [{ "name": "*" }],
                    "enabled": [{ "name": "TaintToleration" }, { "name": "NodeAffinity" }],
                },
                "score": {
                    "disabled": [{ "name": "*" }],
                    "enabled": [
                        { "name": "NodeAffinity", "weight": 10 },
                        { "name": "TaintToleration", "weight": 1 },
                    ],
                },
            },
        }],
    }))
}

#[cfg(test)]
mod tests {
    use super::virtual_node_name;

    #[test]
    fn virtual_nodes_are_named_as_admiralty_names_them() {
        assert_eq!(virtual_node_name("x"), "admiralty-x");
        assert_eq!(
            virtual_node_name("dc-frankfurt"),
            "admiralty-dc-frankfurt-a52f0ec05a"
        );
    }
}
