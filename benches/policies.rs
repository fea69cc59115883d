//! How long it takes to evaluate many policies on many manifests:
//!
//! ```sh
//! cargo bench --bench policies                         # 100,000 manifests, 20 policies
//! cargo bench --bench policies -- 10000 20 target/peers  # and as files, for other tools
//! ```
//!
//! Half of the policies are for workloads, the others for all kinds, so that a manifest is matched
//! against all of them and evaluated by some. `benches/peers/policies/compare.sh 2000` measures the
//! evaluator of the API server and the command line of kyverno on the same files.
#![allow(clippy::print_stdout)]

use hcb_compile::policy::admission::{AdmissionPolicy, Binding, Request, Resource};
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use hcb_source::yaml;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let number = |index: usize, default: usize| {
        arguments
            .get(index)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let (count, policies) = (number(0, 100_000), number(1, 20));
    let manifests: Vec<Value> = (0..count).map(manifest).collect();
    let documents: Vec<(Value, Value)> = (0..policies).map(policy).collect();
    if let Some(folder) = arguments.get(2) {
        write(Path::new(folder), &manifests, &documents);
    }
    let begun = Instant::now();
    let compiled: Vec<(AdmissionPolicy, Binding)> = documents
        .iter()
        .map(|(policy, binding)| {
            (
                read(policy, AdmissionPolicy::read),
                read(binding, |node, _, found| Binding::read(node, found)),
            )
        })
        .collect();
    println!("{policies} policies compiled in {:.1?}", begun.elapsed());

    let evaluate = |manifest: &Value| -> usize {
        let request = Request::create(resource(manifest), manifest);
        compiled
            .iter()
            .map(|(policy, binding)| policy.evaluate(binding, &[], &request).len())
            .sum()
    };
    let begun = Instant::now();
    let found: usize = manifests.iter().map(evaluate).sum();
    report("one thread", count, policies, found, begun);
    let begun = Instant::now();
    let found: usize = manifests.par_iter().map(evaluate).sum();
    let threads = rayon::current_num_threads();
    report(&format!("{threads} threads"), count, policies, found, begun);
}

fn report(how: &str, manifests: usize, policies: usize, found: usize, begun: Instant) {
    let elapsed = begun.elapsed();
    let pairs = (manifests * policies) as f64;
    println!(
        "{how}: {manifests} manifests x {policies} policies in {elapsed:.2?}: {:.0} ns a pair, {found} violations",
        elapsed.as_secs_f64() * 1e9 / pairs
    );
}

fn read<T>(document: &Value, read: impl Fn(&yaml::Node, &str, &mut Diagnostics) -> Option<T>) -> T {
    let mut sources = Sources::default();
    let text = yaml::to_string(document);
    let id = sources.add("policy.yaml", text.clone());
    let mut diagnostics = Diagnostics::default();
    let nodes = yaml::read(id, &text, &mut diagnostics);
    let read = read(&nodes[0], &text, &mut diagnostics);
    read.unwrap_or_else(|| panic!("{diagnostics:#?}"))
}

fn resource(manifest: &Value) -> Resource<'_> {
    let (group, kind, resource) = match manifest["kind"].as_str() {
        Some("Job") => ("batch", "Job", "jobs"),
        Some("Deployment") => ("apps", "Deployment", "deployments"),
        Some("Service") => ("", "Service", "services"),
        _ => ("", "ConfigMap", "configmaps"),
    };
    Resource {
        group,
        version: "v1",
        kind,
        resource,
        subresource: "",
    }
}

