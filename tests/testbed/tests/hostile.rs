//! What somebody with the role `edit` in a namespace may try in order to get past the gates of clusters, and what the
//! API server says to it: on clusters without Admiralty, and with Admiralty's webhook and scheduler at work.

use anyhow::{Context, Result};
use hcb_testbed::apply::Applier;
use hcb_testbed::cluster::Cluster;
use hcb_testbed::hybrid::{Hybrid, Setup};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a policy may take to come into force.
const IN_FORCE: Duration = Duration::from_secs(60);
/// The annotation that Admiralty's webhook adds.
const MANIFEST: &str = "multicluster.admiralty.io/sourcepod-manifest";
const ELECT: &str = "multicluster.admiralty.io/elect";
const CONSTRAINTS: &str = "multicluster.admiralty.io/proxy-pod-scheduling-constraints";
const FROM_SPEC: &str =
    "multicluster.admiralty.io/use-constraints-from-spec-for-proxy-pod-scheduling";
/// A namespace of jobs, and one that nobody labelled.
const NAMESPACES: [&str; 2] = ["ml", "unlabelled"];

/// What is said of a request that a policy refuses.
fn refusal<T>(result: kube::Result<T>) -> Result<String> {
    match result {
        Ok(_) => anyhow::bail!("it was allowed"),
        Err(kube::Error::Api(status)) => Ok(status.message),
        Err(error) => Err(error.into()),
    }
}

/// Every toleration by which a pod would pass a gate.
fn openers() -> [Value; 5] {
    [
        json!({"key": "hcb.dev/gate", "operator": "Exists"}),
        json!({"key": "hcb.dev/gate", "operator": "Exists", "effect": "NoSchedule"}),
        json!({"key": "hcb.dev/gate", "operator": "Equal", "value": "public", "effect": "NoSchedule"}),
        json!({"operator": "Exists"}),
        json!({"operator": "Exists", "effect": "NoSchedule"}),
    ]
}

/// A pod that all other policies let pass.
fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {}},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "tolerations": [],
            "containers": [{
                "name": "main",
                "image": "registry.example.com/train:1.0.0",
                "resources": {"requests": {"cpu": "100", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

/// A pod as Admiralty's scheduler takes it, made by hand.
fn by_hand(name: &str) -> Value {
    let mut pod = pod(name);
    pod["spec"]["schedulerName"] = "admiralty-proxy".into();
    pod
}

fn with(mut pod: Value, pointer: &str, value: Value) -> Value {
    *pod.pointer_mut(pointer).expect("a field") = value;
    pod
}

fn annotated(pod: Value, annotations: Value) -> Value {
    with(pod, "/metadata/annotations", annotations)
}

fn tolerating(pod: Value, tolerations: &[Value]) -> Value {
    with(pod, "/spec/tolerations", json!(tolerations))
}

/// A client of somebody who may edit both namespaces.
async fn editor(hybrid: &Hybrid) -> Result<Client> {
    let source = hybrid.source();
    for cluster in &hybrid.testbed.clusters {
        cluster.create_namespace(NAMESPACES[1], &[]).await?;
    }
    let applier = Applier::new(source);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "editor", "namespace": "ml"}});
    applier.apply(&account).await?;
    for namespace in NAMESPACES {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "editor", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"kind": "ServiceAccount", "name": "editor", "namespace": "ml"}],
        });
        applier.apply(&binding).await?;
    }
    source.service_account_client("ml", "editor").await
}

async fn create(client: &Client, namespace: &str, pod: &Value) -> Result<kube::Result<Pod>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = serde_json::from_value(pod.clone())?;
    Ok(pods.create(&PostParams::default(), &pod).await)
}

/// Waits until the API server judges by the policies, which it does a moment after it has them.
async fn wait_for_policies(client: &Client) -> Result<()> {
    let asked = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for namespace in NAMESPACES {
        for (jumper, expected) in [
            (
                tolerating(by_hand("jumper"), &openers()[..1]),
                "hcb.dev/gate",
            ),
            (
                annotated(pod("forger"), json!({MANIFEST: "{}"})),
                "only Admiralty's webhook sets",
            ),
        ] {
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            let jumper: Pod = serde_json::from_value(jumper)?;
            hcb_testbed::wait_for(expected, IN_FORCE, async || {
                match pods.create(&asked, &jumper).await {
                    Ok(_) => Ok(false),
                    Err(kube::Error::Api(status)) => Ok(status.message.contains(expected)),
                    Err(error) => Err(error.into()),
                }
            })
            .await?;
        }
    }
    Ok(())
}

