//! Policies where they are enforced: hcb's verdict on an object at compile time is that of a real API
//! server, with the same message.

use anyhow::{Context, Result};
use hcb_compile::policy::suite::{self, Suite};
use hcb_compile::policy::{Subject, library};
use hcb_testbed::apply::{Applier, manifests};
use hcb_testbed::cluster::Cluster;
use hcb_testbed::hybrid::{Hybrid, Setup};
use hcb_testbed::{ClusterPlan, Testbed, definitions};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long a policy may take to come into force.
const IN_FORCE: Duration = Duration::from_secs(60);

async fn one_cluster() -> Result<Testbed> {
    let plan = ClusterPlan {
        name: "any".into(),
        ..ClusterPlan::default()
    };
    Testbed::start(&[plan]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_the_policies_of_the_examples_without_type_warnings() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let definitions = tokio::task::spawn_blocking(definitions::all).await??;
    let testbed = one_cluster().await?;
    testbed
        .run("policies-typed", async |testbed| {
            let cluster = testbed.cluster("any");
            let applier = Applier::new(cluster);
            // Types of custom resources are looked at as well, where they are known.
            applier.apply_definitions(&definitions).await?;
            cluster.create_namespace("hcb-system", &[]).await?;
            for tree in [
                "seed/argocd/clusters/private",
                "large/argocd/clusters/dc-frankfurt",
            ] {
                let tree = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("../../generated")
                    .join(tree);
                let objects = manifests(&tree.join("policies"))?;
                let mut policies = Vec::new();
                for (_, object) in &objects {
                    let applied = applier.apply(object).await?;
                    if object["kind"] == "ValidatingAdmissionPolicy" {
                        policies.push((object, applied.metadata.generation));
                    }
                }
                anyhow::ensure!(
                    policies.len() > 15,
                    "only {} policies in {}",
                    policies.len(),
                    tree.display()
                );
                for (policy, generation) in policies {
                    let (api, name) = applier.api(policy).await?;
                    let mut checked: Option<DynamicObject> = None;
                    hcb_testbed::wait_for(&format!("the types of {name}"), IN_FORCE, async || {
                        let current = api.get(&name).await?;
                        let observed = current.data["status"]["observedGeneration"].as_i64();
                        checked = Some(current);
                        Ok(observed.is_some() && observed >= generation)
                    })
                    .await?;
                    let status = checked.context("a policy")?.data["status"].clone();
                    let warnings = &status["typeChecking"]["expressionWarnings"];
                    anyhow::ensure!(
                        warnings.is_null() && !status["typeChecking"].is_null(),
                        "{name}: {status:#}"
                    );
                }
                everything_is_admitted(&applier, &tree).await?;
            }
            Ok(())
        })
        .await
}

/// With the policies of a tree in force, everything else of it is taken, what is excepted too; and the
/// same by another name is not.
async fn everything_is_admitted(applier: &Applier<'_>, tree: &Path) -> Result<()> {
    let objects = manifests(tree)?
        .into_iter()
        .filter(|(path, _)| !path.starts_with("policies"))
        .map(|(_, object)| object);
    let (namespaces, objects): (Vec<_>, Vec<_>) =
        objects.partition(|object| object["kind"] == "Namespace");
    for namespace in &namespaces {
        applier.apply(namespace).await?;
    }
    let job = |workload: &str| {
        objects
            .iter()
            .filter(|object| object["kind"] == "Job")
            .find(|job| job["metadata"]["labels"]["hcb.dev/workload"] == workload)
            .cloned()
    };
    // In force once a job that is good but for one thing is refused, and policies come into force one
    // after another.
    let mut endless = job("train-mnist").context("a job")?;
    endless["metadata"]["name"] = "endless".into();
    if let Some(spec) = endless["spec"].as_object_mut() {
        spec.remove("activeDeadlineSeconds");
    }
    let mut said = None;
    hcb_testbed::wait_for("the policies", IN_FORCE, async || {
        said = verdict(applier, None, &endless).await?;
        Ok(said.is_some())
    })
    .await?;
    let said = said.unwrap_or_default();
    anyhow::ensure!(said.contains("the job has no deadline"), "{said}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut refused = Vec::new();
    for object in &objects {
        if let Some(namespace) = object["metadata"]["namespace"].as_str() {
            applier.cluster().create_namespace(namespace, &[]).await?;
        }
        if let Err(error) = applier.apply(object).await {
            refused.push(format!("{error:#}"));
        }
    }
    anyhow::ensure!(refused.is_empty(), "{}", refused.join("\n"));
    if let Some(mut excepted) = job("pretrain") {
        excepted["metadata"]["name"] = "another".into();
        let said = verdict(applier, None, &excepted).await?.unwrap_or_default();
        let expected =
            "'hcb-job-limits' denied request: the deadline is longer than 432000 seconds";
        anyhow::ensure!(said.ends_with(expected), "{said}");
    }
    Ok(())
}

/// What there must be before an example of a policy can be refused or pass: its policy, bound in a
/// namespace of its own, with its parameters.
struct Stage {
    namespace: String,
    expected: Vec<(Value, Vec<String>)>,
    user: Option<String>,
    is_update: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_and_hcb_give_the_same_verdicts_on_the_examples_of_every_policy()
-> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let definitions = tokio::task::spawn_blocking(definitions::all).await??;
    let istio: Vec<_> = definitions
        .into_iter()
        .filter(|definition| {
            let group = definition["spec"]["group"].as_str().unwrap_or_default();
            group.ends_with(".istio.io")
        })
        .collect();
    let testbed = one_cluster().await?;
    testbed
        .run("policies-judged", async |testbed| {
            let cluster = testbed.cluster("any");
            let applier = Applier::new(cluster);
            applier.apply_definitions(&istio).await?;
            cluster.create_namespace("hcb-system", &[]).await?;
            let priority = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "hcb-normal"}, "value": 1000});
            applier.apply(&priority).await?;
            let mut stages = Vec::new();
            for suite in suites() {
                stages.extend(stage(&applier, cluster, &suite).await?);
            }
            let (mut refused, mut passed, mut wrong) = (0, 0, Vec::new());
            for (policy, stage) in &stages {
                if stage.is_update {
                    // What is changed was created by those who may.
                    let writer = cluster.client_as("system:kube-controller-manager").await?;
                    for (object, _) in &stage.expected {
                        let api = secrets(&writer, object);
                        api.create(&PostParams::default(), &serde_json::from_value(object.clone())?)
                            .await?;
                        let labels = json!({"metadata": {"labels": {"changed": "yes"}}});
                        let name = object["metadata"]["name"].as_str().unwrap_or_default();
                        secrets(&cluster.client, object)
                            .patch(name, &PatchParams::default(), &Patch::Merge(labels))
                            .await
                            .with_context(|| format!("{policy}: a change of labels"))?;
                        passed += 1;
                    }
                    continue;
                }
                let client = match &stage.user {
                    Some(user) => Some(cluster.client_as(user).await?),
                    None => None,
                };
                // The first that must be refused tells when the policy is in force.
                for (object, _) in stage.expected.iter().filter(|(_, says)| !says.is_empty()).take(1) {
                    hcb_testbed::wait_for(&format!("{policy} in {}", stage.namespace), IN_FORCE, async || {
                        Ok(verdict(&applier, client.as_ref(), object).await?.is_some())
                    })
                    .await?;
                }
                for (object, says) in &stage.expected {
                    let name = &object["metadata"]["name"];
                    match (verdict(&applier, client.as_ref(), object).await?, says.as_slice()) {
                        (None, []) => passed += 1,
                        (Some(said), []) => wrong.push(format!("{policy}: {name} must pass: {said}")),
                        (None, _) => wrong.push(format!("{policy}: {name} must be refused: {says:?}")),
                        (Some(said), says) => {
                            let prefix = format!("ValidatingAdmissionPolicy '{policy}' with binding '{}' denied request: ", stage.namespace);
                            let message = said.split_once(&prefix).map(|(_, message)| message);
                            if message.is_some_and(|message| says.iter().any(|expected| expected == message)) {
                                refused += 1;
                            } else {
                                wrong.push(format!("{policy}: {name}: expected {says:?}, said {said}"));
                            }
                        }
                    }
                }
            }
            anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
            hcb_testbed::say(&format!("{refused} examples refused in the same words, {passed} let pass"));
            anyhow::ensure!(refused >= 50 && passed >= 40, "{refused} refused, {passed} passed");
            Ok(())
        })
        .await
}

