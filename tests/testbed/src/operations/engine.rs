//! The part of an engine: what is pushed is applied, what is gone is pruned, and what a Deployment runs
//! is started again when its template changes.

use super::{SOON, SOURCE, Site};
use crate::admiralty;
use crate::apply::{Applier, manifests};
use crate::cluster::Cluster;
use crate::deployment;
use crate::hybrid::{RECONCILER, RECONCILER_NAMESPACE, install_order, replica_name, run_replica};
use crate::wait_for;
use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const AGENT: &str = "admiralty-agent";
const CANDIDATES: &str = "admiralty-candidate-scheduler";
const PROXY: &str = "admiralty-proxy-scheduler";

/// What is applied to a cluster: group, kind, namespace and name.
pub(super) type Identity = (String, String, String, String);

impl Site {
    /// What the engine does when something was pushed.
    pub(super) async fn deliver(&mut self) -> Result<()> {
        let remote = self.bash("git remote get-url origin").await?;
        let look = format!(
            "git --git-dir {} rev-parse -q --verify main || true",
            remote.trim()
        );
        let commit = self.bash(&look).await?;
        if commit == self.commit || commit.trim().is_empty() {
            return Ok(());
        }
        let tree = self.testbed.folder().join("tree");
        let _ = fs::remove_dir_all(&tree);
        fs::create_dir_all(&tree)?;
        let get = format!(
            "git --git-dir {} archive main generated | tar x -C {}",
            remote.trim(),
            tree.display()
        );
        self.bash(&get).await?;
        let tree = tree.join("generated");
        for entry in fs::read_dir(tree.join("clusters"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            self.deliver_to(&tree, &name)
                .await
                .with_context(|| format!("delivering to {name}"))?;
        }
        self.commit = commit;
        Ok(())
    }

    async fn deliver_to(&mut self, tree: &Path, name: &str) -> Result<()> {
        let cluster = self.testbed.cluster(name);
        let applier = Applier::new(cluster);
        let mut objects: Vec<_> = manifests(&tree.join("clusters").join(name))?
            .into_iter()
            .map(|(_, object)| object)
            // Jobs of the spec would take room at times of their own, and tests make some like them.
            .filter(|object| object["kind"] != "Job")
            .collect();
        objects.sort_by_key(|object| install_order(object["kind"].as_str().unwrap_or_default()));
        let is_namespace = |object: &&Value| object["kind"] == "Namespace";
        for object in objects.iter().filter(is_namespace) {
            applier.apply(object).await?;
        }
        if !self.delivered.contains_key(name) {
            let values = chart_values(tree, name)?;
            self.admiralty.install(cluster, &values).await?;
        }
        let before = self.delivered.remove(name).unwrap_or_default();
        let mut now = BTreeMap::new();
        for object in objects {
            if object["kind"] != "Namespace" && !is_left_alone(&applier, &object).await? {
                applier.apply(&object).await?;
            }
            now.insert(identity(&object), object);
        }
        for (_, object) in before
            .iter()
            .filter(|(identity, _)| !now.contains_key(*identity))
        {
            let options = object["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
                .as_str()
                .unwrap_or_default();
            if !options.contains("Prune=false") {
                let (api, name) = applier.api(object).await?;
                match api.delete(&name, &DeleteParams::background()).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    result => drop(result?),
                }
            }
        }
        self.delivered.insert(name.to_owned(), now);
        Ok(())
    }

    /// Starts what the Deployments run, and starts it again where a template changed, or, as Admiralty's
    /// restarter does, where targets or their Secrets did. Files that are mounted are brought up to date.
    pub(super) async fn settle(&mut self) -> Result<()> {
        let mut names: Vec<_> = self.delivered.keys().cloned().collect();
        // Targets first: the agent of the source looks for them.
        names.sort_by_key(|name| name == SOURCE);
        for name in names {
            let cluster = self.testbed.cluster(&name);
            if name == SOURCE {
                self.wait_for_targets().await?;
            }
            let targets = targets(cluster).await?;
            let agent = template(
                cluster,
                admiralty::NAMESPACE,
                "admiralty-controller-manager",
            )
            .await?;
            if is_new(&mut self.running, &name, AGENT, format!("{agent}{targets}")) {
                let _ = cluster.stop(AGENT);
                self.admiralty.run_agent(cluster).await?;
            }
            let schedulers: &[&'static str] = if name == SOURCE {
                &[CANDIDATES, PROXY]
            } else {
                &[CANDIDATES]
            };
            for &scheduler in schedulers {
                let mut template = template(cluster, admiralty::NAMESPACE, scheduler).await?;
                if scheduler == PROXY {
                    template.push_str(&targets);
                }
                if is_new(&mut self.running, &name, scheduler, template) {
                    let _ = cluster.stop(scheduler);
                    self.admiralty.run_scheduler(cluster, scheduler).await?;
                }
            }
            if name == SOURCE {
                self.settle_reconciler().await?;
            }
        }
        Ok(())
    }

    /// Looks again at what is mounted and what targets there are, as kubelets and Admiralty's restarter do.
    ///
    /// # Errors
    /// Where something does not start.
    pub async fn refresh(&mut self) -> Result<()> {
        self.settle().await
    }

    async fn settle_reconciler(&mut self) -> Result<()> {
        let binary = self.binary.clone();
        let template = template(self.source(), RECONCILER_NAMESPACE, RECONCILER).await?;
        // Reads what is mounted and writes it to files, as a kubelet does.
        let program =
            deployment::program(self.source(), RECONCILER_NAMESPACE, RECONCILER, binary).await?;
        if is_new(&mut self.running, SOURCE, RECONCILER, template) {
            for replica in 0..2 {
                let _ = self.source().stop(&replica_name(replica));
                run_replica(self.source(), replica, program.clone())?;
            }
        }
        Ok(())
    }

    /// Starts the reconciler when it is next looked after, since it is gone.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn lose_reconciler(&mut self) -> Result<()> {
        for replica in 0..2 {
            self.source().stop(&replica_name(replica))?;
        }
        self.running.remove(&(SOURCE.to_owned(), RECONCILER));
        Ok(())
    }