/// What a person may try whose pod waits: all ways of changing it.
async fn a_pod_that_waits_gets_through_no_gate(
    editor: &Client,
    admin: &Client,
    namespace: &str,
    name: &str,
) -> Result<()> {
    let plain = PatchParams::default();
    let pods: Api<Pod> = Api::namespaced(editor.clone(), namespace);
    let waiting = pods.get(name).await?;
    let spec = waiting.spec.context("a spec")?;
    let known = serde_json::to_value(spec.tolerations.unwrap_or_default())?;
    for opener in openers() {
        let mut more = known.clone();
        more.as_array_mut().context("a list")?.push(opener.clone());
        let merged = json!({"spec": {"tolerations": more}});
        let operations = json!([{"op": "add", "path": "/spec/tolerations", "value": more}]);
        let operations: json_patch::Patch = serde_json::from_value(operations)?;
        for patch in [
            Patch::Merge(merged.clone()),
            Patch::Strategic(merged.clone()),
            Patch::Json(operations),
        ] {
            let said = refusal(pods.patch(name, &plain, &patch).await)
                .with_context(|| format!("{namespace}: {patch:?}"))?;
            anyhow::ensure!(said.contains("ValidatingAdmissionPolicy"), "{said}");
        }
        let mut whole = serde_json::to_value(pods.get(name).await?)?;
        whole["spec"]["tolerations"] = more;
        let whole: Pod = serde_json::from_value(whole)?;
        let said = refusal(pods.replace(name, &PostParams::default(), &whole).await)?;
        anyhow::ensure!(said.contains("ValidatingAdmissionPolicy"), "{said}");
    }
    let harmless = json!({"key": "example.com/spot", "operator": "Exists"});
    let mut more = known.clone();
    more.as_array_mut().context("a list")?.push(harmless);
    pods.patch(
        name,
        &plain,
        &Patch::Merge(json!({"spec": {"tolerations": more}})),
    )
    .await
    .context("a toleration of something else")?;

    // The annotation by no way either: those that `edit` does not have are tried by somebody who may do everything.
    let forged = json!({"metadata": {"annotations": {MANIFEST: "a: &a [1]\nspec: *a"}}});
    let removed = json!({"metadata": {"annotations": {MANIFEST: null}}});
    let pods_of_admin: Api<Pod> = Api::namespaced(admin.clone(), namespace);
    let had_one = waiting
        .metadata
        .annotations
        .is_some_and(|annotations| annotations.contains_key(MANIFEST));
    for patch in [Some(forged), had_one.then_some(removed)]
        .into_iter()
        .flatten()
    {
        for said in [
            refusal(pods.patch(name, &plain, &Patch::Merge(&patch)).await)?,
            refusal(
                pods_of_admin
                    .patch(name, &plain, &Patch::Merge(&patch))
                    .await,
            )?,
            refusal(
                pods_of_admin
                    .patch_status(name, &plain, &Patch::Merge(&patch))
                    .await,
            )?,
        ] {
            anyhow::ensure!(said.contains("of a pod does not change"), "{said}");
        }
    }
    for path in [
        format!("/api/v1/namespaces/{namespace}/pods/{name}/binding"),
        format!("/api/v1/namespaces/{namespace}/bindings"),
    ] {
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "annotations": {MANIFEST: "{}"}},
            "target": {"kind": "Node", "name": "private-0"},
        });
        let request = http::Request::post(&path)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&binding)?)?;
        let said = refusal(admin.request::<Value>(request).await).context(path)?;
        anyhow::ensure!(said.contains("only Admiralty's webhook sets"), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_gets_no_pod_through_a_gate_by_create_or_by_update() -> Result<()> {
    let Some(hybrid) = Hybrid::without_admiralty("fits-beside-nodes", Setup::Static).await? else {
        return Ok(());
    };
    let (editor, admin) = (editor(&hybrid).await?, &hybrid.source().client);
    wait_for_policies(&editor).await?;
    for namespace in NAMESPACES {
        for (number, opener) in openers().into_iter().enumerate() {
            let jumper = tolerating(by_hand(&format!("jumper-{number}")), &[opener]);
            let said = refusal(create(&editor, namespace, &jumper).await?)
                .with_context(|| format!("{namespace}: {jumper}"))?;
            anyhow::ensure!(said.contains("ValidatingAdmissionPolicy"), "{said}");
        }
        forged_manifests_are_refused(&editor, namespace).await?;
        create(&editor, namespace, &by_hand("waits"))
            .await?
            .with_context(|| format!("a pod without a toleration in {namespace}"))?;
        a_pod_that_waits_gets_through_no_gate(&editor, admin, namespace, "waits").await?;
    }
    released_pods_can_be_changed_otherwise(&hybrid, &editor).await?;
    template_of_a_suspended_job_is_held_too(&editor).await?;
    // What runs on every node of a cluster may tolerate everything.
    let agent = tolerating(pod("agent"), &openers()[3..4]);
    create(admin, "kube-system", &agent)
        .await?
        .context("a pod of the system")?;
    Ok(())
}

/// A manifest that came with the request, however the request says who owns which field.
async fn forged_manifests_are_refused(editor: &Client, namespace: &str) -> Result<()> {
    let forged = annotated(by_hand("forged"), json!({MANIFEST: "spec: {}"}));
    let by_webhook = json!([{
        "manager": "webhook", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:schedulerName": {}}},
    }]);
    for managers in [json!([]), json!([{}]), by_webhook] {
        let mut forged = forged.clone();
        forged["metadata"]["managedFields"] = managers;
        let said = refusal(create(editor, namespace, &forged).await?)
            .with_context(|| forged.to_string())?;
        anyhow::ensure!(said.contains("only Admiralty's webhook sets"), "{said}");
    }
    let pods: Api<Pod> = Api::namespaced(editor.clone(), namespace);
    let applied = PatchParams::apply("forger");
    let said = refusal(pods.patch("forged", &applied, &Patch::Apply(&forged)).await)?;
    anyhow::ensure!(said.contains("only Admiralty's webhook sets"), "{said}");
    Ok(())
}

/// Whoever looks into a pod that was released, or labels it, is not refused for its toleration.
async fn released_pods_can_be_changed_otherwise(hybrid: &Hybrid, editor: &Client) -> Result<()> {
    let plain = PatchParams::default();
    let reconciler = hybrid
        .source()
        .service_account_client("hcb-system", "hcb-reconciler")
        .await?;
    let pods: Api<Pod> = Api::namespaced(reconciler, "ml");
    let gate = openers()[2].clone();
    let release = json!([{"op": "add", "path": "/spec/tolerations/-", "value": gate}]);
    let release: json_patch::Patch = serde_json::from_value(release)?;
    pods.patch("waits", &plain, &Patch::Json::<()>(release))
        .await
        .context("a release")?;
    let pods: Api<Pod> = Api::namespaced(editor.clone(), "ml");
    let labelled = json!({"metadata": {"labels": {"seen": "yes"}}});
    pods.patch("waits", &plain, &Patch::Merge(labelled))
        .await
        .context("a label of a released pod")?;
    let mut debugged = serde_json::to_value(pods.get("waits").await?)?;
    debugged["spec"]["ephemeralContainers"] = json!([{
        "name": "look",
        "image": "registry.example.com/tools:1.0.0",
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    }]);
    let debugged: Pod = serde_json::from_value(debugged)?;
    // That takes more than `edit`.
    let pods: Api<Pod> = Api::namespaced(hybrid.source().client.clone(), "ml");
    pods.replace_ephemeral_containers("waits", &PostParams::default(), &debugged)
        .await
        .context("a container to look into a released pod")?;
    Ok(())
}

/// The scheduling of a Job that is suspended can be changed.
async fn template_of_a_suspended_job_is_held_too(editor: &Client) -> Result<()> {
    let mut template = pod("unnamed");
    template["spec"]["restartPolicy"] = "Never".into();
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "suspended"},
        "spec": {
            "suspend": true,
            "backoffLimit": 1,
            "activeDeadlineSeconds": 600,
            "template": {"metadata": {}, "spec": template["spec"]},
        },
    });
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("batch", "v1", "Job"));
    let jobs: Api<DynamicObject> = Api::namespaced_with(editor.clone(), "ml", &resource);
    jobs.create(&PostParams::default(), &serde_json::from_value(job)?)
        .await
        .context("a suspended Job")?;
    let plain = PatchParams::default();
    for opener in openers() {
        let change = json!({"spec": {"template": {"spec": {"tolerations": [opener]}}}});
        let said = refusal(jobs.patch("suspended", &plain, &Patch::Merge(change)).await)?;
        anyhow::ensure!(said.contains("hcb-closed-gates"), "{said}");
    }
    let change = json!({"metadata": {"labels": {"seen": "yes"}}});
    jobs.patch("suspended", &plain, &Patch::Merge(change))
        .await
        .context("a label of a Job")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_gets_no_pod_through_a_gate_by_what_admiralty_reads() -> Result<()> {
    let Some((_, hybrid)) = Hybrid::of("fits-beside-nodes", Setup::Static).await? else {
        return Ok(());
    };
    let (editor, admin) = (editor(&hybrid).await?, &hybrid.source().client);
    wait_for_policies(&editor).await?;
    for opener in openers() {
        let rules = json!({"tolerations": [opener]}).to_string();
        for jumper in [
            annotated(pod("by-rules"), json!({ELECT: "", CONSTRAINTS: rules})),
            tolerating(
                annotated(pod("from-spec"), json!({ELECT: "", FROM_SPEC: ""})),
                std::slice::from_ref(&opener),
            ),
        ] {
            let said = refusal(create(&editor, "ml", &jumper).await?)
                .with_context(|| jumper.to_string())?;
            anyhow::ensure!(said.contains("ValidatingAdmissionPolicy"), "{said}");
        }
    }
    let forged = annotated(pod("forged"), json!({ELECT: "", MANIFEST: "spec: {}"}));
    let said = refusal(create(&editor, "ml", &forged).await?)?;
    anyhow::ensure!(said.contains("only Admiralty's webhook sets"), "{said}");

    // The webhook itself is let through, for a person's pod and for a Job's.
    let elected = annotated(pod("elected"), json!({ELECT: ""}));
    let made = create(&editor, "ml", &elected).await?.context("elected")?;
    let annotations = made.metadata.annotations.context("annotations")?;
    anyhow::ensure!(annotations.contains_key(MANIFEST), "{annotations:?}");
    let (_, job) = hybrid.jobs.first().context("a Job")?;
    Applier::new(hybrid.source()).apply(job).await?;
    hcb_testbed::wait_for("the Job's pod", Duration::from_secs(30), async || {
        let pods = hybrid.source().pods().await?;
        Ok(pods
            .iter()
            .any(|pod| pod.metadata.owner_references.is_some()))
    })
    .await?;
    a_pod_that_waits_gets_through_no_gate(&editor, admin, "ml", "elected").await?;

    // The webhook drops what it does not know of every pod that it is asked about: what a pod asks for as a whole must
    // not be lost without a word.
    let mut whole = pod("whole");
    let container = whole.pointer_mut("/spec/containers/0/resources");
    let resources = std::mem::replace(container.context("a container")?, json!({}));
    whole["spec"]["resources"] = resources;
    for annotations in [json!({ELECT: ""}), json!({})] {
        let whole = annotated(whole.clone(), annotations);
        let said = refusal(create(&editor, "ml", &whole).await?)?;
        anyhow::ensure!(said.contains("no request of CPU: main"), "{said}");
    }
    let made = create(&editor, "unlabelled", &whole).await?;
    let spec = made.context("a pod that no webhook sees")?.spec;
    anyhow::ensure!(spec.is_some_and(|spec| spec.resources.is_some()));
    pods_that_are_not_elected_reach_no_target(&hybrid).await
}

