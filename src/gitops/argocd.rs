//! Argo CD: an `AppProject`, an Application a unit and a chart, and one above them for each cluster.
//!
//! Sources: the CRDs of argoproj/argo-cd 3, and its user guide on sync waves, sync options and
//! diffing. Live fields need all three of `ignoreDifferences`, `RespectIgnoreDifferences` and
//! `ServerSideApply`; without the last, values were seen to be reverted.

use super::{bootstrap, engine_of, engines, path};
use crate::manifest::{RenderedChart, RenderedUnit, by_cluster};
use crate::model::{Cluster, ClusterIndex, Model};
use crate::plan::access::{TOKEN, Target};
use crate::plan::{Area, LiveField, Unit, Wave};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Objects of charts that belong to no namespace.
const CHART_KINDS: [(&str, &str); 6] = [
    (
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
];

pub(super) fn plan(model: &Model, units: &[&RenderedUnit]) -> Vec<Unit> {
    let mut planned = Vec::new();
    let of_clusters = by_cluster(model, units.iter().copied());
    for (target, cluster) in model.clusters.iter().enumerate() {
        let engine = engine_of(model, target);
        let mut unit = Unit::new(engine, "applications", Wave::Foundation, cluster.location);
        unit.area = Area::Delivery(target);
        for &rendered in &of_clusters[target] {
            for chart in &rendered.charts {
                add_chart(&mut unit, model, rendered, chart);
            }
            if !rendered.manifests.is_empty() {
                add_manifests(&mut unit, model, rendered);
            }
        }
        planned.push(unit);
    }
    for engine in engines(model) {
        planned.push(above(model, units, engine));
    }
    planned
}

/// The name of a cluster for Argo CD: that in which it runs has a name of its own.
fn destination(model: &Model, target: ClusterIndex) -> &str {
    if engine_of(model, target) == target {
        "in-cluster"
    } else {
        &model.clusters[target].name
    }
}

fn project(model: &Model) -> String {
    format!("hcb-{}", model.name)
}

fn add_manifests(unit: &mut Unit, model: &Model, rendered: &RenderedUnit) {
    let planned = &rendered.unit;
    let source = json!({
        "repoURL": model.gitops.repository,
        "targetRevision": model.gitops.revision,
        "path": path(model, &planned.folder(model)),
        "directory": { "recurse": true },
    });
    let name = format!("{}-{}", model.clusters[planned.cluster].name, planned.name);
    let namespace = namespace(rendered);
    let context = application(
        model,
        rendered,
        &name,
        &source,
        namespace,
        &planned.live_fields,
    );
    unit.add("gitops/argocd/application.yaml", planned.origin, context);
}

/// The namespace of an Application. Manifests name theirs themselves, but the project lets no
/// Application in that names none.
fn namespace(rendered: &RenderedUnit) -> &str {
    let mut namespaces = rendered
        .manifests
        .iter()
        .filter_map(|manifest| manifest.namespace());
    namespaces.next().unwrap_or("default")
}

fn add_chart(
    unit: &mut Unit,
    model: &Model,
    rendered: &RenderedUnit,
    rendered_chart: &RenderedChart,
) {
    let chart = &rendered_chart.chart;
    let source = json!({
        // Argo CD wants a registry without its scheme.
        "repoURL": chart.repository.trim_start_matches("oci://"),
        "chart": chart.name,
        "targetRevision": chart.version,
        "helm": { "releaseName": chart.release, "valuesObject": rendered_chart.values },
    });
    let cluster = &model.clusters[rendered.unit.cluster].name;
    let name = format!("{cluster}-chart-{}", chart.release);
    let context = application(
        model,
        rendered,
        &name,
        &source,
        &chart.namespace,
        &chart.live_fields,
    );
    unit.add(
        "gitops/argocd/application.yaml",
        chart.values.origin,
        context,
    );
}

fn application(
    model: &Model,
    rendered: &RenderedUnit,
    name: &str,
    source: &Value,
    namespace: &str,
    live_fields: &[LiveField],
) -> Value {
    let differences: Vec<_> = live_fields
        .iter()
        .map(|field| {
            let mut difference = json!({
                "group": field.group,
                "kind": field.kind,
                "jsonPointers": field.pointers,
            });
            if let Some(name) = &field.name {
                difference["name"] = name.as_str().into();
            }
            difference
        })
        .collect();
    json!({
        "name": name,
        "namespace": model.gitops.namespace,
        "project": project(model),
        "wave": (rendered.unit.wave as u8).to_string(),
        "source": source,
        "destination": destination(model, rendered.unit.cluster),
        "destinationNamespace": namespace,
        "ignoreDifferences": differences,
    })
}

/// The project with what it may touch, the Application above the others of each cluster, and the
/// setting that makes waves wait.
fn above(model: &Model, units: &[&RenderedUnit], engine: ClusterIndex) -> Unit {
    let mut unit = bootstrap(engine, &model.clusters[engine]);
    let origin = model.gitops.location;
    let targets: Vec<_> = (0..model.clusters.len())
        .filter(|target| engine_of(model, *target) == engine)
        .collect();
    let ours = |rendered: &&RenderedUnit| targets.contains(&rendered.unit.cluster);
    let mut repositories = BTreeSet::from([model.gitops.repository.as_str()]);
    let mut namespaces: BTreeMap<ClusterIndex, BTreeSet<&str>> = BTreeMap::new();
    let mut cluster_kinds: BTreeSet<(&str, &str)> = BTreeSet::from(CHART_KINDS);
    for rendered in units.iter().copied().filter(ours) {
        let namespaces = namespaces.entry(rendered.unit.cluster).or_default();
        for chart in &rendered.charts {
            repositories.insert(chart.chart.repository.trim_start_matches("oci://"));
            namespaces.insert(&chart.chart.namespace);
            // Charts bind roles of the API server's own, which are there.
            namespaces.insert("kube-system");
        }
        namespaces.insert(namespace(rendered));
        for manifest in &rendered.manifests {
            match manifest.namespace() {
                Some(namespace) => {
                    namespaces.insert(namespace);
                }
                None => {
                    cluster_kinds.insert((manifest.group(), manifest.kind()));
                }
            }
        }
    }
    namespaces
        .entry(engine)
        .or_default()
        .insert(&model.gitops.namespace);
    let destinations: Vec<_> = namespaces
        .iter()
        .flat_map(|(target, namespaces)| {
            namespaces.iter().map(
                |namespace| json!({ "name": destination(model, *target), "namespace": namespace }),
            )
        })
        .collect();
    let kinds: Vec<_> = cluster_kinds
        .iter()
        .map(|(group, kind)| json!({ "group": group, "kind": kind }))
        .collect();
    unit.add(
        "gitops/argocd/app-project.yaml",
        origin,
        json!({
            "name": project(model),
            "namespace": model.gitops.namespace,
            "cloud": model.name,
            "repositories": repositories,
            "destinations": destinations,
            "clusterKinds": kinds,
        }),
    );
    for target in targets {
        let cluster = &model.clusters[target];
        let folder = format!(
            "gitops/{}/{}/applications",
            model.clusters[engine].name, cluster.name
        );
        unit.add(
            "gitops/argocd/root-application.yaml",
            cluster.location,
            json!({
                "name": format!("{}-{}", model.name, cluster.name),
                "namespace": model.gitops.namespace,
                "project": project(model),
                "repository": model.gitops.repository,
                "revision": model.gitops.revision,
                "path": path(model, &folder),
            }),
        );
    }
    unit.add(
        "gitops/argocd/application-health.yaml",
        origin,
        json!({ "namespace": model.gitops.namespace }),
    );
    unit
}

/// How the hub's Argo CD reaches another cluster.
pub(super) fn credentials<'a>(model: &'a Model, cluster: &Cluster) -> Target<'a> {
    let config = json!({
        "bearerToken": TOKEN,
        "tlsClientConfig": { "caData": "{{ .ca | b64enc }}" },
    });
    Target {
        name: format!("cluster-{}", cluster.name),
        namespace: &model.gitops.namespace,
        labels: json!({ "argocd.argoproj.io/secret-type": "cluster" }),
        annotations: json!({}),
        data: json!({
            "name": cluster.name,
            "server": cluster.api_server,
            "config": config.to_string(),
        }),
    }
}
