//! The strict check of manifests against the embedded catalogue of schemas.

use std::collections::BTreeSet;

use hcb_kubernetes::schema::{self, KubernetesVersion, Scope, Violation};
use hcb_source::diag::nearest;
use serde_json::Value;

const NEWEST: KubernetesVersion = KubernetesVersion::new(1, 36);

fn manifest(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// Checks a manifest against the schema of the kind that it names.
fn check(kubernetes: KubernetesVersion, yaml: &str) -> Vec<Violation> {
    let manifest = manifest(yaml);
    let name = |field: &str| manifest[field].as_str().expect("a kind").to_owned();
    let (api_version, kind) = (name("apiVersion"), name("kind"));
    schema::validator(kubernetes, &api_version, &kind)
        .unwrap_or_else(|| panic!("{api_version} {kind} is not known in {kubernetes}"))
        .check(&manifest)
}

/// The known name or value that is nearest to an unknown one.
fn meant(found: &Violation) -> Option<&str> {
    let unknown = found.unknown.as_ref()?;
    nearest(&unknown.name, unknown.known())
}

/// A violation in one line.
fn lines(violations: &[Violation]) -> Vec<String> {
    violations
        .iter()
        .map(|found| match meant(found) {
            Some(meant) => format!("{}: {} -> {meant}", found.pointer, found.message),
            None => format!("{}: {}", found.pointer, found.message),
        })
        .collect()
}

#[test]
fn every_kind_of_every_version_compiles() {
    for &kubernetes in schema::supported_kubernetes() {
        let kinds = schema::kinds(kubernetes);
        assert!(
            kinds.len() > 100,
            "{kubernetes} has only {} kinds",
            kinds.len()
        );
        for (api_version, kind) in kinds {
            assert!(
                schema::validator(kubernetes, api_version, kind).is_some(),
                "{api_version} {kind} in {kubernetes}"
            );
        }
    }
}

#[test]
fn supported_versions_are_those_of_the_catalogue() {
    let sources = schema::sources();
    let kubernetes = sources
        .iter()
        .find(|source| source.project == "kubernetes")
        .expect("a source");
    let minors: Vec<&str> = kubernetes
        .version
        .split(", ")
        .filter_map(|version| version.strip_prefix('v')?.rsplit_once('.'))
        .map(|(minor, _)| minor)
        .collect();
    let supported: Vec<String> = schema::supported_kubernetes()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(supported, minors);
}

#[test]
fn every_source_names_its_module_and_licence() {
    let sources = schema::sources();
    let files: BTreeSet<String> = std::fs::read_dir("schemas")
        .expect("the catalogue")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".jsonl")?.to_owned()))
        .collect();
    let projects: BTreeSet<String> = sources
        .iter()
        .map(|source| source.project.clone())
        .collect();
    assert_eq!(projects, files, "every file of the catalogue is embedded");
    for source in sources {
        assert!(source.module.contains('.'), "{source:?}");
        assert!(
            ["Apache-2.0", "MIT"].contains(&source.license.as_str()),
            "{source:?}"
        );
        assert!(
            source.handwritten || source.version.starts_with('v'),
            "{source:?}"
        );
    }
}

#[test]
fn versions_are_parsed_and_printed() {
    for text in ["1.32", "1.36", "2.0"] {
        let version: KubernetesVersion = text.parse().expect(text);
        assert_eq!(version.to_string(), text);
    }
    for text in [
        "", "1", "1.", "v1.34", "1.34.1", "1.034", "+1.34", "1.x", "1.99999",
    ] {
        let error = text.parse::<KubernetesVersion>().expect_err(text);
        assert_eq!(
            error.to_string(),
            format!("{text:?} is not a Kubernetes version such as \"1.34\"")
        );
    }
    assert!(KubernetesVersion::new(1, 9) < KubernetesVersion::new(1, 10));
}

#[test]
fn kinds_have_the_scope_of_the_kubernetes_api() {
    for (api_version, kind, scope) in [
        ("v1", "Namespace", Scope::Cluster),
        ("v1", "ConfigMap", Scope::Namespaced),
        (
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            Scope::Cluster,
        ),
        ("rbac.authorization.k8s.io/v1", "Role", Scope::Namespaced),
        (
            "multicluster.admiralty.io/v1alpha1",
            "ClusterTarget",
            Scope::Cluster,
        ),
        (
            "multicluster.admiralty.io/v1alpha1",
            "Target",
            Scope::Namespaced,
        ),
        ("karpenter.sh/v1", "NodePool", Scope::Cluster),
        ("argoproj.io/v1alpha1", "Application", Scope::Namespaced),
        (
            "external-secrets.io/v1",
            "ClusterSecretStore",
            Scope::Cluster,
        ),
    ] {
        let validator = schema::validator(NEWEST, api_version, kind).expect(kind);
        assert_eq!(validator.scope(), scope, "{kind}");
    }
}