/// What tolerates every taint without being elected, as `DaemonSets` and what serves a cluster do, makes nothing in a
/// target: neither where the stock scheduler puts it on a virtual node, nor bound there by name.
async fn pods_that_are_not_elected_reach_no_target(hybrid: &Hybrid) -> Result<()> {
    let admin = &hybrid.source().client;
    let node = "admiralty-public";
    let everywhere = tolerating(pod("daemon"), &openers()[3..4]);
    let mut scheduled = with(everywhere.clone(), "/metadata/name", "scheduled".into());
    scheduled["spec"]["containers"][0]["resources"] = json!({});
    scheduled["spec"]["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}],
    }}});
    let mut bound = with(everywhere, "/metadata/name", "bound".into());
    bound["spec"]["nodeName"] = node.into();
    for pod in [&scheduled, &bound] {
        create(admin, "kube-system", pod).await?.context("a pod")?;
    }
    let pods: Api<Pod> = Api::namespaced(admin.clone(), "kube-system");
    hcb_testbed::wait_for("the stock scheduler", Duration::from_secs(30), async || {
        let scheduled = pods.get("scheduled").await?;
        let on = scheduled.spec.and_then(|spec| spec.node_name);
        Ok(on.as_deref() == Some(node))
    })
    .await?;
    // Admiralty asks once a second.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let target = hybrid.testbed.cluster("public");
    let made = made_by_admiralty(target).await?;
    anyhow::ensure!(made.is_empty(), "in the target: {made:?}");
    Ok(())
}

/// The names of the candidates in a cluster, and of their pods.
async fn made_by_admiralty(cluster: &Cluster) -> Result<Vec<String>> {
    let kind = GroupVersionKind::gvk("multicluster.admiralty.io", "v1alpha1", "PodChaperon");
    let chaperons: Api<DynamicObject> =
        Api::all_with(cluster.client.clone(), &ApiResource::from_gvk(&kind));
    let chaperons = chaperons.list(&ListParams::default()).await?;
    let chaperons = chaperons.items.into_iter().map(|item| item.metadata);
    let pods = cluster.pods().await?.into_iter().map(|pod| pod.metadata);
    Ok(chaperons
        .chain(pods)
        .filter_map(|metadata| metadata.name)
        .collect())
}
