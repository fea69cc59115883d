//! Jobs and cron jobs in the source cluster; what their pods need, in every cluster they may run in.

use super::foundation::priority_class;
use super::object_store::{CREDENTIALS, endpoint};
use crate::access::{Target, external_secret};
use crate::providers::{Pair, Providers};
use crate::unit::{Area, SUBMITTED, Unit, Wave};
use hcb_spec::model::{ClusterIndex, Model, Workload};
use hcb_spec::spec::Run;
use serde_json::{Value, json};

/// The environment variable with the folder of the checkpoints.
pub const CHECKPOINTS: &str = "HCB_CHECKPOINTS";

pub(super) fn plan(model: &Model, providers: &Providers<'_>, index: ClusterIndex) -> Vec<Unit> {
    let cluster = &model.clusters[index];
    let mut accounts = Unit::new(index, "workload-accounts", Wave::Services, cluster.location);
    let mut jobs = Unit::new(index, "workloads", Wave::Workloads, cluster.location);
    let mut submitted = Unit::new(index, "submit", Wave::Workloads, cluster.location);
    submitted.area = Area::Submit;
    for workload in &model.workloads {
        // A pod is created in the source wherever it runs, so its account is there too.
        if workload.clusters.contains(&index) || index == model.source {
            accounts.add(
                "workloads/service-account.yaml",
                workload.location,
                json!({ "name": workload.name, "namespace": workload.namespace }),
            );
        }
        if index == model.source {
            secret_environment(&mut accounts, model, workload);
            let (unit, template) = match (workload.spec.run, &workload.spec.schedule) {
                (Run::OnSubmit, _) => (&mut submitted, SUBMITTED),
                (Run::OnSync, Some(_)) => (&mut jobs, "workloads/cron-job.yaml"),
                (Run::OnSync, None) => (&mut jobs, "workloads/job.yaml"),
            };
            unit.add(
                template,
                workload.location,
                context(model, providers, workload),
            );
        }
    }
    vec![accounts, jobs, submitted]
}

/// The Secret with a workload's variables from the secret store.
fn secret_environment(unit: &mut Unit, model: &Model, workload: &Workload) {
    if workload.spec.secret_env.is_empty() {
        return;
    }
    let data: Vec<_> = workload
        .spec
        .secret_env
        .iter()
        .map(|(variable, secret)| {
            let mut reference = json!({ "key": secret.key });
            if let Some(property) = &secret.property {
                reference["property"] = property.as_str().into();
            }
            json!({ "secretKey": variable, "remoteRef": reference })
        })
        .collect();
    let target = Target {
        name: secret_name(workload),
        namespace: &workload.namespace,
        labels: json!({}),
        annotations: json!({}),
        data: Value::Null,
    };
    external_secret(unit, model, workload.location, &target, &json!(data));
}

fn secret_name(workload: &Workload) -> String {
    format!("{}-env", workload.name)
}

