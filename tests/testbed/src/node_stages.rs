//! How the simulated nodes come up.
//!
//! KWOK makes a node ready the moment it registers, which no cloud does: its network has to be set up
//! first. For nodes that an autoscaler bought that matters. A kubelet registers its node as one that is
//! not ready, and kube-controller-manager keeps a taint on it until it is; schedulers that look meanwhile
//! have looked in vain.

use crate::apply::documents;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::Duration;

/// What Karpenter writes on each node that it bought.
const BOUGHT: &str = r#".metadata.labels["karpenter.sh/nodepool"]"#;
/// The condition that says whether a node can run pods.
const READY: &str = r#".status.conditions.[] | select( .type == "Ready" ) | .status"#;
/// How long a bought node is registered before it is ready.
const NETWORK_SETUP: Duration = Duration::from_secs(10);

/// The stages of KWOK's by which nodes come up, made of the one by which it makes each ready at once.
///
/// # Errors
/// Where `initialize` is not that stage.
pub fn stages(initialize: &str) -> Result<String> {
    let [stage] = <[Value; 1]>::try_from(documents(initialize)?)
        .ok()
        .context("one stage that makes nodes ready")?;
    let at_once = when(stage.clone(), "node-initialize", "DoesNotExist")?;
    let mut later = when(stage, "node-ready", "Exists")?;
    let milliseconds = u64::try_from(NETWORK_SETUP.as_millis())?;
    later["spec"]["delay"] = json!({"durationMilliseconds": milliseconds});
    conditions(&mut later)?.push(json!({"key": READY, "operator": "In", "values": ["False"]}));
    Ok(format!("{at_once}\n---\n{later}"))
}

/// The stage by another name, for nodes that were bought or that were not.
fn when(mut stage: Value, name: &str, bought: &str) -> Result<Value> {
    stage["metadata"]["name"] = name.into();
    conditions(&mut stage)?.push(json!({"key": BOUGHT, "operator": bought}));
    Ok(stage)
}

/// What a node must be for the stage.
fn conditions(stage: &mut Value) -> Result<&mut Vec<Value>> {
    stage["spec"]["selector"]["matchExpressions"]
        .as_array_mut()
        .context("a stage that selects nodes by expressions")
}

/// What makes bought nodes register as kubelets have them: not ready. Written a moment later it would be too
/// late, since kube-controller-manager takes the taint off a node that says nothing.
pub fn registration() -> [Value; 2] {
    let metadata = json!({"name": "testbed-nodes-register-not-ready"});
    let api_version = "admissionregistration.k8s.io/v1beta1";
    let policy = json!({
        "apiVersion": api_version,
        "kind": "MutatingAdmissionPolicy",
        "metadata": metadata,
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nodes"],
            }]},
            "matchConditions": [{
                "name": "bought",
                "expression": "has(object.metadata.labels) && 'karpenter.sh/nodepool' in object.metadata.labels",
            }],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": "Object{status: Object.status{conditions: [\
                    Object.status.conditions{type: 'Ready', status: 'False', reason: 'KubeletNotReady', \
                    message: 'container runtime network not ready'}]}}"},
            }],
        },
    });
    let binding = json!({
        "apiVersion": api_version,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": {"policyName": metadata["name"]},
    });
    [policy, binding]
}
