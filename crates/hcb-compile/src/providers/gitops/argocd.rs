//! Argo CD: an `AppProject`, an Application a unit and a chart, and one above them for each cluster.
//!
//! Sources: the CRDs of argoproj/argo-cd 3, and its user guide on sync waves, sync options and
//! diffing. Live fields need all three of `ignoreDifferences`, `RespectIgnoreDifferences` and
//! `ServerSideApply`; without the last, values were seen to be reverted.

use super::delivery::{bootstrap, delivery, engine_of, engines, path};
use crate::access::{TOKEN, Target};
use crate::rendered::{RenderedChart, RenderedUnit, by_cluster};
use crate::unit::{Chart, LiveField, Unit, Wave};
use hcb_spec::model::{Cluster, ClusterIndex, Model};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

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

/// Argo CD.
pub(super) struct ArgoCd;

impl super::interface::GitOps for ArgoCd {
    fn units(&self, model: &Model, units: &[&RenderedUnit]) -> Vec<Unit> {
        let of_clusters = by_cluster(model, units.iter().copied());
        let of_clusters = of_clusters.par_iter().enumerate();
        let (mut planned, reaches): (Vec<_>, Vec<_>) = of_clusters
            .map(|(target, units)| (applications(model, target, units), Reach::of(units)))
            .unzip();
        let engines = engines(model).into_iter();
        planned.extend(engines.map(|engine| above(model, &reaches, engine)));
        planned
    }

    fn credentials<'a>(&self, model: &'a Model, cluster: &Cluster) -> Target<'a> {
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
}

/// The Applications of what a cluster gets.
fn applications(model: &Model, target: ClusterIndex, units: &[&RenderedUnit]) -> Unit {
    let location = model.clusters[target].location;
    let mut unit = delivery(model, target, "applications", Wave::Foundation, location);
    for rendered in units {
        for chart in &rendered.charts {
            add_chart(&mut unit, model, rendered, chart);
        }
        if !rendered.manifests.is_empty() {
            add_manifests(&mut unit, model, rendered);
        }
    }
    unit
}

/// The name of a cluster for Argo CD: that in which it runs has a name of its own.
fn destination(model: &Model, target: ClusterIndex) -> &str {
    if engine_of(model, target) == target {
        "in-cluster"
    } else {
        &model.clusters[target].name
    }
}

/// The repository of a chart. Argo CD wants a registry without its scheme.
fn repository(chart: &Chart) -> &str {
    chart.repository.trim_start_matches("oci://")
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
        "repoURL": repository(chart),
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

/// What the Applications of a cluster touch.
#[derive(Default)]
struct Reach<'a> {
    repositories: BTreeSet<&'a str>,
    namespaces: BTreeSet<&'a str>,
    /// Groups and kinds of what belongs to no namespace.
    cluster_kinds: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Reach<'a> {
    fn of(units: &[&'a RenderedUnit]) -> Self {
        let mut reach = Self::default();
        for rendered in units {
            for chart in &rendered.charts {
                reach.repositories.insert(repository(&chart.chart));
                reach.namespaces.insert(&chart.chart.namespace);
                // Charts bind roles of the API server's own, which are there.
                reach.namespaces.insert("kube-system");
            }
            reach.namespaces.insert(namespace(rendered));
            for manifest in &rendered.manifests {
                if let Some(namespace) = manifest.namespace() {
                    reach.namespaces.insert(namespace);
                } else {
                    let kind = (manifest.group(), manifest.kind());
                    reach.cluster_kinds.insert(kind);
                }
            }
        }
        reach
    }
}

/// The project with what it may touch, the Application above the others of each cluster, and the
/// setting that makes waves wait. What the Applications of each cluster touch is told by the cluster's index.
fn above(model: &Model, reaches: &[Reach<'_>], engine: ClusterIndex) -> Unit {
    let mut unit = bootstrap(engine, &model.clusters[engine]);
    let origin = model.gitops.location;
    let targets: Vec<_> = (0..model.clusters.len())
        .filter(|target| engine_of(model, *target) == engine)
        .collect();
    let mut repositories = BTreeSet::from([model.gitops.repository.as_str()]);
    let mut cluster_kinds = BTreeSet::from(CHART_KINDS);
    let mut destinations = Vec::new();
    for &target in &targets {
        let reach = &reaches[target];
        repositories.extend(&reach.repositories);
        cluster_kinds.extend(&reach.cluster_kinds);
        let mut namespaces = reach.namespaces.clone();
        if target == engine {
            namespaces.insert(&model.gitops.namespace);
        }
        let name = destination(model, target);
        let namespaces = namespaces.into_iter();
        destinations
            .extend(namespaces.map(|namespace| json!({ "name": name, "namespace": namespace })));
    }
    let kinds: Vec<_> = cluster_kinds
        .iter()
        .map(|(group, kind)| json!({ "group": group, "kind": kind }))
        .collect();
    let mut context = json!({
        "name": project(model),
        "namespace": model.gitops.namespace,
        "cloud": model.name,
        "repositories": repositories,
        "clusterKinds": kinds,
    });
    // Those of a thousand clusters are moved, not copied.
    context["destinations"] = Value::Array(destinations);
    unit.add("gitops/argocd/app-project.yaml", origin, context);
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
