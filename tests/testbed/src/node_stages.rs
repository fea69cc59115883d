//! How the simulated nodes come up, as stages of KWOK's.
//!
//! KWOK makes a node ready the moment it registers, which no cloud does: its network has to be set up
//! first. For nodes that an autoscaler bought that matters. A kubelet says at once that it is not ready,
//! and kube-controller-manager keeps a taint on the node until it is; schedulers that look meanwhile have
//! looked in vain.

use crate::apply::documents;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::Duration;

/// What Karpenter writes on each node that it bought.
const BOUGHT: &str = r#".metadata.labels["karpenter.sh/nodepool"]"#;
/// The condition that says that a node can run pods.
const READY: &str = r#".status.conditions.[] | select( .type == "Ready" ) | .status"#;
/// How long a bought node is registered before it is ready.
pub const NETWORK_SETUP: Duration = Duration::from_secs(10);

/// The stages by which nodes come up, made of the one by which KWOK makes each ready at once.
///
/// # Errors
/// Where `initialize` is not that stage.
pub fn stages(initialize: &str) -> Result<String> {
    let [stage] = <[Value; 1]>::try_from(documents(initialize)?)
        .ok()
        .context("one stage that makes nodes ready")?;
    let at_once = when(stage.clone(), "node-initialize", "DoesNotExist")?;
    let mut ready = when(stage, "node-ready", "Exists")?;
    let milliseconds = u64::try_from(NETWORK_SETUP.as_millis())?;
    ready["spec"]["delay"] = json!({"durationMilliseconds": milliseconds});
    conditions(&mut ready)?.push(json!({"key": READY, "operator": "In", "values": ["False"]}));
    let registers = json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "node-registers"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Node"},
            "selector": {"matchExpressions": [
                {"key": BOUGHT, "operator": "Exists"},
                {"key": READY, "operator": "DoesNotExist"},
            ]},
            "next": {"statusTemplate": NOT_READY},
        },
    });
    let documents = [at_once, registers, ready].map(|stage| stage.to_string());
    Ok(documents.join("\n---\n"))
}

/// What a kubelet says of its node until the network is there.
const NOT_READY: &str = r#"
{{ $now := Now }}
conditions:
- type: Ready
  status: "False"
  reason: KubeletNotReady
  message: container runtime network not ready
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
"#;

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
