//! Schemas: every one compiles, good manifests pass, and what the API server would refuse is refused.

use hcb::schema::{KubernetesVersion, Scope, sources, supported_kubernetes, validator};
use serde_json::{Value, json};

const V1_34: KubernetesVersion = KubernetesVersion {
    major: 1,
    minor: 34,
};

/// What is wrong with a manifest, as `pointer: message (suggestion)`.
fn check(manifest: &Value) -> Vec<String> {
    let text = |key: &str| manifest[key].as_str().unwrap_or_default().to_owned();
    let Some(validator) = validator(V1_34, &text("apiVersion"), &text("kind")) else {
        return vec![format!(
            "no schema of {} {}",
            text("apiVersion"),
            text("kind")
        )];
    };
    validator
        .check(manifest)
        .into_iter()
        .map(|violation| match violation.suggestion {
            Some(near) => format!("{}: {} ({near})", violation.pointer, violation.message),
            None => format!("{}: {}", violation.pointer, violation.message),
        })
        .collect()
}

/// A Job with everything that is treacherous: quantities as texts and numbers, a native sidecar.
fn job() -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": "a", "namespace": "b", "labels": { "x": "y" } },
        "spec": {
            "backoffLimit": 3,
            "podFailurePolicy": { "rules": [{
                "action": "Ignore",
                "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }],
            }] },
            "template": { "spec": {
                "restartPolicy": "Never",
                "initContainers": [{ "name": "sidecar", "image": "s", "restartPolicy": "Always" }],
                "containers": [{
                    "name": "main",
                    "image": "i",
                    "resources": { "requests": { "cpu": 1, "memory": "2Gi", "nvidia.com/gpu": "1" } },
                    "readinessProbe": { "httpGet": { "path": "/", "port": "http" } },
                    "livenessProbe": { "httpGet": { "path": "/", "port": 80 } },
                }],
            } },
        },
    })
}

fn with(mut manifest: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match manifest.pointer_mut(parent).expect("a place that is there") {
        Value::Array(items) => items[key.parse::<usize>().expect("an index")] = value,
        parent => parent[key] = value,
    }
    manifest
}

#[test]
fn a_good_job_passes() {
    assert_eq!(check(&job()), [""; 0]);
}

#[test]
fn what_the_api_server_refuses_is_refused_with_a_hint() {
    for (pointer, value, finding) in [
        (
            "/spec/backofLimit",
            json!(3),
            "/spec: unknown field \"backofLimit\" (backoffLimit)",
        ),
        (
            "/metadata/lables",
            json!({}),
            "/metadata: unknown field \"lables\" (labels)",
        ),
        (
            "/spec/backoffLimit",
            json!("3"),
            "/spec/backoffLimit: expected integer, found string \"3\"",
        ),
        (
            "/spec/backoffLimit",
            json!(3_000_000_000_u32),
            "/spec/backoffLimit: must be at most 2147483647",
        ),
        (
            "/spec/template/spec/containers/0/imagee",
            json!("x"),
            "/spec/template/spec/containers/0: unknown field \"imagee\" (image)",
        ),
        (
            "/spec/template/spec/containers/0/command",
            json!(["sleep", 10]),
            "/spec/template/spec/containers/0/command/1: expected string, found number 10",
        ),
        (
            "/spec/template/spec/containers/0/resources/requests/cpu",
            json!(true),
            "/spec/template/spec/containers/0/resources/requests/cpu: expected number or string, found boolean true",
        ),
        (
            "/spec/template/spec/containers/0/env",
            json!([{ "value": "x" }]),
            "/spec/template/spec/containers/0/env/0: missing required field \"name\"",
        ),
        (
            "/spec/template/spec/priorityClassName",
            Value::Null,
            "/spec/template/spec/priorityClassName: expected string, found null",
        ),
    ] {
        let findings = check(&with(job(), pointer, value));
        assert_eq!(findings, [finding], "{pointer}");
    }
}