    /// Admiralty's agent does not start before the Secrets of its targets are there.
    async fn wait_for_targets(&self) -> Result<()> {
        let source = self.source();
        wait_for("the Secrets of the targets", SOON, async || {
            let secrets: Api<Secret> = Api::namespaced(source.client.clone(), admiralty::NAMESPACE);
            let there: BTreeSet<_> = secrets
                .list(&ListParams::default())
                .await?
                .items
                .into_iter()
                .filter_map(|secret| secret.metadata.name)
                .collect();
            let names = cluster_targets(source).await?;
            let mut remote = names.iter().filter(|name| *name != SOURCE);
            Ok(remote.all(|name| there.contains(&format!("target-{name}"))))
        })
        .await
    }
}

/// Whether a program runs by something else than this, or not yet; from now on it does.
fn is_new(
    running: &mut BTreeMap<(String, &'static str), String>,
    cluster: &str,
    program: &'static str,
    by: String,
) -> bool {
    let before = running.insert((cluster.to_owned(), program), by.clone());
    before != Some(by)
}

fn identity(object: &Value) -> Identity {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = text(&object["apiVersion"]);
    (
        version
            .split_once('/')
            .map(|(group, _)| group.to_owned())
            .unwrap_or_default(),
        text(&object["kind"]),
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
    )
}

/// What an engine does not write again once it is there: virtual nodes, and what the reconciler writes.
async fn is_left_alone(applier: &Applier<'_>, object: &Value) -> Result<bool> {
    let is_live = match object["kind"].as_str() {
        Some("Node" | "Lease") => true,
        Some("ConfigMap") => object["metadata"]["name"] == "hcb-status",
        _ => false,
    };
    if !is_live {
        return Ok(false);
    }
    let (api, name) = applier.api(object).await?;
    Ok(api.get_opt(&name).await?.is_some())
}

fn chart_values(tree: &Path, cluster: &str) -> Result<Value> {
    let name = format!("{cluster}-chart-admiralty");
    let found = manifests(&tree.join("gitops"))?
        .into_iter()
        .find(|(_, object)| {
            object["kind"] == "Application" && object["metadata"]["name"] == name.as_str()
        });
    let (_, application) = found.with_context(|| format!("the Application {name}"))?;
    Ok(application["spec"]["source"]["helm"]["valuesObject"].clone())
}

/// The template of a Deployment's pods, as text.
async fn template(cluster: &Cluster, namespace: &str, name: &str) -> Result<String> {
    let api: Api<k8s_openapi::api::apps::v1::Deployment> =
        Api::namespaced(cluster.client.clone(), namespace);
    let deployment = api
        .get(name)
        .await
        .with_context(|| format!("{name} in {}", cluster.name))?;
    Ok(serde_json::to_string(
        &deployment.spec.map(|spec| spec.template),
    )?)
}

async fn cluster_targets(cluster: &Cluster) -> Result<Vec<String>> {
    let path = "/apis/multicluster.admiralty.io/v1alpha1/clustertargets";
    let list: Value = cluster.client.request(crate::access::get(path)?).await?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let names = items
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned));
    Ok(names.collect())
}

/// The targets of a cluster with what their Secrets hold: what Admiralty's restarter goes by.
async fn targets(cluster: &Cluster) -> Result<String> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), admiralty::NAMESPACE);
    let mut text = String::new();
    for name in cluster_targets(cluster).await? {
        let secret = secrets.get_opt(&format!("target-{name}")).await?;
        let data = secret.and_then(|secret| secret.data);
        text.push_str(&name);
        text.push_str(&serde_json::to_string(&data)?);
    }
    Ok(text)
}