fn context(model: &Model, providers: &Providers<'_>, workload: &Workload) -> Value {
    let spec = &workload.spec;
    let engine = providers.scheduling.pod(model, workload);
    let sidecar = providers.mesh.as_ref().and_then(|mesh| mesh.sidecar());
    let mut labels = engine.labels;
    // A pod that never runs a container needs no sidecar.
    if let Some(sidecar) = &sidecar
        && providers.scheduling.has_stand_in_pods()
    {
        labels.extend(sidecar.refusal.iter().cloned());
    }
    let mut tolerations = tolerations(workload);
    tolerations.extend(engine.tolerations);
    let completions = spec.completions.unwrap_or(spec.parallelism);
    let constraints = engine
        .annotations
        .iter()
        .find(|(key, _)| *key == hcb_api::labels::CONSTRAINTS)
        .map(|(_, text)| text.clone());
    json!({
        "name": workload.name,
        "namespace": workload.namespace,
        "cloud": model.name,
        "schedule": spec.schedule,
        "timeZone": spec.time_zone.as_deref().unwrap_or("Etc/UTC"),
        "image": spec.image,
        "command": spec.command,
        "args": spec.args,
        "env": environment(model, workload),
        "requests": workload.requests,
        "limits": limits(workload),
        "parallelism": spec.parallelism.min(completions),
        "completions": completions,
        "indexed": completions > 1,
        "retries": spec.retries,
        "deadlineSeconds": workload.deadline.seconds(),
        "priorityClass": workload.priority.as_deref().map(priority_class),
        "user": spec.user,
        "mesh": sidecar.as_ref().map(|sidecar| json!({
            "requests": sidecar.requests,
            "limits": sidecar.limits,
        })),
        "labels": mapping(labels),
        // Templates of users that were written for 0.1.0 put this into an annotation of their own.
        "constraints": constraints,
        "engineAnnotations": mapping(engine.annotations),
        "meshAnnotations": mapping(sidecar.map(|sidecar| sidecar.annotations).unwrap_or_default()),
        "tolerations": tolerations,
        "gpuProductLabel": hcb_api::labels::GPU_PRODUCT,
        "gpuProduct": spec.resources.gpu.as_ref().and_then(|gpu| gpu.product.as_ref()),
    })
}

fn mapping(pairs: Vec<Pair>) -> Value {
    let pairs = pairs.into_iter();
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.into()));
    Value::Object(pairs.collect())
}

/// Memory, disk and GPUs are limited to what is requested, so that no pod harms its neighbours and
/// the scheduler's arithmetic holds; CPU is not, since it can be shared without harm.
fn limits(workload: &Workload) -> Value {
    workload
        .requests
        .iter()
        .filter(|(resource, _)| *resource != "cpu")
        .map(|(resource, quantity)| (resource.clone(), json!(quantity)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn environment(model: &Model, workload: &Workload) -> Vec<Value> {
    let spec = &workload.spec;
    let plain = |name: &str, value: &str| json!({ "name": name, "value": value });
    let from_secret = |name: &str, secret: &str, key: &str| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": secret, "key": key } } });
    let mut variables = vec![plain("HCB_WORKLOAD", &workload.name)];
    if let Some(store) = model.object_store.as_ref().filter(|_| spec.data_is_used()) {
        variables.extend([
            plain("AWS_ENDPOINT_URL_S3", &endpoint(store)),
            plain("AWS_REGION", &store.region),
            // boto3 reads no other.
            plain("AWS_DEFAULT_REGION", &store.region),
            plain("HCB_S3_ADDRESSING", store.addressing.name()),
            from_secret("AWS_ACCESS_KEY_ID", CREDENTIALS, "accessKeyId"),
            from_secret("AWS_SECRET_ACCESS_KEY", CREDENTIALS, "secretAccessKey"),
        ]);
    }
    for (direction, references) in [("INPUT", &spec.data.inputs), ("OUTPUT", &spec.data.outputs)] {
        for reference in references {
            variables.push(plain(&reference.variable(direction), &reference.url));
        }
    }
    if let Some(folder) = spec.data.checkpoint_folder() {
        variables.push(plain(CHECKPOINTS, &folder));
    }
    // The user of the pod has no home in most images; libraries want to write there.
    if !spec.env.contains_key("HOME") && !spec.secret_env.contains_key("HOME") {
        variables.push(plain("HOME", "/tmp"));
    }
    variables.extend(spec.env.iter().map(|(name, value)| plain(name, value)));
    let secret = secret_name(workload);
    variables.extend(
        spec.secret_env
            .keys()
            .map(|name| from_secret(name, &secret, name)),
    );
    variables
}

/// GPU nodes are commonly kept for pods that ask for GPUs, by a taint of the resource's name.
fn tolerations(workload: &Workload) -> Vec<Value> {
    workload
        .spec
        .resources
        .gpu
        .iter()
        .map(|gpu| json!({ "key": gpu.resource, "operator": "Exists", "effect": "NoSchedule" }))
        .collect()
}