/// Jobs, Deployments, Services and `ConfigMaps` in turn; every tenth has something wrong.
fn manifest(index: usize) -> Value {
    let tag = if index.is_multiple_of(10) {
        "latest"
    } else {
        "1.0.3"
    };
    let metadata = json!({
        "name": format!("object-{index}"), "namespace": format!("team-{}", index % 50),
        "labels": {"app": format!("app-{}", index % 100), "team": format!("team-{}", index % 50)},
    });
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example.com/{name}:{tag}"),
            "env": [{"name": "MODE", "value": "train"}, {"name": "LEVEL", "value": "info"}],
            "ports": [{"name": "http", "containerPort": 8080}],
            "resources": {
                "limits": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"},
                "requests": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "1"},
            },
            "securityContext": {"runAsNonRoot": true, "allowPrivilegeEscalation": false},
        })
    };
    let template = json!({
        "metadata": {"labels": {"app": format!("app-{}", index % 100)}},
        "spec": {"restartPolicy": "Never", "containers": [container("main"), container("side")]},
    });
    match index % 4 {
        0 => {
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"parallelism": 2, "template": template}})
        }
        1 => {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "a"}}, "template": template}})
        }
        2 => {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"type": "ClusterIP", "ports": [{"port": 80}]}})
        }
        _ => {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": "value"}})
        }
    }
}

/// What teams ask of manifests, with a number so that no two are the same.
fn policy(index: usize) -> (Value, Value) {
    let workloads = [
        "variables.containers.all(c, !c.image.endsWith(':latest'))",
        "variables.containers.all(c, has(c.resources.limits) && 'cpu' in c.resources.limits)",
        "variables.containers.all(c, quantity(c.resources.limits.memory).isLessThan(quantity('64Gi')))",
        "variables.containers.all(c, c.image.matches('^registry\\\\.example\\\\.com/[a-z0-9/-]+:[a-z0-9.]+$'))",
        "variables.containers.all(c, c.?securityContext.?runAsNonRoot.orValue(false) == true)",
        "!variables.containers.exists(c, 'nvidia.com/gpu' in c.resources.limits && int(c.resources.limits['nvidia.com/gpu']) > 8)",
        "variables.containers.all(c, !has(c.env) || c.env.all(e, has(e.value)))",
        "variables.containers.map(c, c.name).all(n, n.size() < 64)",
        "variables.containers.all(c, c.ports.all(p, p.containerPort > 1024))",
        "object.spec.template.spec.restartPolicy in ['Never', 'OnFailure']",
    ];
    let all = [
        "has(object.metadata.labels) && 'team' in object.metadata.labels",
        "object.metadata.name.size() <= 63",
        "request.namespace != 'default'",
        "object.metadata.labels.all(k, v, v != '')",
        "object.metadata.namespace.startsWith('team-')",
    ];
    let name = format!("policy-{index}");
    let is_for_workloads = index.is_multiple_of(2);
    let mut spec = if is_for_workloads {
        json!({
            "matchConstraints": {"resourceRules": [
                {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["jobs"]},
                {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]},
            ]},
            "variables": [{"name": "containers", "expression": "object.spec.template.spec.containers"}],
        })
    } else {
        json!({"matchConstraints": {"resourceRules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["*"]},
        ]}})
    };
    let expression = if is_for_workloads {
        workloads[index / 2 % workloads.len()]
    } else {
        all[index / 2 % all.len()]
    };
    spec["validations"] = json!([{
        "expression": expression,
        "messageExpression": "object.kind + ' ' + object.metadata.name + ' is not allowed'",
    }]);
    let document = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": name}, "spec": spec,
        })
    };
    (
        document("ValidatingAdmissionPolicy", spec),
        document(
            "ValidatingAdmissionPolicyBinding",
            json!({"policyName": name, "validationActions": ["Deny"]}),
        ),
    )
}

/// Manifests and policies as files of many documents, for other tools.
fn write(folder: &Path, manifests: &[Value], documents: &[(Value, Value)]) {
    std::fs::create_dir_all(folder).expect("a folder");
    let join = |documents: &mut dyn Iterator<Item = &Value>| {
        documents
            .map(yaml::to_string)
            .collect::<Vec<_>>()
            .join("---\n")
    };
    let policies = documents
        .iter()
        .flat_map(|(policy, binding)| [policy, binding]);
    std::fs::write(
        folder.join("policies.yaml"),
        join(&mut policies.into_iter()),
    )
    .expect("a file");
    std::fs::write(folder.join("manifests.yaml"), join(&mut manifests.iter())).expect("a file");
}
