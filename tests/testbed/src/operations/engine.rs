//! The part of an engine: what is pushed is applied, what is gone is pruned, and what a Deployment runs
//! is started again when its template changes.

use super::{SOURCE, Site};
use crate::access::{client, get};
use crate::admiralty;
use crate::apply::{Applier, manifests};
use crate::cluster::Cluster;
use crate::deployment;
use crate::hybrid::{RECONCILER, RECONCILER_NAMESPACE, install_order, replica_name, run_replica};
use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const AGENT: &str = "admiralty-agent";
const CANDIDATES: &str = "admiralty-candidate-scheduler";
const PROXY: &str = "admiralty-proxy-scheduler";

/// What is applied to a cluster: group, kind, namespace and name.
pub(super) type Identity = (String, String, String, String);

impl Site {
    /// What the engine does all the time: what was pushed is applied to every cluster that the hub has a
    /// root Application of and may go to, and what was deleted by hand is there again.
    pub(super) async fn deliver(&mut self) -> Result<()> {
        let Some(tree) = self.fetch().await? else {
            return Ok(());
        };
        let mut names = self.roots(&tree).await?;
        names.sort_by_key(|name| name != SOURCE);
        for name in names {
            let Some(client) = self.engine_client(&name).await? else {
                // Its credentials are not in the store yet.
                continue;
            };
            let done = if self.commits.get(&name) == Some(&self.commit) {
                self.heal(&name, client).await
            } else {
                self.deliver_to(&tree, &name, client).await
            };
            done.with_context(|| format!("delivering to {name}"))?;
        }
        Ok(())
    }

    /// The tree of the newest commit; none where nothing was pushed yet.
    async fn fetch(&mut self) -> Result<Option<PathBuf>> {
        let tree = self.testbed.folder().join("tree");
        let script =
            "git --git-dir $(git remote get-url origin) rev-parse -q --verify main || true";
        let commit = self.bash(script).await?.trim().to_owned();
        if commit.is_empty() && self.commit.is_empty() {
            return Ok(None);
        }
        // A repository that is lost changes nothing in the clusters.
        if !commit.is_empty() && commit != self.commit {
            let _ = fs::remove_dir_all(&tree);
            fs::create_dir_all(&tree)?;
            let get = format!(
                "git --git-dir $(git remote get-url origin) archive main generated | tar x -C {}",
                tree.display()
            );
            self.bash(&get).await?;
            self.commit = commit;
        }
        Ok(Some(tree.join("generated")))
    }

