//! The pods that an object makes.

use crate::kinds;
use hcb_kubernetes::GroupKind;
use serde_json::Value;

/// The template of the pods of a workload of Kubernetes, as keys.
pub(crate) fn pod_template(kind: GroupKind<'_>) -> Option<&'static [&'static str]> {
    match kind {
        kinds::DEPLOYMENT
        | kinds::DAEMON_SET
        | kinds::STATEFUL_SET
        | kinds::REPLICA_SET
        | kinds::JOB => Some(&["spec", "template"]),
        kinds::CRON_JOB => Some(&["spec", "jobTemplate", "spec", "template"]),
        _ => None,
    }
}

/// Every container of a pod template, with its name.
pub(crate) fn containers(object: &Value, template: &[&str]) -> Vec<(String, Value)> {
    let pod = template
        .iter()
        .try_fold(object, |value, key| value.get(key))
        .and_then(|template| template.get("spec"));
    let lists = ["initContainers", "containers"];
    lists
        .iter()
        .filter_map(|list| pod?.get(list)?.as_array())
        .flatten()
        .map(|container| {
            let name = container["name"].as_str().unwrap_or_default();
            (name.to_owned(), container.clone())
        })
        .collect()
}