/// The tests of the built-in policies about manifests, with what hcb says of each object.
fn suites() -> Vec<Suite> {
    let files = library::built_in_files()
        .map(|(path, text)| (path.into(), text))
        .collect();
    let mut diagnostics = hcb_source::diag::Diagnostics::default();
    let mut suites = suite::run(
        &files,
        &mut hcb_source::source::Sources::default(),
        &mut diagnostics,
    );
    suites.retain(|suite| matches!(policy(&suite.policy).subject, Subject::Admission(_)));
    suites
}

fn policy(name: &str) -> &'static hcb_compile::policy::Policy {
    library::built_in()
        .iter()
        .find(|policy| policy.name == name)
        .unwrap_or_else(|| panic!("there is no policy {name}"))
}

/// Brings a policy into force, once for each of its tests that has parameters of its own.
async fn stage(
    applier: &Applier<'_>,
    cluster: &Cluster,
    suite: &Suite,
) -> Result<Vec<(String, Stage)>> {
    let Subject::Admission(admission) = &policy(&suite.policy).subject else {
        return Ok(Vec::new());
    };
    applier.apply(&admission.policy.document).await?;
    let mut stages: BTreeMap<String, Stage> = BTreeMap::new();
    // Which namespaces are guarded is a matter of the binding, which is another one here.
    for (number, case) in suite
        .cases
        .iter()
        .enumerate()
        .filter(|(_, case)| case.is_guarded)
    {
        let is_plain = case.params.is_empty() && case.user.is_none() && !case.is_update;
        let namespace = if is_plain {
            suite.policy.clone()
        } else {
            format!("{}-{number}", suite.policy)
        };
        if !stages.contains_key(&namespace) {
            cluster.create_namespace(&namespace, &[]).await?;
            // The account of the pods in the examples.
            let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "train", "namespace": namespace}});
            applier.apply(&account).await?;
            for binding in &admission.bindings {
                let mut binding = binding.document.clone();
                binding["metadata"]["name"] = namespace.as_str().into();
                binding["spec"]["validationActions"] = json!(["Deny"]);
                let is_guarded = binding["spec"].get("matchResources").is_some();
                if is_guarded {
                    let labels = json!({"kubernetes.io/metadata.name": namespace});
                    binding["spec"]["matchResources"]["namespaceSelector"]["matchLabels"] = labels;
                }
                if let Some(params) = &admission.params {
                    let mut params = params.clone();
                    params["metadata"]["name"] = namespace.as_str().into();
                    for (name, value) in &case.params {
                        params["data"][name] = value.clone();
                    }
                    applier.apply(&params).await?;
                    binding["spec"]["paramRef"]["name"] = namespace.as_str().into();
                }
                applier.apply(&binding).await?;
            }
        }
        let stage = stages.entry(namespace.clone()).or_insert_with(|| Stage {
            namespace: namespace.clone(),
            expected: Vec::new(),
            user: case.user.clone(),
            is_update: case.is_update,
        });
        for object in &case.objects {
            let text = |key: &Value| key.as_str().unwrap_or_default().to_owned();
            let subject = format!(
                "{} `{}`",
                text(&object["kind"]),
                text(&object["metadata"]["name"])
            );
            let says = case.violations.iter().filter(|(of, _)| *of == subject);
            let mut object = object.clone();
            if object["metadata"].get("namespace").is_some() {
                object["metadata"]["namespace"] = namespace.as_str().into();
            }
            stage
                .expected
                .push((object, says.map(|(_, message)| message.clone()).collect()));
        }
    }
    Ok(stages
        .into_values()
        .map(|stage| (suite.policy.clone(), stage))
        .collect())
}

