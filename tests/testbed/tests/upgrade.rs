//! What a reconciler of 0.1.0 left in two clusters, and the reconciler of today that takes over from it, on real
//! API servers. The objects are in `tests/upgrade/0.1.0/`.

use anyhow::{Context, Result};
use hcb_api::config::ReconcilerConfig;
use hcb_reconciler::core::facts::{Fact, State};
use hcb_reconciler::core::record::Line;
use hcb_reconciler::engine::admiralty::PACING;
use hcb_testbed::apply::Applier;
use hcb_testbed::hybrid::hcb_binary;
use hcb_testbed::ports::Port;
use hcb_testbed::process::Program;
use hcb_testbed::{Cluster, ClusterPlan, Testbed, wait_for};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[path = "../../upgrade/reader_0_1_0.rs"]
#[allow(dead_code, reason = "configurations are read elsewhere")]
mod reader_0_1_0;

const SYSTEM: &str = "hcb-system";
const SOON: Duration = Duration::from_secs(30);
/// What was spent this month when 0.1.0 wrote its status last.
const SPENT: f64 = 41.5;

fn old(path: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("../upgrade/0.1.0").join(path)
}

fn old_json(path: &str) -> Result<Value> {
    let text = fs::read_to_string(old(path)).with_context(|| path.to_owned())?;
    Ok(serde_json::from_str(&text)?)
}

/// Creates the objects of a list of 0.1.0, with their status. `uids` has the uids that objects got, by those that
/// they had, and is added to.
async fn restore(
    applier: &Applier<'_>,
    path: &str,
    kind: (&str, &str),
    uids: &mut BTreeMap<String, String>,
) -> Result<()> {
    let list = old_json(path)?;
    for object in list["items"].as_array().context("a list")? {
        let mut text = object.to_string();
        for (before, now) in uids.iter() {
            text = text.replace(before, now);
        }
        let mut object: Value = serde_json::from_str(&text)?;
        object["apiVersion"] = kind.0.into();
        object["kind"] = kind.1.into();
        let metadata = object["metadata"].as_object_mut().context("metadata")?;
        let uid = metadata.remove("uid").context("a uid")?;
        for field in [
            "resourceVersion",
            "creationTimestamp",
            "managedFields",
            "generation",
        ] {
            metadata.remove(field);
        }
        if kind.1 == "Job" {
            // The pods are there already; nobody is to make others.
            object["spec"]["managedBy"] = "hcb.dev/nobody".into();
            let spec = object["spec"].as_object_mut().context("a spec")?;
            spec.remove("selector");
            let labels = &mut object["spec"]["template"]["metadata"]["labels"];
            let labels = labels.as_object_mut().context("labels")?;
            labels.retain(|label, _| label == "hcb.dev/workload");
        }
        let (api, name) = applier.api(&object).await?;
        let created: DynamicObject = serde_json::from_value(object.clone())?;
        let described = || format!("{} {name}", kind.1);
        let created = api.create(&PostParams::default(), &created).await;
        let created = created.with_context(described)?;
        uids.insert(
            uid.as_str().context("a uid")?.to_owned(),
            created.uid().context("a uid")?,
        );
        if kind.1 != "Job" && object.get("status").is_some() {
            let patch = json!({"status": object["status"]});
            api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await
                .with_context(described)?;
        }
    }
    Ok(())
}

/// The status of 0.1.0 as of a moment ago. What was spent in another month is rightly forgotten.
fn status_of_this_month(until: Timestamp) -> Result<Value> {
    let map = old_json("objects/status.json")?;
    let text = map["data"]["status.json"].as_str().context("a status")?;
    let mut status: Value = serde_json::from_str(text)?;
    status["legacy"]["ledger"] =
        json!({"month": until.strftime("%Y-%m").to_string(), "spent": SPENT, "until": until});
    let metadata = json!({"name": "hcb-status", "namespace": SYSTEM});
    Ok(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"status.json": status.to_string()},
    }))
}

async fn prepare(cluster: &Cluster, definition: &Value) -> Result<()> {
    Applier::new(cluster)
        .apply_definitions(std::slice::from_ref(definition))
        .await?;
    for namespace in ["ml", SYSTEM] {
        cluster.create_namespace(namespace, &[]).await?;
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), "ml");
    wait_for("the account of pods", SOON, async || {
        Ok(accounts.get_opt("default").await?.is_some())
    })
    .await
}

