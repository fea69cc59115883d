//! What runs in the clusters as one side of a comparison, and what would run as the other.
//!
//! Each manifest is applied by a server-side dry run, as the engine would apply it; what the API server
//! answers is compared with what it has. So defaults and what admission adds are on both sides and differ
//! on neither, and what the API server refuses is known before it is merged.

use super::side::ComparedSide;
use crate::cli::access::connect;
use anyhow::{Context, bail};
use futures::{StreamExt, stream};
use hcb_api::labels::POOL;
use hcb_diff::Side;
use hcb_diff::read::objects;
use hcb_kubernetes::{GroupKind, Object};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, Discovery, Scope, verbs};
use kube::{Client, ResourceExt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How the clusters are reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach<'a> {
    /// The kubeconfig, where it is not kubectl's.
    pub(super) kubeconfig: Option<&'a Path>,
    /// Contexts of clusters whose context has another name.
    pub(super) contexts: &'a [(String, String)],
}

/// Requests to one API server at the same time.
const AT_ONCE: usize = 8;

/// What an API server answers to a server-side dry run.
enum DryRun {
    /// What it has, and what it would have.
    Accepted(Option<Value>, Value),
    /// What it has, and why it refuses the change.
    Refused(Option<Value>, String),
    /// It does not know the kind or the namespace yet; so nothing is there.
    Unknown(Option<String>),
}

/// The live side, and the side as it would be. Notes say what could not be asked.
pub(super) async fn sides(
    after: &ComparedSide,
    reach: Reach<'_>,
) -> anyhow::Result<(Side, Side, Vec<String>)> {
    let output = after.run.as_ref().and_then(|run| run.output.as_ref());
    let model = &output.context("a spec that compiles")?.model;
    let manager = model.gitops.engine.facts().field_manager;
    let names: Vec<&str> = model
        .clusters
        .iter()
        .map(|cluster| cluster.name.as_str())
        .collect();
    for (cluster, _) in reach.contexts {
        if !names.contains(&cluster.as_str()) {
            let hint =
                hcb_source::diag::suggest(cluster, names.iter().copied()).unwrap_or_default();
            bail!("there is no cluster `{cluster}`; {hint}");
        }
    }
    let mut live = Side {
        name: "the clusters as they are".to_owned(),
        ..Side::default()
    };
    let mut wanted = Side {
        files: BTreeMap::new(),
        ..after.side.clone()
    };
    let mut notes = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        let asked = of_cluster(name, &model.name, manager, after, &reach).await;
        match asked {
            Ok(cluster) => {
                live.files.extend(cluster.live);
                live.in_use.extend(cluster.in_use);
                live.jobs.extend(cluster.jobs);
                wanted.files.extend(cluster.wanted);
                wanted.refusals.extend(cluster.refusals);
                notes.extend(cluster.notes);
            }
            Err(error) => failures.push(format!("  {name}: {error:#}")),
        }
    }
    if !failures.is_empty() {
        bail!(
            "clusters that cannot be asked:\n{}\nA context of the kubeconfig has the name of its cluster, or `--context CLUSTER=CONTEXT` names it",
            failures.join("\n")
        );
    }
    Ok((live, wanted, notes))
}

/// What one cluster answers: what it has, what it would have, and what it refuses.
#[derive(Default)]
struct ClusterState {
    live: BTreeMap<String, Vec<u8>>,
    wanted: BTreeMap<String, Vec<u8>>,
    refusals: BTreeMap<String, String>,
    in_use: BTreeMap<String, u32>,
    jobs: BTreeMap<String, bool>,
    notes: Vec<String>,
}

