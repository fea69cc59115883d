//! Flux: what delivers as processes on loopback (source-, kustomize- and helm-controller), with the kinds of
//! their modules and the rights that `flux install` gives them.

use crate::access::get;
use crate::apply::{Applier, documents};
use crate::cluster::Cluster;
use crate::delivery::steps::{Part, Seen};
use crate::ports::Port;
use crate::process::Program;
use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Where Flux is installed.
pub const NAMESPACE: &str = "flux-system";
/// Gets what is in Git and in registries.
pub const SOURCE_CONTROLLER: &str = "source-controller";
/// Applies manifests.
pub const KUSTOMIZE_CONTROLLER: &str = "kustomize-controller";
/// Installs charts.
pub const HELM_CONTROLLER: &str = "helm-controller";
/// How soon what waits for another looks again; Flux itself takes half a minute.
const LOOKS_AGAIN: &str = "--requeue-dependency=5s";
const READY: Duration = Duration::from_secs(120);

/// The kinds of the engine's objects: their files, API groups with versions, and plural names.
const KINDS: &[(&str, &str, &str)] = &[
    ("source.toolkit.fluxcd.io", "v1", "gitrepositories"),
    ("source.toolkit.fluxcd.io", "v1", "ocirepositories"),
    ("source.toolkit.fluxcd.io", "v1", "helmrepositories"),
    ("source.toolkit.fluxcd.io", "v1", "helmcharts"),
    ("source.toolkit.fluxcd.io", "v1", "buckets"),
    ("source.toolkit.fluxcd.io", "v1", "externalartifacts"),
    ("kustomize.toolkit.fluxcd.io", "v1", "kustomizations"),
    ("helm.toolkit.fluxcd.io", "v2", "helmreleases"),
];

/// The kinds of the objects that say whether all is delivered.
pub const DELIVERING: &[&str] = &["GitRepository", "Kustomization", "HelmRelease"];

/// Applies the kinds and the rights of Flux.
///
/// # Errors
/// What the API server says against an object.
pub async fn install(hub: &Cluster) -> Result<()> {
    let applier = Applier::new(hub);
    let mut definitions = Vec::new();
    for (group, _, plural) in KINDS {
        let text = fs::read_to_string(hub.tools.file(&format!("{group}_{plural}.yaml")))?;
        definitions.extend(documents(&text)?);
    }
    applier.apply_definitions(&definitions).await?;
    hub.create_namespace(NAMESPACE, &[]).await?;
    for object in rights() {
        applier.apply(&object).await?;
    }
    Ok(())
}

/// As `flux install` has it: what applies may do everything, what gets sources just its own work.
fn rights() -> Vec<Value> {
    let accounts = [SOURCE_CONTROLLER, KUSTOMIZE_CONTROLLER, HELM_CONTROLLER];
    let subject =
        |name: &&str| json!({"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE});
    let bound = |role: &str, binding: &str, accounts: &[&str]| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": binding},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": accounts.iter().map(subject).collect::<Vec<_>>(),
        })
    };
    let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
    let mut objects: Vec<_> = accounts
        .iter()
        .map(|name| {
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}})
        })
        .collect();
    objects.push(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "crd-controller-flux-system"},
        "rules": [
            rule(&["source.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"], &["*"], &["*"]),
            rule(&[""], &["namespaces", "secrets", "configmaps", "serviceaccounts"], &["get", "list", "watch"]),
            rule(&[""], &["events"], &["create", "patch"]),
            rule(&[""], &["serviceaccounts/token"], &["create"]),
            rule(&["coordination.k8s.io"], &["leases"], &["*"]),
        ],
    }));
    objects.push(bound(
        "crd-controller-flux-system",
        "crd-controller-flux-system",
        &accounts,
    ));
    objects.push(bound(
        "cluster-admin",
        "cluster-reconciler-flux-system",
        &[KUSTOMIZE_CONTROLLER, HELM_CONTROLLER],
    ));
    objects
}

/// Runs the controllers. `outside` is the environment in which Git and charts are reached.
///
/// # Errors
/// Where one cannot be started or does not become ready.
pub async fn run(hub: &Cluster, outside: &[(String, String)]) -> Result<()> {
    let storage = Port::reserve()?;
    let address = format!("127.0.0.1:{}", storage.number);
    let folder = hub.file("flux-artifacts");
    fs::create_dir_all(&folder)?;
    let of_source = [
        format!("--storage-path={}", folder.display()),
        format!("--storage-addr={address}"),
        format!("--storage-adv-addr={address}"),
    ];
    hub.keep(storage);
    start(hub, SOURCE_CONTROLLER, &of_source, outside).await?;
    start(hub, KUSTOMIZE_CONTROLLER, &[], outside).await?;
    start(hub, HELM_CONTROLLER, &[], outside).await
}

