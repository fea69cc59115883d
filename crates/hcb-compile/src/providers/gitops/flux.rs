//! Flux: a `GitRepository`, a Kustomization a unit, and `HelmReleases` with their sources.
//!
//! Sources: the CRDs of fluxcd's source-, kustomize- and helm-controller, and their documentation.
//! A `HelmRelease` can wait for `HelmReleases` only, so those of a unit are in a folder that a
//! Kustomization applies, which can wait for Kustomizations.

use super::delivery::{bootstrap, delivery, engine_of, engines, path};
use crate::access::{Target, kubeconfig};
use crate::rendered::{RenderedChart, RenderedUnit, by_cluster};
use crate::unit::{LiveField, Unit, Wave};
use hcb_spec::model::{Cluster, ClusterIndex, Model};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Flux.
pub(super) struct Flux;

impl super::interface::GitOps for Flux {
    fn units(&self, model: &Model, units: &[&RenderedUnit]) -> Vec<Unit> {
        let of_clusters = by_cluster(model, units.iter().copied());
        let of_clusters = of_clusters.par_iter().enumerate();
        let mut planned: Vec<_> = of_clusters
            .flat_map_iter(|(target, units)| kustomizations(model, target, units))
            .collect();
        planned.extend(
            engines(model)
                .into_iter()
                .map(|engine| above(model, engine)),
        );
        planned
    }

    fn credentials<'a>(&self, model: &'a Model, cluster: &Cluster) -> Target<'a> {
        Target {
            name: kubeconfig_secret(&cluster.name),
            namespace: &model.gitops.namespace,
            // What waits for it goes on as soon as it is there, and takes over a new token at once.
            labels: json!({ "reconcile.fluxcd.io/watch": "Enabled" }),
            annotations: json!({}),
            // The key that Flux reads unless told otherwise.
            data: json!({ "value": kubeconfig(cluster) }),
        }
    }
}

/// The Kustomizations of what a cluster gets, and the charts that some of them are of.
fn kustomizations(model: &Model, target: ClusterIndex, units: &[&RenderedUnit]) -> Vec<Unit> {
    let mut planned = Vec::new();
    let location = model.clusters[target].location;
    let mut unit = delivery(model, target, "kustomizations", Wave::Foundation, location);
    let waves = waves(model, units);
    for rendered in units {
        let before = waves.range(..rendered.unit.wave).next_back();
        let before = before.map_or(&[][..], |(_, names)| names);
        if !rendered.charts.is_empty() {
            add_kustomization(&mut unit, model, rendered, Part::Charts, before);
            planned.push(charts(model, rendered));
        }
        if !rendered.manifests.is_empty() {
            add_kustomization(&mut unit, model, rendered, Part::Manifests, before);
        }
    }
    planned.push(unit);
    planned
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Charts,
    Manifests,
}

fn name(model: &Model, rendered: &RenderedUnit, part: Part) -> String {
    let cluster = &model.clusters[rendered.unit.cluster].name;
    match part {
        Part::Charts => format!("{cluster}-{}-charts", rendered.unit.name),
        Part::Manifests => format!("{cluster}-{}", rendered.unit.name),
    }
}

/// The Kustomizations of each wave that the next one waits for.
fn waves(model: &Model, units: &[&RenderedUnit]) -> BTreeMap<Wave, Vec<String>> {
    let mut waves: BTreeMap<Wave, Vec<String>> = BTreeMap::new();
    for rendered in units.iter().filter(|rendered| rendered.unit.awaited) {
        let names = waves.entry(rendered.unit.wave).or_default();
        if !rendered.charts.is_empty() {
            names.push(name(model, rendered, Part::Charts));
        }
        if !rendered.manifests.is_empty() {
            names.push(name(model, rendered, Part::Manifests));
        }
    }
    waves
}

/// The Secret with the kubeconfig of a remote cluster.
fn kubeconfig_secret(cluster: &str) -> String {
    format!("cluster-{cluster}")
}

/// The kubeconfig that a target is applied to with; `null` for the cluster of the engine.
fn kubeconfig_of(model: &Model, target: ClusterIndex) -> Value {
    if engine_of(model, target) == target {
        Value::Null
    } else {
        kubeconfig_secret(&model.clusters[target].name).into()
    }
}

fn add_kustomization(
    unit: &mut Unit,
    model: &Model,
    rendered: &RenderedUnit,
    part: Part,
    before: &[String],
) {
    let planned = &rendered.unit;
    let (folder, kubeconfig) = match part {
        // HelmReleases are objects of the engine's own cluster.
        Part::Charts => (charts_unit(model, rendered).folder(model), Value::Null),
        Part::Manifests => (planned.folder(model), kubeconfig_of(model, planned.cluster)),
    };
    unit.add(
        "gitops/flux/kustomization.yaml",
        planned.origin,
        json!({
            "name": name(model, rendered, part),
            "namespace": model.gitops.namespace,
            "source": source_name(model),
            "path": path(model, &folder),
            "interval": model.gitops.interval,
            "wait": planned.awaited,
            "dependsOn": before,
            "kubeconfig": kubeconfig,
            "ignore": if part == Part::Manifests { ignore(&planned.live_fields) } else { Value::Null },
        }),
    );
}

