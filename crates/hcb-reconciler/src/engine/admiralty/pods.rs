//! Pods: in the source, those that Admiralty made proxies of; in every cluster, its candidates and all others.

use super::context::ClusterContext;
use super::manifest;
use crate::core::demand::{Demand, DemandKind, JobName};
use crate::core::facts::{Fact, Watched};
use crate::core::observation::ClusterPod;
use crate::engine::object::{Object, WatchedKind};
use hcb_api::gate::GATE;
use hcb_api::pod_spec::{ContainerStatus, PodSpec, affinity, requests_and_held, requirements};
use hcb_api::release::{RELEASED, read_note};
use hcb_api::requirements::PodRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use serde::Deserialize;
use std::sync::Arc;

/// The annotation with which Admiralty marks what it schedules.
const ELECT: &str = hcb_api::labels::ELECT;
/// The annotation in which Admiralty keeps the pod as it was asked for.
const MANIFEST: &str = "multicluster.admiralty.io/sourcepod-manifest";
/// The label by which a candidate names the uid of its pod in the source.
const PARENT: &str = "multicluster.admiralty.io/parent-uid";

/// Pods: demands where jobs are created, candidates and others everywhere.
#[derive(Clone, Debug)]
pub(super) enum Pods {}

/// Whether the owner of a pod is a `DaemonSet`.
fn is_of_daemon_set(metadata: &ObjectMeta) -> bool {
    let mut owners = metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.kind == "DaemonSet" && owner.controller == Some(true))
}

/// What is read of the status of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodStatus {
    phase: Option<String>,
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
    #[serde(default)]
    init_container_statuses: Vec<ContainerStatus>,
}

impl WatchedKind for Pods {
    const WATCHED: Watched = Watched::Pods;
    const MAKES_DEMANDS: bool = true;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const NAME: &'static str = "Pod";
    const PLURAL: &'static str = "pods";
    type Spec = PodSpec;
    type Status = PodStatus;
    type Context = ClusterContext;

    fn observed(context: &mut Self::Context, pod: &Object<Self>) -> Option<Fact> {
        if matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return Some(Self::gone(context, pod));
        }
        let metadata = &pod.metadata;
        let uid = metadata.uid.clone().unwrap_or_default();
        let is_elected = pod.annotations().contains_key(ELECT);
        if context.is_source && is_elected {
            return Some(Fact::Demand(
                context.cluster,
                Box::new(context.demand(uid, pod)),
            ));
        }
        let labels = metadata.labels.as_ref();
        let containers = &pod.status.container_statuses;
        let statuses = [&containers[..], &pod.status.init_container_statuses].concat();
        let requests = requests_and_held(&pod.spec, &statuses, pod.annotations());
        let pod = ClusterPod {
            key: pod.key(),
            node: pod.spec.node_name.clone(),
            requests: Arc::new(requests),
            parent: labels.and_then(|labels| labels.get(PARENT)).cloned(),
            is_daemon: is_of_daemon_set(metadata),
        };
        Some(Fact::Pod(context.cluster, uid, pod))
    }

    fn gone(context: &mut Self::Context, pod: &Object<Self>) -> Fact {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        context.requirements.remove(&uid);
        Fact::PodGone(context.cluster, uid)
    }

    fn relisted(context: &mut Self::Context) {
        context.requirements.clear();
    }
}

impl ClusterContext {
    fn demand(&mut self, uid: String, pod: &Object<Pods>) -> Demand {
        let metadata = &pod.metadata;
        let known = self.requirements.get(&uid).cloned();
        let requirements = known.unwrap_or_else(|| Arc::new(self.requirements_of(pod)));
        self.requirements
            .insert(uid.clone(), Arc::clone(&requirements));
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
        let created = created.unwrap_or_default();
        let notes = pod.annotations().get(RELEASED);
        let notes = notes.map(|note| read_note(note)).unwrap_or_default();
        let gates = pod.spec.tolerations.iter();
        let gates = gates.filter(|toleration| toleration.key.as_deref() == Some(GATE));
        let gates = gates.filter_map(|toleration| toleration.value.clone());
        // Without a note it is as if it had been released from the start.
        let since = |cluster: &String| notes.get(cluster).copied().unwrap_or(created);
        let mut owners = metadata.owner_references.iter().flatten();
        let job = owners
            .find(|owner| owner.kind == "Job")
            .map(|owner| JobName {
                name: owner.name.clone(),
                uid: owner.uid.clone(),
            });
        let node = pod.spec.node_name.as_ref();
        let stands_for = node.and_then(|node| self.virtual_nodes.get(node));
        Demand {
            kind: DemandKind::Pod,
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid,
            version: metadata.resource_version.clone().unwrap_or_default(),
            job,
            created,
            priority: pod.spec.priority,
            requirements,
            released: gates
                .map(|cluster| (cluster.clone(), since(&cluster)))
                .collect(),
            placed: stands_for.or(node).cloned(),
            node: node.filter(|_| stands_for.is_none()).cloned(),
            is_gated: !pod.spec.scheduling_gates.is_empty(),
            ended: metadata.deletion_timestamp.is_some(),
        }
    }

    /// What the pod asks of a cluster, from the pod as it was before Admiralty made it a proxy; where it
    /// may go, from the proxy, which carries the spec's rules of placement. A pod whose manifest is not understood
    /// may go nowhere: what Admiralty would make of it is not known.
    fn requirements_of(&self, proxy: &Object<Pods>) -> PodRequirements {
        let annotations = proxy.annotations();
        let rules = affinity(&proxy.spec);
        let of = |spec| requirements(spec, annotations, &rules, &self.names);
        let Some(manifest) = annotations.get(MANIFEST) else {
            return of(&proxy.spec);
        };
        match manifest::read(manifest) {
            Ok(original) => of(&original),
            Err(error) => {
                let (namespace, pod) = proxy.key();
                tracing::warn!(
                    namespace, pod, %error,
                    "the annotation {MANIFEST} is not understood; the pod is not released"
                );
                let mut of_proxy = of(&proxy.spec);
                of_proxy.forbid_all();
                of_proxy
            }
        }
    }
}