async fn start(
    hub: &Cluster,
    name: &str,
    arguments: &[String],
    outside: &[(String, String)],
) -> Result<()> {
    let kubeconfig = hub.service_account_kubeconfig(NAMESPACE, name).await?;
    let temporary = hub.file(&format!("{name}.tmp"));
    fs::create_dir_all(&temporary)?;
    let (metrics, health) = (Port::reserve()?, Port::reserve()?);
    let mut all = vec![
        "--watch-all-namespaces".to_owned(),
        "--log-level=info".to_owned(),
        // One of each runs, so nothing has to be elected.
        "--enable-leader-election=false".to_owned(),
        LOOKS_AGAIN.to_owned(),
        format!("--metrics-addr=127.0.0.1:{}", metrics.number),
        format!("--health-addr=127.0.0.1:{}", health.number),
    ];
    all.extend_from_slice(arguments);
    let mut environment = vec![
        ("KUBECONFIG".to_owned(), kubeconfig.display().to_string()),
        ("RUNTIME_NAMESPACE".to_owned(), NAMESPACE.to_owned()),
        ("TMPDIR".to_owned(), temporary.display().to_string()),
    ];
    environment.extend_from_slice(outside);
    hub.run_as(
        name,
        Program {
            name: name.to_owned(),
            binary: hub.tools.binary(name),
            arguments: all,
            environment,
        },
    )?;
    let port = health.number;
    hub.keep(metrics);
    hub.keep(health);
    crate::wait_for(name, READY, async || {
        Ok(crate::hybrid::get(port, "/readyz").await.is_ok())
    })
    .await
}

/// What Flux says of all that it delivers, and how often it has changed something.
///
/// # Errors
/// Where the API server does not answer.
pub async fn look(hub: &Cluster) -> Result<Seen> {
    let mut parts = BTreeMap::new();
    for (group, version, plural) in KINDS {
        let path = format!("/apis/{group}/{version}/namespaces/{NAMESPACE}/{plural}");
        let list: Value = hub.client.request(get(&path)?).await?;
        for object in list["items"].as_array().into_iter().flatten() {
            let name = object["metadata"]["name"].as_str().context("a name")?;
            parts.insert(format!("{plural}/{name}"), part(object));
        }
    }
    let events: Api<Event> = Api::namespaced(hub.client.clone(), NAMESPACE);
    let actions = events
        .list(&ListParams::default())
        .await?
        .iter()
        .filter(|event| is_action(event))
        .map(|event| {
            let series = event.series.as_ref().and_then(|series| series.count);
            i64::from(series.or(event.count).unwrap_or(1))
        })
        .sum();
    Ok(Seen { parts, actions })
}

/// Whether an Event tells that a cluster was changed: objects that were applied or pruned, a chart that was
/// installed, or drift of one that was corrected.
fn is_action(event: &Event) -> bool {
    let reason = event.reason.as_deref().unwrap_or_default();
    match event.involved_object.kind.as_deref() {
        Some("Kustomization") => {
            let message = event.message.as_deref().unwrap_or_default();
            message.lines().any(|line| {
                [" created", " configured", " deleted", " replaced"]
                    .iter()
                    .any(|action| line.ends_with(action))
            })
        }
        Some("HelmRelease") => matches!(
            reason,
            "InstallSucceeded" | "UpgradeSucceeded" | "DriftDetected" | "DriftCorrected"
        ),
        _ => false,
    }
}

fn part(object: &Value) -> Part {
    let status = &object["status"];
    let condition = |kind: &str| {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let mut of_kind = conditions.filter(|condition| condition["type"] == kind);
        of_kind.next()
    };
    let ready = condition("Ready");
    // Whatever waits for another looks at it again and again, and waits while that one looks at its cluster.
    let waits = ["DependencyNotReady", "Progressing"];
    let has_failed = ready.is_some_and(|ready| {
        ready["status"] == "False" && !waits.iter().any(|reason| ready["reason"] == *reason)
    });
    let has_drifted = condition("Drifted").is_some_and(|drifted| drifted["status"] == "True");
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_current = status["observedGeneration"] == object["metadata"]["generation"];
    // `refs/heads/main@sha1:COMMIT`
    let revision = text(
        status
            .get("lastAppliedRevision")
            .or_else(|| status.pointer("/artifact/revision")),
    );
    let commit = revision.rsplit_once("@sha1:").map(|(_, commit)| commit);
    Part {
        is_settled: is_current && ready.is_some_and(|ready| ready["status"] == "True"),
        is_drifted: has_failed || has_drifted,
        commit: commit.map(str::to_owned),
        said: text(ready.and_then(|ready| ready.get("message"))),
    }
}