    /// The clusters whose root Application is in the hub and finds its path in the tree.
    async fn roots(&self, tree: &Path) -> Result<Vec<String>> {
        let path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
        let list: Value = self.source().client.request(get(path)?).await?;
        let prefix = format!("generated/gitops/{SOURCE}/");
        let names = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| {
                let path = item["spec"]["source"]["path"].as_str()?;
                path.strip_prefix(&prefix)?.strip_suffix("/applications")
            });
        let there = names.filter(|name| tree.join("clusters").join(name).is_dir());
        Ok(there.map(str::to_owned).collect())
    }

    /// A client by the credentials that the hub has; none as long as it has none.
    async fn engine_client(&self, name: &str) -> Result<Option<kube::Client>> {
        let cluster = self.testbed.cluster(name);
        if name == SOURCE {
            return Ok(Some(cluster.client.clone()));
        }
        let secrets: Api<Secret> = Api::namespaced(self.source().client.clone(), "argocd");
        let secret = secrets.get_opt(&format!("cluster-{name}")).await?;
        let Some(data) = secret.and_then(|secret| secret.data) else {
            return Ok(None);
        };
        let text = |key: &str| data.get(key).map(|value| String::from_utf8_lossy(&value.0));
        let server = text("server").context("a server")?;
        anyhow::ensure!(
            server == cluster.server,
            "{server} is not {}",
            cluster.server
        );
        let config: Value = serde_json::from_str(&text("config").context("a configuration")?)?;
        let token = config["bearerToken"].as_str().context("a token")?;
        let kubeconfig = cluster.token_kubeconfig("engine", token)?;
        let client = client(kubeconfig.to_str().context("a path in UTF-8")?).await?;
        // A token that is being replaced is one of no use.
        match client.request_text(get("/version")?).await {
            Err(kube::Error::Api(status)) if status.code == 401 => Ok(None),
            result => result.map(|_| Some(client)).map_err(Into::into),
        }
    }

    /// Applies again what was deleted by hand, as an engine that heals does.
    async fn heal(&self, name: &str, client: kube::Client) -> Result<()> {
        let applier = Applier::by(self.testbed.cluster(name), client);
        let delivered = self.delivered.get(name).into_iter().flatten();
        for (_, object) in delivered {
            if matches!(object["kind"].as_str(), Some("Secret" | "Deployment")) {
                let (api, name) = applier.api(object).await?;
                if api.get_opt(&name).await?.is_none() {
                    applier.apply(object).await?;
                }
            }
        }
        Ok(())
    }

    /// The Applications of a cluster go to the hub, if its project lets them go where they want.
    async fn deliver_applications(&self, tree: &Path, name: &str) -> Result<()> {
        let hub = Applier::new(self.source());
        let folder = tree
            .join("gitops")
            .join(SOURCE)
            .join(name)
            .join("applications");
        for (_, application) in manifests(&folder)? {
            let project = application["spec"]["project"].as_str().unwrap_or_default();
            let path =
                format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/{project}");
            let project: Value = self.source().client.request(get(&path)?).await?;
            let wanted = &application["spec"]["destination"];
            let destinations = project["spec"]["destinations"].as_array();
            let is_allowed = destinations.is_some_and(|allowed| {
                allowed.iter().any(|one| {
                    one["name"] == wanted["name"] && one["namespace"] == wanted["namespace"]
                })
            });
            anyhow::ensure!(is_allowed, "the project does not allow {wanted}");
            hub.apply(&application).await?;
        }
        Ok(())
    }

    async fn deliver_to(&mut self, tree: &Path, name: &str, client: kube::Client) -> Result<()> {
        self.deliver_applications(tree, name).await?;
        let cluster = self.testbed.cluster(name);
        let applier = Applier::by(cluster, client);
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
        self.commits.insert(name.to_owned(), self.commit.clone());
        Ok(())
    }

    /// Starts what the Deployments run, and starts it again where a template changed, or, as Admiralty's
    /// restarter does, where targets or their Secrets did. Files that are mounted are brought up to date.
    pub(super) async fn settle(&mut self) -> Result<()> {
        self.restart_what_ended()?;
        let mut names: Vec<_> = self.delivered.keys().cloned().collect();
        // Targets first: the agent of the source looks for them.
        names.sort_by_key(|name| name == SOURCE);
        for name in names {
            let cluster = self.testbed.cluster(&name);
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

    /// Starts again what ended by itself, as kubelets do. Admiralty's agent does at times: it fills a map
    /// of all clients' while the first of them read it.
    pub(super) fn restart_what_ended(&self) -> Result<()> {
        for cluster in &self.testbed.clusters {
            for process in cluster.processes().iter_mut() {
                if !process.is_running() {
                    let name = &process.program.name;
                    crate::say(&format!(
                        "{name} of {} ended, and starts again",
                        cluster.name
                    ));
                    process.resume()?;
                }
            }
        }
        Ok(())
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

    /// Loses the reconciler: its replicas, and the Deployment that would start them again.
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn lose_reconciler(&mut self) -> Result<()> {
        let deployments: Api<Deployment> =
            Api::namespaced(self.source().client.clone(), RECONCILER_NAMESPACE);
        let options = DeleteParams::background();
        deployments.delete(RECONCILER, &options).await?;
        for replica in 0..2 {
            self.source().stop(&replica_name(replica))?;
        }
        self.running.remove(&(SOURCE.to_owned(), RECONCILER));
        Ok(())
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
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
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
    let list: Value = cluster.client.request(get(path)?).await?;
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
