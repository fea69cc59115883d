//! hcb evaluates policies as a real API server does: each case of `tests/cel/` becomes a policy
//! with a binding of its own, and a request is tried on both. `HCB_UPDATE=1` records the API
//! server's answers for the main crate's test `cel`; `HCB_CEL=NAME` tries one file.

#[path = "../../common/cel.rs"]
#[allow(dead_code)]
mod cel;

use anyhow::{Context, Result, bail};
use cel::{Answer, Case, GROUP, NAMESPACE, Topic, answers_path, evaluate, is_right, topics};
use futures::{StreamExt, TryStreamExt, stream};
use hcb_compile::policy::admission::Operation;
use hcb_testbed::apply::Applier;
use hcb_testbed::{Cluster, ClusterPlan, Testbed, say, wait_for};
use kube::api::{Api, DeleteParams, DynamicObject, PatchParams, PostParams};
use kube::core::Status;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many requests are under way at once.
const PARALLEL: usize = 24;

const SOON: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn hcb_and_a_real_api_server_give_the_same_verdicts() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let wanted = std::env::var("HCB_CEL").ok();
    let topics: Vec<Topic> = topics()
        .into_iter()
        .filter(|topic| wanted.as_ref().is_none_or(|wanted| *wanted == topic.file))
        .collect();
    let plan = ClusterPlan {
        name: "parity".into(),
        pools: Vec::new(),
    };
    let testbed = Testbed::start(&[plan]).await?;
    testbed
        .run("parity", async |testbed| {
            let cluster = testbed.cluster("parity");
            prepare(cluster).await?;
            let begun = Instant::now();
            let answers = ask(&Applier::new(cluster), &topics).await?;
            let count: usize = topics.iter().map(|topic| topic.cases.len()).sum();
            say(&format!("{count} cases in {:.1?}", begun.elapsed()));
            compare(&topics, &answers)
        })
        .await
}

async fn prepare(cluster: &Cluster) -> Result<()> {
    cluster
        .create_namespace(NAMESPACE, &[("team", "cel")])
        .await?;
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{GROUP}")},
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {"spec": free}},
            }}],
        },
    });
    Applier::new(cluster).apply_definitions(&[definition]).await
}

/// What the API server says to all cases.
async fn ask(applier: &Applier<'_>, topics: &[Topic]) -> Result<BTreeMap<String, Answer>> {
    let cases: Vec<&Case> = topics.iter().flat_map(|topic| &topic.cases).collect();
    // What is there before any policy is: parameters, and objects that are changed or deleted.
    for case in &cases {
        for object in case.params.iter().chain(Some(&case.old_object)) {
            if object.is_object() {
                applier
                    .apply(object)
                    .await
                    .with_context(|| format!("{}: an object that must be there", case.name))?;
            }
        }
    }
    let created: Vec<(&Case, bool)> = stream::iter(&cases)
        .map(|case| async move { anyhow::Ok((*case, create(applier, case).await?)) })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    // Policies are in force in the order in which they came: the last is asked for.
    let last = sentinel();
    create(applier, &last).await?;
    wait_for("the policies to be in force", SOON, async || {
        Ok(request(applier, &last).await? != Answer::Allowed)
    })
    .await?;
    stream::iter(created)
        .map(|(case, is_created)| async move {
            let answer = if is_created {
                settled(applier, case).await?
            } else {
                Answer::Refused
            };
            anyhow::Ok((case.name.clone(), answer))
        })
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

/// A policy that denies everything, to see when policies are in force.
fn sentinel() -> Case {
    let name = "sentinel".to_owned();
    let labels = json!({"case": name});
    let document = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": name}, "spec": spec,
        })
    };
    Case {
        title: name.clone(),
        policy: document(
            "ValidatingAdmissionPolicy",
            json!({
                "matchConstraints": {
                    "objectSelector": {"matchLabels": labels},
                    "resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}],
                },
                "validations": [{"expression": "false"}],
            }),
        ),
        binding: document(
            "ValidatingAdmissionPolicyBinding",
            json!({"policyName": name, "validationActions": ["Deny"]}),
        ),
        params: Vec::new(),
        object: json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "Thing",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        }),
        old_object: Value::Null,
        operation: Operation::Create,
        divergence: None,
        name,
    }
}