async fn of_cluster(
    name: &str,
    cloud: &str,
    manager: &str,
    after: &ComparedSide,
    reach: &Reach<'_>,
) -> anyhow::Result<ClusterState> {
    let context = reach.contexts.iter().find(|(cluster, _)| cluster == name);
    let context = context.map_or(name, |(_, context)| context);
    let client = connect(reach.kubeconfig, Some(context)).await?;
    let discovery = Discovery::new(client.clone())
        .run()
        .await
        .context("asking what it serves")?;
    let mine: Vec<_> = after
        .side
        .files
        .iter()
        .filter(|(path, _)| {
            let mut segments = path.split('/');
            // No cluster has what is only submitted.
            segments.next() != Some("submit") && segments.next() == Some(name)
        })
        .collect();
    let mut state = ClusterState::default();
    let mut unknown = BTreeSet::new();
    let answers: Vec<_> = stream::iter(mine)
        .map(|(path, bytes)| {
            let (client, discovery) = (&client, &discovery);
            async move {
                let (found, _) = objects(&after.side, path, bytes);
                let object = found.into_iter().next().map(|object| object.value);
                let answer = match &object {
                    Some(object) => ask(client, discovery, manager, object).await?,
                    None => DryRun::Unknown(None),
                };
                anyhow::Ok((path.clone(), bytes.clone(), object, answer))
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut known = BTreeSet::new();
    for answer in answers {
        let (path, bytes, object, answer) = answer?;
        if let Some(object) = &object {
            known.insert(identity(object));
        }
        let write = |value: Value| hcb_source::yaml::to_string(&cleaned(value)).into_bytes();
        match answer {
            DryRun::Accepted(live, would) => {
                if let Some(live) = live {
                    state.jobs.extend(runs(&path, &live));
                    state.live.insert(path.clone(), write(live));
                }
                state.wanted.insert(path, write(would));
            }
            DryRun::Refused(live, why) => {
                if let Some(live) = live {
                    state.jobs.extend(runs(&path, &live));
                    state.live.insert(path.clone(), write(live));
                }
                state.wanted.insert(path.clone(), bytes);
                state.refusals.insert(path, why);
            }
            DryRun::Unknown(kind) => {
                unknown.extend(kind);
                state.wanted.insert(path, bytes);
            }
        }
    }
    for kind in unknown {
        state.notes.push(format!(
            "{name} does not know {kind} yet: what is said of it is not from the cluster"
        ));
    }
    owned(&client, &discovery, name, cloud, &known, &mut state).await?;
    in_use(&client, name, after, &mut state).await?;
    Ok(state)
}

fn identity(object: &Value) -> (String, String, String, String) {
    let view = Object(object);
    (
        view.group().to_owned(),
        view.kind().to_owned(),
        view.namespace().to_owned(),
        view.name().to_owned(),
    )
}

fn api(
    client: &Client,
    resource: &kube::core::ApiResource,
    capabilities: &ApiCapabilities,
    namespace: &str,
) -> Api<DynamicObject> {
    if capabilities.scope == Scope::Cluster {
        Api::all_with(client.clone(), resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, resource)
    }
}

async fn ask(
    client: &Client,
    discovery: &Discovery,
    manager: &str,
    object: &Value,
) -> anyhow::Result<DryRun> {
    let view = Object(object);
    let (kind, name) = (view.kind(), view.name());
    let gvk = GroupVersionKind::gvk(view.group(), view.version(), kind);
    let Some((resource, capabilities)) = discovery.resolve_gvk(&gvk) else {
        return Ok(DryRun::Unknown(Some(format!(
            "{} {kind}",
            gvk.api_version()
        ))));
    };
    let api = api(client, &resource, &capabilities, view.namespace());
    let live = api
        .get_opt(name)
        .await
        .with_context(|| format!("reading {kind} {name}"))?;
    let live = live.map(serde_json::to_value).transpose()?;
    let parameters = PatchParams {
        dry_run: true,
        force: true,
        field_manager: Some(manager.to_owned()),
        field_validation: Some(ValidationDirective::Strict),
    };
    match api.patch(name, &parameters, &Patch::Apply(object)).await {
        Ok(would) => Ok(DryRun::Accepted(live, serde_json::to_value(would)?)),
        // The namespace comes with the same change.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(DryRun::Unknown(None)),
        Err(kube::Error::Api(status)) => Ok(DryRun::Refused(live, status.message.clone())),
        Err(error) => Err(error).with_context(|| format!("trying {kind} {name}")),
    }
}

/// Whether a Job still runs: it has neither succeeded nor failed.
fn runs(path: &str, object: &Value) -> Option<(String, bool)> {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let has_ended = conditions.into_iter().flatten().any(|condition| {
        matches!(condition["type"].as_str(), Some("Complete" | "Failed"))
            && condition["status"] == "True"
    });
    is_job(object).then(|| (path.to_owned(), !has_ended))
}

/// Whether an object is a Job of Kubernetes.
fn is_job(object: &Value) -> bool {
    Object(object).group_kind() == GroupKind::new("batch", "Job")
}

/// What the API server writes into a Job and its pods, to tell them from those of other Jobs.
const JOB_LABELS: [&str; 4] = [
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
];

/// An object without what the API server and controllers keep in it.
fn cleaned(mut object: Value) -> Value {
    if is_job(&object) {
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.shift_remove("selector");
        }
        for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
            let labels = object.pointer_mut(labels).and_then(Value::as_object_mut);
            if let Some(labels) = labels {
                labels.retain(|label, _| !JOB_LABELS.contains(&label.as_str()));
            }
        }
    }
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in [
                "managedFields",
                "resourceVersion",
                "uid",
                "generation",
                "creationTimestamp",
                "selfLink",
            ] {
                metadata.shift_remove(field);
            }
            if let Some(annotations) = metadata
                .get_mut("annotations")
                .and_then(Value::as_object_mut)
            {
                annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
            }
        }
    }
    object
}