/// A definition of Admiralty's chaperons that takes any.
fn chaperons() -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "podchaperons.multicluster.admiralty.io"},
        "spec": {
            "group": "multicluster.admiralty.io",
            "names": {"kind": "PodChaperon", "plural": "podchaperons"},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

/// The reconciler of today, with the command line of a Deployment of 0.1.0.
fn reconciler(binary: PathBuf, source: &Cluster, target: &Cluster) -> Result<Program> {
    let config = fs::read_to_string(old("config.yaml"))?;
    let kubeconfig = target.file("admin.kubeconfig");
    let mounted = "/etc/hcb/targets/public/config";
    anyhow::ensure!(config.contains(mounted), "{config}");
    let path = source.file("config.yaml");
    fs::write(
        &path,
        config.replace(mounted, &kubeconfig.display().to_string()),
    )?;
    let port = Port::reserve()?;
    let listen = format!("--listen=127.0.0.1:{}", port.number);
    source.keep(port);
    let own = source.file("admin.kubeconfig");
    Ok(Program {
        name: "reconciler".to_owned(),
        binary,
        arguments: vec![
            "reconcile".to_owned(),
            format!("--config={}", path.display()),
            listen,
            format!("--record={}", source.file("run.jsonl").display()),
        ],
        environment: [
            ("KUBECONFIG", own.display().to_string()),
            ("POD_NAME", "today".to_owned()),
            ("POD_NAMESPACE", SYSTEM.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
    })
}

/// What a record says of the pods of jobs when a reconciler first sees them, by their names, without what an API
/// server gives each anew.
fn first_seen(record: &Path) -> Result<BTreeMap<String, Value>> {
    let mut pods = BTreeMap::new();
    for line in fs::read_to_string(record)?.lines() {
        let line: Line = serde_json::from_str(line)?;
        let Line::Fact(_, Fact::Demand(_, pod)) = line else {
            continue;
        };
        let mut value = serde_json::to_value(&*pod)?;
        for field in ["uid", "version", "created"] {
            value.as_object_mut().context("a pod")?.remove(field);
        }
        value["job"] = json!(pod.job.as_ref().map(|job| &job.name));
        pods.entry(pod.name).or_insert(value);
    }
    Ok(pods)
}

/// Of each pod, by its name: the clusters that it was released to, and those that keep a place for it.
type Places = BTreeMap<String, (Vec<usize>, Vec<usize>)>;

/// Who is kept a place for by the end of a record, by their names, and in which cluster they have candidates.
fn places(record: &Path) -> Result<Places> {
    let mut current: Option<(ReconcilerConfig, State)> = None;
    for line in fs::read_to_string(record)?.lines() {
        match (serde_json::from_str(line)?, &mut current) {
            (Line::Config(config), current) => {
                let state = State::new(&config, PACING);
                *current = Some((*config, state));
            }
            (Line::Fact(at, fact), Some((config, state))) => state.take(fact, config, at),
            _ => {}
        }
    }
    let (_, state) = current.context("a record")?;
    let observation = &state.observer.observation;
    let clusters = |check: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..observation.clusters.len())
            .filter(|index| check(*index))
            .collect()
    };
    let pods = observation.demands.values().map(|pod| {
        let kept = clusters(&|index| observation.clusters[index].has_place(&pod.uid));
        let tried = clusters(&|index| observation.clusters[index].has_candidate(&pod.uid));
        (pod.name.clone(), (kept, tried))
    });
    Ok(pods.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reconciler_of_today_takes_over_from_that_of_0_1_0() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let plan = |name: &str| ClusterPlan {
        name: name.to_owned(),
        pools: Vec::new(),
    };
    let binary = tokio::task::spawn_blocking(hcb_binary).await??;
    let testbed = Testbed::start(&[plan("private"), plan("public")]).await?;
    testbed
        .run("upgrade", async |testbed| take_over(testbed, binary).await)
        .await
}

async fn take_over(testbed: &Testbed, binary: PathBuf) -> Result<()> {
    let (source, target) = (testbed.cluster("private"), testbed.cluster("public"));
    for cluster in [source, target] {
        prepare(cluster, &chaperons()).await?;
    }
    let (of_source, of_target) = (Applier::new(source), Applier::new(target));
    let mut uids = BTreeMap::new();
    for (applier, path, kind) in [
        (&of_source, "objects/nodes-private.json", ("v1", "Node")),
        (&of_target, "objects/nodes-public.json", ("v1", "Node")),
        (&of_source, "objects/jobs-private.json", ("batch/v1", "Job")),
        (&of_source, "objects/pods-private.json", ("v1", "Pod")),
        (&of_target, "objects/pods-public.json", ("v1", "Pod")),
        (
            &of_target,
            "objects/podchaperons-public.json",
            ("multicluster.admiralty.io/v1alpha1", "PodChaperon"),
        ),
    ] {
        restore(applier, path, kind, &mut uids).await?;
    }
    let mut lease = old_json("objects/lease-held.json")?;
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
    ] {
        let metadata = lease["metadata"].as_object_mut().context("metadata")?;
        metadata.remove(field);
    }
    of_source.apply(&lease).await?;
    let until = Timestamp::now() - SignedDuration::from_secs(1);
    // As 0.1.0 applies it.
    let status = status_of_this_month(until)?;
    of_source
        .apply_beside_others(&status, "hcb-reconciler")
        .await?;
    source.run_as("reconciler", reconciler(binary, source, target)?)?;

    // It waits for the leader of before, which renews no more, and leads then.
    let leases: Api<Lease> = Api::namespaced(source.client.clone(), SYSTEM);
    wait_for("the lease", Duration::from_secs(60), async || {
        let spec = leases.get("hcb-reconciler").await?.spec;
        Ok(spec.and_then(|spec| spec.holder_identity).as_deref() == Some("today"))
    })
    .await?;
    let maps: Api<ConfigMap> = Api::namespaced(source.client.clone(), SYSTEM);
    let mut written = None;
    wait_for("a status of today", SOON, async || {
        let map = maps.get("hcb-status").await?;
        let text = map.data.iter().flatten().next().context("data")?.1;
        // As 0.1.0 reads it, were it to take over again.
        let status: reader_0_1_0::Status = serde_json::from_str(text)?;
        let is_new = status.leader == "today";
        written = Some((map, status));
        Ok(is_new)
    })
    .await?;
    let (map, status) = written.context("a status")?;

    // Nothing that was spent is forgotten, and the two nodes are counted on.
    let ledger = &status.legacy.ledger;
    let counted = ledger.until.context("a time")?;
    let expected = SPENT + 72.0 * until.duration_until(counted).as_secs_f64() / 3600.0;
    anyhow::ensure!(
        (ledger.spent - expected).abs() < 0.01,
        "{ledger:?}, not {expected}"
    );
    // Nobody else has a part of it, whose fields nobody would take off.
    let managers: Vec<_> = map
        .managed_fields()
        .iter()
        .filter_map(|entry| entry.manager.as_deref())
        .collect();
    anyhow::ensure!(managers == ["hcb-reconciler"], "{managers:?}");

    // Its watches see the pods as those of 0.1.0 saw them.
    let record = source.file("run.jsonl");
    let before = old("records/second.jsonl");
    let (was, is) = (first_seen(&before)?, first_seen(&record)?);
    anyhow::ensure!(was.len() > 8, "{was:#?}");
    anyhow::ensure!(is == was, "{is:#?}\nnot\n{was:#?}");
    let (was, is) = (places(&before)?, places(&record)?);
    anyhow::ensure!(was.values().any(|(kept, _)| !kept.is_empty()), "{was:#?}");
    anyhow::ensure!(is == was, "{is:#?}\nnot\n{was:#?}");

    // What it adds to notes of 0.1.0, 0.1.0 reads.
    let pods: Api<Pod> = Api::namespaced(source.client.clone(), "ml");
    let mut noted = 0;
    for pod in pods.list(&kube::api::ListParams::default()).await? {
        let Some(note) = pod.annotations().get("hcb.dev/released") else {
            continue;
        };
        let tolerations = pod
            .spec
            .iter()
            .flat_map(|spec| spec.tolerations.iter().flatten());
        let gates = tolerations.filter(|one| one.key.as_deref() == Some("hcb.dev/gate"));
        let mut gates: Vec<_> = gates.filter_map(|one| one.value.clone()).collect();
        gates.sort();
        let read: Vec<_> = reader_0_1_0::released(note).into_keys().collect();
        anyhow::ensure!(read == gates, "{note}, and tolerations for {gates:?}");
        noted += 1;
    }
    anyhow::ensure!(noted >= 4, "only {noted} notes");
    Ok(())
}