/// Creates the policy of a case and its binding; whether the API server takes it.
async fn create(applier: &Applier<'_>, case: &Case) -> Result<bool> {
    for document in [&case.policy, &case.binding] {
        let (api, _) = applier.api(document).await?;
        let object: DynamicObject = serde_json::from_value(document.clone())?;
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => {}
            Err(kube::Error::Api(error)) if error.code == 422 || error.code == 400 => {
                if std::env::var_os("HCB_SHOW").is_some() {
                    say(&format!(
                        "{}: {}\n  {}",
                        case.name, case.title, error.message
                    ));
                }
                return Ok(false);
            }
            Err(error) => return Err(error).context(case.name.clone()),
        }
    }
    Ok(true)
}

/// The answer, once parameters have reached the API server's memory as well.
async fn settled(applier: &Applier<'_>, case: &Case) -> Result<Answer> {
    let begun = Instant::now();
    loop {
        let answer = request(applier, case).await?;
        let is_early = matches!(&answer, Answer::Denied { message, .. }
            if message.contains("not yet synced") || message.contains("no params found"));
        let may_wait = !case.params.is_empty() && begun.elapsed() < Duration::from_secs(20);
        if !(is_early && may_wait) {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Tries the request of a case; nothing is stored.
async fn request(applier: &Applier<'_>, case: &Case) -> Result<Answer> {
    let subject = if case.operation == Operation::Delete {
        &case.old_object
    } else {
        &case.object
    };
    let (api, name): (Api<DynamicObject>, String) = applier.api(subject).await?;
    let object: DynamicObject = serde_json::from_value(subject.clone())?;
    let parameters = PostParams {
        dry_run: true,
        field_manager: None,
    };
    let result = match case.operation {
        Operation::Create => api.create(&parameters, &object).await.map(drop),
        Operation::Update => {
            let patch = PatchParams {
                dry_run: true,
                ..PatchParams::default()
            };
            api.patch(&name, &patch, &kube::api::Patch::Merge(&case.object))
                .await
                .map(drop)
        }
        Operation::Delete => api
            .delete(&name, &DeleteParams::default().dry_run())
            .await
            .map(drop),
        Operation::Connect => bail!("no connections are tried"),
    };
    match result {
        Ok(()) => Ok(Answer::Allowed),
        Err(kube::Error::Api(error)) => denied(&error).with_context(|| case.name.clone()),
        Err(error) => Err(error).context(case.name.clone()),
    }
}

fn denied(error: &Status) -> Result<Answer> {
    let (_, message) = error
        .message
        .split_once("denied request: ")
        .with_context(|| format!("not by a policy: {}", error.message))?;
    Ok(Answer::Denied {
        message: message.to_owned(),
        reason: error.reason.clone(),
    })
}

/// Both answers of each case, and the recorded one, must be the same.
fn compare(topics: &[Topic], answers: &BTreeMap<String, Answer>) -> Result<()> {
    let update = std::env::var_os("HCB_UPDATE").is_some();
    let mut wrong = Vec::new();
    for topic in topics {
        let mut recorded = BTreeMap::new();
        for case in &topic.cases {
            let said = &answers[&case.name];
            let ours = evaluate(case);
            if !is_right(case, &ours, said) {
                wrong.push(format!(
                    "{}: {}\n  API server: {said:?}\n  hcb:        {ours:?}",
                    case.name, case.title
                ));
            }
            if !update && topic.answers.get(&case.name) != Some(said) {
                wrong.push(format!(
                    "{}: the answer that is recorded differs: {:?}",
                    case.name,
                    topic.answers.get(&case.name)
                ));
            }
            recorded.insert(case.name.clone(), said.clone());
        }
        if update {
            let path = answers_path(&topic.file);
            std::fs::create_dir_all(path.parent().context("a folder")?)?;
            let mut text = serde_json::to_string_pretty(&recorded)?;
            text.push('\n');
            std::fs::write(path, text)?;
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} answers differ:\n{}", wrong.len(), wrong.join("\n"))
}