/// Live fields as rules of a Kustomization or a `HelmRelease`.
fn ignore(live_fields: &[LiveField]) -> Value {
    live_fields
        .iter()
        .map(|field| {
            let mut target = json!({ "kind": field.kind });
            if !field.group.is_empty() {
                target["group"] = field.group.into();
            }
            if let Some(name) = &field.name {
                target["name"] = name.as_str().into();
            }
            json!({ "paths": field.pointers, "target": target })
        })
        .collect()
}

fn source_name(model: &Model) -> String {
    format!("hcb-{}", model.name)
}

/// A unit for the `HelmReleases` of another: objects of the engine's cluster.
fn charts_unit(model: &Model, rendered: &RenderedUnit) -> Unit {
    let planned = &rendered.unit;
    let name = format!("{}-charts", planned.name);
    delivery(model, planned.cluster, name, planned.wave, planned.origin)
}

/// The `HelmReleases` of a unit, with the sources of their charts.
fn charts(model: &Model, rendered: &RenderedUnit) -> Unit {
    let planned = &rendered.unit;
    let cluster = &model.clusters[planned.cluster].name;
    let mut unit = charts_unit(model, rendered);
    for RenderedChart { chart, values } in &rendered.charts {
        let name = format!("{cluster}-{}", chart.release);
        let source = json!({
            "name": name,
            "namespace": model.gitops.namespace,
            "repository": chart.repository,
            "chart": chart.name,
            "version": chart.version,
            "interval": model.gitops.interval,
        });
        let is_oci = chart.repository.starts_with("oci://");
        let template = if is_oci {
            "gitops/flux/oci-repository.yaml"
        } else {
            "gitops/flux/helm-repository.yaml"
        };
        unit.add(template, chart.values.origin, source);
        unit.add(
            "gitops/flux/helm-release.yaml",
            chart.values.origin,
            json!({
                "name": name,
                "namespace": model.gitops.namespace,
                "isOci": is_oci,
                "chart": chart.name,
                "version": chart.version,
                "release": chart.release,
                "targetNamespace": chart.namespace,
                "interval": model.gitops.interval,
                "kubeconfig": kubeconfig_of(model, planned.cluster),
                "ignore": ignore(&chart.live_fields),
                "values": values,
            }),
        );
    }
    unit
}

/// Rules that ignore everything but a folder. A folder cannot be included again below one that is
/// ignored, so the way to it is cleared step by step.
fn all_but(path: &str) -> String {
    let mut rules = String::new();
    let mut above = String::from("/");
    for segment in path.split('/') {
        rules.extend([above.as_str(), "*\n!", &above, segment, "/\n"]);
        above.extend([segment, "/"]);
    }
    rules
}

/// The source of everything, and the Kustomization above the others.
fn above(model: &Model, engine: ClusterIndex) -> Unit {
    let mut unit = bootstrap(engine, &model.clusters[engine]);
    let gitops = &model.gitops;
    // A commit is said in a field of its own.
    let is_commit =
        gitops.revision.len() == 40 && gitops.revision.chars().all(|c| c.is_ascii_hexdigit());
    unit.add(
        "gitops/flux/git-repository.yaml",
        gitops.location,
        json!({
            "name": source_name(model),
            "namespace": gitops.namespace,
            "repository": gitops.repository,
            "revision": gitops.revision,
            "isCommit": is_commit,
            "interval": gitops.interval,
            "credentials": gitops.credentials_secret,
            "ignore": all_but(&gitops.path),
        }),
    );
    for (target, cluster) in model.clusters.iter().enumerate() {
        if engine_of(model, target) != engine {
            continue;
        }
        let folder = format!(
            "gitops/{}/{}/kustomizations",
            model.clusters[engine].name, cluster.name
        );
        unit.add(
            "gitops/flux/kustomization.yaml",
            cluster.location,
            json!({
                "name": format!("{}-{}", model.name, cluster.name),
                "namespace": gitops.namespace,
                "source": source_name(model),
                "path": path(model, &folder),
                "interval": gitops.interval,
                "wait": false,
                "dependsOn": [],
                "kubeconfig": Value::Null,
                "ignore": Value::Null,
            }),
        );
    }
    unit
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_way_to_the_tree_is_cleared_step_by_step() {
        assert_eq!(super::all_but("a/b"), "/*\n!/a/\n/a/*\n!/a/b/\n");
    }
}
