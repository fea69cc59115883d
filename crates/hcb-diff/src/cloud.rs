//! What a tree says of the whole: its clusters, and where its workloads may run.
//!
//! It is read from the reconciler's configuration in the tree, so a committed tree can be asked
//! as well as a spec.

use crate::kinds;
use crate::read::{Object, Side, objects};
use hcb_api::config::Pool;
use hcb_api::config::ReconcilerConfig;
use hcb_api::names::{CONFIG_KEY, RECONCILER, SYSTEM_NAMESPACE};

use hcb_api::node_pool::fits_empty;
use hcb_api::pod_spec::requirements_of_template;
use hcb_api::requirements::PodRequirements;
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The clusters and workloads of a tree.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    /// What the reconciler goes by.
    pub config: ReconcilerConfig,
    /// The workloads, where they were asked for.
    pub workloads: Vec<WorkloadPlacement>,
}

/// A workload with where it may run.
#[derive(Debug, Clone)]
pub(crate) struct WorkloadPlacement {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What a pod asks of a cluster.
    pub shape: PodRequirements,
    /// The clusters that it may run in and that have a node on which it fits, in their order.
    pub clusters: Vec<String>,
}

/// The clusters that have a folder in a tree.
pub(crate) fn clusters(side: &Side) -> BTreeSet<String> {
    let cluster = |path: &String| {
        let rest = path.strip_prefix("clusters/")?;
        Some(rest.split_once('/')?.0.to_owned())
    };
    side.files.keys().filter_map(cluster).collect()
}

/// Reads both sides. Workloads are read only where something that places them differs: most changes
/// have nothing to do with it, and there may be thousands.
pub(crate) fn read(before: &Side, after: &Side) -> [Option<Cloud>; 2] {
    let decides =
        |path: &str| is_config(path) || is_workload(path) || path.contains("/resourcequota-");
    let changed = |one: &Side, other: &Side| {
        let mut files = one.files.iter();
        files.any(|(path, bytes)| decides(path) && other.files.get(path) != Some(bytes))
    };
    let with_workloads = changed(before, after) || changed(after, before);
    [before, after].map(|side| {
        let config = config(side)?;
        let workloads = if with_workloads {
            workloads(side, &config)
        } else {
            Vec::new()
        };
        Some(Cloud { config, workloads })
    })
}

fn is_config(path: &str) -> bool {
    path.starts_with("clusters/")
        && path.ends_with(&format!(
            "/reconciler/{SYSTEM_NAMESPACE}/configmap-{RECONCILER}.yaml"
        ))
}

fn is_workload(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    path.starts_with("clusters/")
        && path.contains("/workloads/")
        && (file.starts_with("job-") || file.starts_with("cronjob-"))
}

fn config(side: &Side) -> Option<ReconcilerConfig> {
    let (path, bytes) = side.files.iter().find(|(path, _)| is_config(path))?;
    let (objects, _) = objects(side, path, bytes);
    let data = objects.first()?.value.get("data")?;
    let text = data.get(CONFIG_KEY)?.as_str()?;
    let mut sources = Sources::default();
    let file = sources.add(path.as_str(), text);
    // One that this hcb does not understand is none: then nothing is said of clusters and costs.
    ReconcilerConfig::read(file, text, &mut Diagnostics::default())
}

fn workloads(side: &Side, config: &ReconcilerConfig) -> Vec<WorkloadPlacement> {
    let files: Vec<_> = side
        .files
        .iter()
        .filter(|(path, _)| is_workload(path))
        .collect();
    files
        .par_iter()
        .flat_map_iter(|(path, bytes)| objects(side, path, bytes).0)
        .filter_map(|object| placed(&object, config))
        .collect()
}

fn placed(object: &Object, config: &ReconcilerConfig) -> Option<WorkloadPlacement> {
    let spec = match object.group_kind() {
        kinds::JOB => object.value.get("spec")?,
        kinds::CRON_JOB => object.value.pointer("/spec/jobTemplate/spec")?,
        _ => return None,
    };
    let names: Vec<_> = config.clusters.iter().map(|c| c.name.clone()).collect();
    let shape = requirements_of_template(spec.get("template")?, &names)?;
    let fits = |pools: &[Pool]| pools.iter().any(|pool| fits_empty(pool, &shape));
    let clusters = config
        .clusters
        .iter()
        .filter(|cluster| shape.clusters.contains(&cluster.name) && fits(&cluster.pools))
        .map(|cluster| cluster.name.clone())
        .collect();
    Some(WorkloadPlacement {
        namespace: object.namespace().to_owned(),
        name: object.known_as().to_owned(),
        shape,
        clusters,
    })
}

impl Cloud {
    /// The cluster of this name.
    pub(crate) fn cluster(&self, name: &str) -> Option<&hcb_api::config::Cluster> {
        self.config
            .clusters
            .iter()
            .find(|cluster| cluster.name == name)
    }

    /// The share of a cluster among those of its tier, in percent.
    pub(crate) fn share(&self, name: &str) -> Option<f64> {
        let cluster = self.cluster(name)?;
        let tier = self
            .config
            .clusters
            .iter()
            .filter(|peer| peer.tier == cluster.tier);
        let sum: u32 = tier.map(|peer| peer.weight).sum();
        (sum > 0).then(|| f64::from(cluster.weight) / f64::from(sum) * 100.0)
    }

    /// The workloads by namespace and name.
    pub(crate) fn by_name(&self) -> BTreeMap<(&str, &str), &WorkloadPlacement> {
        self.workloads
            .iter()
            .map(|workload| {
                (
                    (workload.namespace.as_str(), workload.name.as_str()),
                    workload,
                )
            })
            .collect()
    }
}