#[test]
fn kinds_come_and_go_with_the_version() {
    let versions = |api_version, kind| {
        let known = schema::known_in(api_version, kind);
        known
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mutating = "MutatingAdmissionPolicy";
    for (api_version, kind, known) in [
        ("admissionregistration.k8s.io/v1", mutating, "1.36"),
        (
            "admissionregistration.k8s.io/v1beta1",
            mutating,
            "1.34 1.35 1.36",
        ),
        (
            "admissionregistration.k8s.io/v1beta1",
            "ValidatingAdmissionPolicy",
            "1.32 1.33",
        ),
        ("resource.k8s.io/v1", "ResourceClaim", "1.34 1.35 1.36"),
        ("batch/v1", "Job", "1.32 1.33 1.34 1.35 1.36"),
        ("istio.io/v1", "Nothing", ""),
    ] {
        assert_eq!(versions(api_version, kind), known, "{api_version} {kind}");
    }
    for (minor, is_known) in [(32, false), (35, false), (36, true)] {
        let kubernetes = KubernetesVersion::new(1, minor);
        let found = schema::validator(kubernetes, "admissionregistration.k8s.io/v1", mutating);
        assert_eq!(found.is_some(), is_known, "{kubernetes}");
    }
    assert!(schema::validator(KubernetesVersion::new(1, 20), "batch/v1", "Job").is_none());
}

#[test]
fn a_field_is_accepted_from_the_version_that_introduced_it() {
    let job = "
apiVersion: batch/v1
kind: Job
metadata: {name: train}
spec:
  template:
    spec:
      restartPolicy: Never
      hostnameOverride: here
      containers: [{name: train, image: train}]
";
    let refused = check(KubernetesVersion::new(1, 33), job);
    assert_eq!(
        lines(&refused),
        ["/spec/template/spec/hostnameOverride: unknown field \"hostnameOverride\""]
    );
    assert_eq!(lines(&check(KubernetesVersion::new(1, 34), job)), [""; 0]);
}

#[test]
fn the_validator_of_a_kind_is_compiled_only_once() {
    let first = schema::validator(NEWEST, "batch/v1", "Job").expect("a known kind");
    let second = schema::validator(NEWEST, "batch/v1", "Job").expect("a known kind");
    assert!(std::sync::Arc::ptr_eq(&first, &second));
}

#[test]
fn the_schema_keeps_the_merge_keys_of_lists() {
    let job = schema::validator(NEWEST, "batch/v1", "Job").expect("a known kind");
    let containers = "/$defs/io.k8s.api.core.v1.PodSpec/properties/containers";
    let containers = job.schema().pointer(containers).expect("a list");
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-list-map-keys"][0], "name");
}

#[test]
fn valid_manifests_pass_in_every_version() {
    for yaml in include_str!("schema/valid.yaml").split("\n---\n") {
        for &kubernetes in schema::supported_kubernetes() {
            assert_eq!(
                lines(&check(kubernetes, yaml)),
                [""; 0],
                "{kubernetes}: {yaml}"
            );
        }
    }
}

/// Each case is a manifest below the lines of its violations. With `SNAPSHOTS=overwrite` in the
/// environment the test updates those lines; read them before you commit them.
#[test]
fn invalid_manifests_are_explained() {
    let explained: Vec<String> = include_str!("schema/invalid.yaml")
        .split("---\n")
        .map(|case| {
            let yaml: String = case
                .split_inclusive('\n')
                .filter(|line| !line.starts_with("#! "))
                .collect();
            let violations = lines(&check(NEWEST, &yaml));
            assert!(!violations.is_empty(), "{yaml}");
            format!("#! {}\n{yaml}", violations.join("\n#! "))
        })
        .collect();
    snapbox::assert_data_eq!(
        explained.join("---\n"),
        snapbox::file!["schema/invalid.yaml"].raw()
    );
}