#[test]
fn custom_resources_are_as_strict() {
    for (manifest, finding) in [
        (
            json!({ "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": { "name": "a" },
                "spec": { "host": "*.local", "trafficPolicy": { "outlierDetection": { "consecutive5xxErrors": 5, "intervall": "10s" } } } }),
            Some("/spec/trafficPolicy/outlierDetection: unknown field \"intervall\" (interval)"),
        ),
        (
            json!({ "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": { "name": "a" },
                "spec": { "mtls": { "mode": "STRIKT" } } }),
            Some(
                "/spec/mtls/mode: string \"STRIKT\" is not one of [\"UNSET\",\"DISABLE\",\"PERMISSIVE\",\"STRICT\"] (STRICT)",
            ),
        ),
        (
            json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": { "name": "a" },
                "spec": { "project": "p", "destination": { "name": "c", "namespace": "n" },
                    "source": { "repoURL": "r", "chart": "c", "targetRevision": "1",
                        "helm": { "valuesObject": { "anything": [1, { "goes": true }] } } } } }),
            None,
        ),
        (
            json!({ "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": { "name": "a" },
                "spec": { "interval": "5m", "chartRef": { "kind": "OCIRepository", "name": "b" }, "values": { "x": { "y": 1 } } } }),
            None,
        ),
        (
            json!({ "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": { "name": "a" },
                "spec": { "interval": "5m", "prune": "yes", "sourceRef": { "kind": "GitRepository", "name": "b" } } }),
            Some("/spec/prune: expected boolean, found string \"yes\""),
        ),
        (
            json!({ "apiVersion": "multicluster.admiralty.io/v1alpha1", "kind": "ClusterTarget", "metadata": { "name": "a" },
                "spec": { "kubeconfigSecret": { "name": "s", "namspace": "n" } } }),
            Some("/spec/kubeconfigSecret: unknown field \"namspace\" (namespace)"),
        ),
        (
            json!({ "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineDeployment", "metadata": { "name": "a" },
                "spec": { "clusterName": "c" } }),
            Some("/spec: missing required field \"selector\""),
        ),
        (
            json!({ "apiVersion": "container.cnrm.cloud.google.com/v1beta1", "kind": "ContainerNodePool", "metadata": { "name": "a" },
                "spec": { "location": "l", "clusterRef": { "name": "c" }, "autoscaling": { "enabled": true } } }),
            Some("/spec/autoscaling: unknown field \"enabled\""),
        ),
    ] {
        let expected: Vec<_> = finding.into_iter().collect();
        let found = check(&manifest);
        // A second complaint about the same object is fine; the expected one must be the first.
        assert_eq!(
            found.iter().take(1).map(String::as_str).collect::<Vec<_>>(),
            expected,
            "{manifest}"
        );
    }
}

#[test]
fn every_schema_compiles_on_every_version() {
    let keys: Vec<(String, String)> = std::fs::read_dir("schemas")
        .expect("the folder of schemas")
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| {
                    line.split_once('@')?
                        .0
                        .strip_prefix("kind/")?
                        .rsplit_once('/')
                })
                .map(|(version, kind)| (version.to_owned(), kind.to_owned()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(keys.len() > 100, "only {} kinds", keys.len());
    for kubernetes in supported_kubernetes() {
        let compiled = keys
            .iter()
            .filter(|(version, kind)| validator(*kubernetes, version, kind).is_some())
            .count();
        assert!(compiled > 90, "{kubernetes}: {compiled}");
    }
}

#[test]
fn scope_and_versions_are_known() {
    let scope = |version: &str, kind: &str| validator(V1_34, version, kind).map(|v| v.scope());
    assert_eq!(scope("v1", "Namespace"), Some(Scope::Cluster));
    assert_eq!(scope("v1", "ConfigMap"), Some(Scope::Namespaced));
    assert_eq!(scope("karpenter.sh/v1", "NodePool"), Some(Scope::Cluster));
    assert_eq!(scope("v1", "Nonsense"), None);
    // MutatingAdmissionPolicy became v1 in 1.36.
    let policy = |minor| {
        let version = KubernetesVersion { major: 1, minor };
        validator(
            version,
            "admissionregistration.k8s.io/v1",
            "MutatingAdmissionPolicy",
        )
        .is_some()
    };
    assert_eq!([34, 36].map(policy), [false, true]);
}

#[test]
fn every_schema_says_where_it_comes_from() {
    let sources = sources();
    assert_eq!(sources.len(), 13);
    assert!(
        sources
            .iter()
            .all(|source| !source.module.is_empty() && source.license == "Apache-2.0")
    );
}
