//! What containers may do to the node.

use crate::context::{Context, Effects, Rule};
use crate::pods::containers;
use crate::report::Level;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "pod-privileges",
    about: "pods may do more to their node",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, template, before, after) in context.pod_templates() {
        let (was, is) = (powers(before, template), powers(after, template));
        for power in is.iter().filter(|power| !was.contains(power)) {
            effects.of_pair(index, Level::Danger, power.clone());
        }
    }
}

/// What pods of a template may do beyond the least.
fn powers(object: &Value, template: &[&str]) -> Vec<String> {
    let mut powers = Vec::new();
    let pod = template
        .iter()
        .try_fold(object, |value, key| value.get(key))
        .and_then(|template| template.get("spec"));
    let Some(pod) = pod else { return powers };
    for (field, text) in [
        ("hostNetwork", "its pods use the network of the node"),
        ("hostPID", "its pods see the processes of the node"),
        ("hostIPC", "its pods share memory with the node"),
    ] {
        if pod[field] == true {
            powers.push(text.to_owned());
        }
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        if let Some(path) = volume.pointer("/hostPath/path").and_then(Value::as_str) {
            powers.push(format!("its pods mount {path} of the node"));
        }
    }
    let of_pod = &pod["securityContext"];
    for (name, container) in containers(object, template) {
        let of_container = &container["securityContext"];
        let either = |field: &str| {
            let own = &of_container[field];
            if own.is_null() { &of_pod[field] } else { own }
        };
        if of_container["privileged"] == true {
            powers.push(format!("container {name} is privileged"));
        }
        if of_container["allowPrivilegeEscalation"] != false {
            powers.push(format!("container {name} may gain privileges"));
        }
        if either("runAsNonRoot") != true {
            powers.push(format!("container {name} may run as root"));
        }
        if of_container["readOnlyRootFilesystem"] != true {
            powers.push(format!("container {name} may write to its own file system"));
        }
        for capability in of_container
            .pointer("/capabilities/add")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            powers.push(format!(
                "container {name} has the capability {}",
                crate::fields::plain(capability)
            ));
        }
        let drops = of_container
            .pointer("/capabilities/drop")
            .and_then(Value::as_array);
        if !drops.is_some_and(|drops| drops.iter().any(|drop| drop == "ALL")) {
            powers.push(format!("container {name} keeps the default capabilities"));
        }
        let seccomp = either("seccompProfile");
        if seccomp["type"] == "Unconfined" || seccomp.is_null() {
            powers.push(format!("container {name} may use every system call"));
        }
    }
    if pod["automountServiceAccountToken"] != false {
        powers.push("its pods hold a token of their service account".to_owned());
    }
    powers
}