/// What the cluster has of hcb's and the tree does not have. What a controller made for another object
/// goes with that.
async fn owned(
    client: &Client,
    discovery: &Discovery,
    cluster: &str,
    cloud: &str,
    known: &BTreeSet<(String, String, String, String)>,
    state: &mut ClusterState,
) -> anyhow::Result<()> {
    let labels = format!("app.kubernetes.io/managed-by=hcb,app.kubernetes.io/part-of={cloud}");
    let parameters = ListParams::default().labels(&labels);
    let mut kinds = Vec::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if capabilities.supports_operation(verbs::LIST)
                && capabilities.supports_operation(verbs::DELETE)
            {
                kinds.push(resource);
            }
        }
    }
    let lists: Vec<_> = stream::iter(kinds)
        .map(|resource| {
            let (api, parameters) = (
                Api::<DynamicObject>::all_with(client.clone(), &resource),
                &parameters,
            );
            async move { (api.list(parameters).await, resource) }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (list, resource) in lists {
        let list = match list {
            Ok(list) => list,
            // What may not be listed, or answers to no list, is said and left out.
            Err(kube::Error::Api(status)) => {
                state.notes.push(format!(
                    "{cluster}: {} cannot be listed ({}), so nothing is said of those that would be deleted",
                    resource.plural, status.reason
                ));
                continue;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("listing {}", resource.plural));
            }
        };
        for object in list {
            if !object.owner_references().is_empty() {
                continue;
            }
            let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
            let mut value = serde_json::to_value(&object)?;
            value["apiVersion"] = resource.api_version.as_str().into();
            value["kind"] = resource.kind.as_str().into();
            if known.contains(&identity(&value)) {
                continue;
            }
            let folder = if namespace.is_empty() {
                "_cluster"
            } else {
                &namespace
            };
            let path = format!(
                "clusters/{cluster}/live/{folder}/{}-{name}.yaml",
                resource.kind.to_lowercase()
            );
            state.jobs.extend(runs(&path, &value));
            state.live.insert(
                path,
                hcb_source::yaml::to_string(&cleaned(value)).into_bytes(),
            );
        }
    }
    Ok(())
}

/// How many nodes of each pool there are.
async fn in_use(
    client: &Client,
    cluster: &str,
    after: &ComparedSide,
    state: &mut ClusterState,
) -> anyhow::Result<()> {
    let output = after.run.as_ref().and_then(|run| run.output.as_ref());
    let pools = output.and_then(|output| {
        output
            .model
            .clusters
            .iter()
            .find(|found| found.name == cluster)
    });
    let only = pools
        .filter(|cluster| cluster.pools.len() == 1)
        .map(|cluster| cluster.pools[0].name.clone());
    let nodes: Api<Node> = Api::all(client.clone());
    for node in nodes
        .list(&ListParams::default())
        .await
        .context("listing nodes")?
    {
        if node
            .labels()
            .get("type")
            .is_some_and(|kind| kind == "virtual-kubelet")
        {
            continue;
        }
        // Nodes that were there before hcb carry no label of its.
        let pool = node.labels().get(POOL).or(only.as_ref());
        if let Some(pool) = pool {
            *state.in_use.entry(format!("{cluster}/{pool}")).or_default() += 1;
        }
    }
    Ok(())
}

/// `CLUSTER=CONTEXT`.
pub(super) fn parse_context(text: &str) -> Result<(String, String), String> {
    let (cluster, context) = text.split_once('=').ok_or("write CLUSTER=CONTEXT")?;
    Ok((cluster.to_owned(), context.to_owned()))
}

/// The kubeconfig of the command line.
pub(super) fn reach<'a>(
    kubeconfig: Option<&'a PathBuf>,
    contexts: &'a [(String, String)],
) -> Reach<'a> {
    Reach {
        kubeconfig: kubeconfig.map(PathBuf::as_path),
        contexts,
    }
}