/// The Secrets of an object's namespace, as seen by a client.
fn secrets(client: &kube::Client, object: &Value) -> Api<DynamicObject> {
    let namespace = object["metadata"]["namespace"]
        .as_str()
        .unwrap_or("default");
    let resource = ApiResource::erase::<Secret>(&());
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// What the API server says against creating an object; nothing is kept.
async fn verdict(
    applier: &Applier<'_>,
    client: Option<&kube::Client>,
    object: &Value,
) -> Result<Option<String>> {
    let (mut api, _) = applier.api(object).await?;
    if let Some(client) = client {
        api = secrets(client, object);
    }
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match api
        .create(&parameters, &serde_json::from_value(object.clone())?)
        .await
    {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message)),
        Err(error) => Err(error.into()),
    }
}

/// Jobs, the pods that stand in for others, and those that run elsewhere, on GPUs too, are what hcb and
/// Admiralty make of them; policies are in force in both clusters all the while.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_burst_with_all_policies_in_force() -> Result<()> {
    let Some((scenario, hybrid)) = Hybrid::of("gpus", Setup::Reconciled).await? else {
        return Ok(());
    };
    for name in ["private", "public"] {
        let cluster = hybrid.testbed.cluster(name);
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), "ml");
        let bad: Pod = serde_json::from_value(json!({
            "metadata": {"name": "jumps-the-queue", "namespace": "ml"},
            "spec": {
                "automountServiceAccountToken": false,
                "tolerations": [{"key": "hcb.dev/gate", "operator": "Exists"}],
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "main",
                    "image": "registry.example.com/train:1.0.0",
                    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        }))?;
        let parameters = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let mut said = String::new();
        hcb_testbed::wait_for(
            &format!("policies in {name}"),
            IN_FORCE,
            async || match pods.create(&parameters, &bad).await {
                Ok(_) => Ok(false),
                Err(kube::Error::Api(status)) => {
                    said = status.message;
                    Ok(said.contains("ValidatingAdmissionPolicy"))
                }
                Err(error) => Err(error.into()),
            },
        )
        .await?;
        anyhow::ensure!(
            said.contains("'hcb-closed-gates' denied request: the pod tolerates hcb.dev/gate, and would burst past the tiers and the budget")
                || said.contains("denied request: the pod tolerates hcb.dev/gate, and would burst past the tiers and the budget"),
            "{said}"
        );
    }
    scenario.play(&hybrid, Duration::from_secs(40)).await?;
    hybrid.testbed.keep("policies-gpus").await?;
    // A job of hcb's has one pod in the source, and one more wherever it runs.
    let stand_ins = pods_with(hybrid.source(), "admiralty-proxy").await?;
    anyhow::ensure!(stand_ins.len() == 14, "{} pods of 14 jobs", stand_ins.len());
    let mut ran = BTreeMap::new();
    for name in ["private", "public"] {
        let there = pods_with(hybrid.testbed.cluster(name), "admiralty-candidate").await?;
        let started = there.iter().filter(|pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Running" | "Succeeded"))
        });
        ran.insert(name, started.count());
    }
    let at = |name: &str| ran.get(name).copied().unwrap_or_default();
    anyhow::ensure!(at("private") + at("public") == 14, "{ran:?}");
    anyhow::ensure!(
        at("public") >= 2,
        "two of the six GPU jobs do not fit at home: {ran:?}"
    );
    Ok(())
}

/// The pods of a cluster that a scheduler of Admiralty's is asked to place.
async fn pods_with(cluster: &Cluster, scheduler: &str) -> Result<Vec<Pod>> {
    let mut pods = cluster.pods().await?;
    pods.retain(|pod| {
        let named = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.scheduler_name.as_deref());
        named == Some(scheduler)
    });
    Ok(pods)
}
