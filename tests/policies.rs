//! The built-in policies and those of the examples do what their tests say. `hcb policy test` runs the
//! same tests.

mod common;

use hcb_compile::compile::{Options, Output, Timings, compile};
use hcb_compile::manifest::Templates;
use hcb_compile::policy::admission::{AdmissionPolicy, Binding, Request, Resource};
use hcb_compile::policy::suite::{self, Suite};
use hcb_compile::policy::{Subject, library};
use hcb_source::diag::{Diagnostics, text};
use hcb_source::source::Sources;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn files(built_in: impl Iterator<Item = (String, String)>) -> BTreeMap<PathBuf, String> {
    built_in.map(|(path, text)| (path.into(), text)).collect()
}

fn run(files: &BTreeMap<PathBuf, String>) -> (Vec<Suite>, Vec<String>) {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let suites = suite::run(files, &mut sources, &mut diagnostics);
    let found = diagnostics.sorted();
    let told = found
        .iter()
        .map(|found| text::render(&[found], &sources, false, 100))
        .collect();
    (suites, told)
}

#[test]
fn every_built_in_policy_does_what_its_tests_say() {
    let (suites, told) = run(&files(library::built_in_files()));
    assert!(told.is_empty(), "{}", told.join("\n"));
    let tested: BTreeSet<_> = suites.iter().map(|suite| suite.policy.as_str()).collect();
    let all: BTreeSet<_> = library::built_in()
        .iter()
        .map(|policy| policy.name.as_str())
        .collect();
    assert_eq!(tested, all);
    assert!(all.len() >= 20, "only {} policies", all.len());
}

#[test]
fn every_validation_of_a_built_in_policy_has_an_object_that_it_refuses() {
    let (suites, _) = run(&files(library::built_in_files()));
    for suite in suites {
        let policy = library::built_in()
            .iter()
            .find(|policy| policy.name == suite.policy)
            .expect("a policy");
        let Subject::Admission(admission) = &policy.subject else {
            continue;
        };
        let validations = admission.policy.document["spec"]["validations"]
            .as_array()
            .expect("validations");
        let said: BTreeSet<_> = suite
            .cases
            .iter()
            .flat_map(|case| &case.violations)
            .map(|(_, message)| message.as_str())
            .collect();
        for validation in validations {
            // A message from an expression starts with its constant part.
            let expected = validation["messageExpression"]
                .as_str()
                .and_then(|expression| expression.split('\'').nth(1))
                .or(validation["message"].as_str())
                .expect("a message");
            assert!(
                said.iter().any(|message| message.starts_with(expected)),
                "{}: nothing shows `{expected}`, only {said:?}",
                suite.policy
            );
        }
    }
}

#[test]
fn every_built_in_policy_has_a_page_that_says_how_to_change_it() {
    for policy in library::built_in() {
        let page = &policy.rule.page;
        let title = format!("# {}: {}\n", policy.name, policy.rule.title);
        assert!(page.starts_with(&title), "{}: {page}", policy.name);
        for heading in ["## Why", "## Example", "## How to change it"] {
            assert!(page.contains(heading), "{}: {heading}", policy.name);
        }
        assert!(policy.help.is_some(), "{}", policy.name);
        assert!(policy.name.starts_with("hcb-"), "{}", policy.name);
    }
}

#[test]
fn pages_of_policies_name_only_policies_and_parameters_that_exist() {
    // The settings in a page are for policies and parameters that exist.
    for policy in library::built_in() {
        for block in policy
            .rule
            .page
            .split("```yaml\n# in HybridCloud, spec\n")
            .skip(1)
        {
            let block = block.split("```").next().expect("the end of a block");
            let known = library::built_in().iter().map(|policy| &policy.name);
            let named = block
                .lines()
                .filter_map(|line| {
                    line.trim()
                        .trim_start_matches("- policy: ")
                        .split(':')
                        .next()
                })
                .filter(|word| word.starts_with("hcb-"));
            for name in named {
                assert!(known.clone().any(|known| known == name), "{name}");
            }
            for line in block.lines().filter(|line| line.contains("params: {")) {
                for param in line
                    .split(['{', ',', '}'])
                    .filter_map(|part| part.trim().split_once(':'))
                {
                    if param.0 != "params" {
                        assert!(
                            policy.params().contains_key(param.0),
                            "{}: {}",
                            policy.name,
                            param.0
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_policies_of_the_large_example_do_what_their_tests_say() {
    let folder = common::example("large").join(library::FOLDER);
    let mut found = BTreeMap::new();
    for policy in std::fs::read_dir(&folder).expect("the policies") {
        for file in std::fs::read_dir(policy.expect("an entry").path()).expect("a policy") {
            let path = file.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a text");
            found.insert(path, text);
        }
    }
    let (suites, told) = run(&found);
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert_eq!(suites.len(), 1);
}

/// A policy with tests as a user writes it, with one change.
fn changed(file: &str, from: &str, to: &str) -> Vec<String> {
    let name = "hcb-pod-priority";
    let mut files = files(
        library::built_in_files()
            .filter(|(path, _)| path.starts_with(&format!("{name}/")))
            .filter(|(path, _)| !to.is_empty() || !from.is_empty() || !path.ends_with(file)),
    );
    if let Some(text) = files.get_mut(&PathBuf::from(name).join(file)) {
        assert!(text.contains(from), "{from}");
        *text = text.replace(from, to);
    }
    run(&files).1
}

#[test]
fn a_suite_with_a_wrong_expectation_fails() {
    assert_eq!(changed("policy.yaml", "system-", "system-"), [""; 0]);
    for (file, from, to, said) in [
        (
            "policy.yaml",
            "'system-'",
            "'other-'",
            "expected 2 violations, found 0",
        ),
        (
            "tests.yaml",
            "violations: 2",
            "violations: 1",
            "expected 1 violations, found 2",
        ),
        (
            "tests.yaml",
            "violations: 2",
            "violations: 2\n    messages: [something else]",
            "nothing says `something else`",
        ),
        (
            "tests.yaml",
            "fail.yaml",
            "missing.yaml",
            "there is no file `missing.yaml` beside it",
        ),
        (
            "tests.yaml",
            "objects: fail.yaml",
            "spec: fail.yaml",
            "a test of this policy names its `objects`",
        ),
        ("tests.yaml", "", "", "has no tests"),
        (
            "tests.yaml",
            "    violations: 2",
            "    violation: 2",
            "HCB202",
        ),
        (
            "fail.yaml",
            "system-",
            "hcb-",
            "nothing is shown to be refused by it",
        ),
        (
            "pass.yaml",
            "hcb-normal",
            "system-node-critical",
            "expected 0 violations, found 1",
        ),
        (
            "policy.yaml",
            "validationActions: [Deny]",
            "validationActions: []",
            "HCB7",
        ),
    ] {
        let from = if from.contains("violations: 2") && to.contains("messages") {
            "violations: 2\n    messages:\n      - \"the pod takes a priority of the system, which would push out what keeps the cluster running\""
        } else {
            from
        };
        let told = changed(file, from, to);
        assert!(
            told.iter().any(|told| told.contains(said)),
            "{file}: {from} -> {to}: {told:?}"
        );
    }
}

/// What a spec of two clusters and a workload compiles to, with these lines below `spec.policies`.
fn compiled(
    policies: &str,
    workload: &str,
    today: Option<jiff::civil::Date>,
) -> (Option<Output>, Vec<String>) {
    let cloud = format!(
        "apiVersion: hcb.dev/v1alpha1
kind: HybridCloud
metadata: {{name: acme}}
spec:
  gitops: {{engine: argocd, repository: \"https://git.example.com/acme/cloud.git\"}}
  clusters:
    - name: home
      kubernetes: \"1.34\"
      api: {{server: \"https://10.0.0.1:6443\"}}
      nodePools: [{{name: cpu, nodes: 4, cpu: 8, memory: 32Gi}}]
    - name: away
      tier: public
      kubernetes: \"1.34\"
      api: {{server: \"https://away.example.com\"}}
      nodePools: [{{name: cpu, nodes: 2, cpu: 8, memory: 32Gi}}]
  policies: {{{policies}}}
"
    );
    let train = format!(
        "apiVersion: hcb.dev/v1alpha1
kind: Workload
metadata: {{name: train}}
spec:
  image: ghcr.io/acme/train:1.0.0
  resources: {{cpu: 1, memory: 1Gi}}
{workload}"
    );
    let mut sources = Sources::default();
    sources.add("cloud.yaml", cloud);
    sources.add("train.yaml", train);
    let mut diagnostics = Diagnostics::default();
    let output = compile(
        &sources,
        Path::new(""),
        &Templates::built_in(),
        Options {
            today,
            ..Options::default()
        },
        &mut diagnostics,
        &mut Timings::default(),
    );
    let told = diagnostics
        .sorted()
        .iter()
        .map(|found| format!("{} {}", found.code.id(), found.message))
        .collect();
    (output, told)
}

const CREDENTIAL: &str = "  env: {API_TOKEN: \"0123\"}\n";
const EXCEPTION: &str = "exceptions: [{policy: hcb-no-credentials-in-env, workload: {name: train}, clusters: [home], reason: a test, expires: 2027-06-30}]";

/// The objects of a policy in a cluster.
fn emitted(output: &Output, cluster: usize, policy: &str) -> Vec<Value> {
    let units = output
        .units
        .iter()
        .filter(|unit| unit.unit.cluster == cluster && unit.unit.name == "policies");
    units
        .flat_map(|unit| &unit.manifests)
        .filter(|manifest| manifest.name() == policy)
        .map(|manifest| Value::clone(&manifest.value))
        .collect()
}

#[test]
fn an_exception_covers_exactly_what_it_names_at_compile_time_and_in_the_cluster() {
    let (_, told) = compiled("", CREDENTIAL, None);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("HCB710 Job `ml/train-"), "{told:?}");

    let (output, told) = compiled(EXCEPTION, CREDENTIAL, None);
    assert_eq!(told, [""; 0]);
    let output = output.expect("a tree");
    let manifests = output.units.iter().flat_map(|unit| &unit.manifests);
    let job = manifests
        .filter(|manifest| manifest.kind() == "Job")
        .find(|manifest| manifest.namespace() == Some("ml"))
        .expect("the job");
    // In the cluster that it is for, and in no other.
    let at_home = emitted(&output, 0, "hcb-no-credentials-in-env");
    let policy = read(&at_home[0]);
    assert_eq!(
        emitted(&output, 1, "hcb-no-credentials-in-env")[0]["spec"]["matchConditions"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let binding = &at_home[1];
    let says = |object: &Value| {
        let mut sources = Sources::default();
        let text = hcb_source::yaml::to_string(binding);
        let file = sources.add("binding.yaml", text.as_str());
        let node = hcb_source::yaml::read(file, &text, &mut Diagnostics::default()).remove(0);
        let binding = Binding::read(&node, &mut Diagnostics::default()).expect("a binding");
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml", "labels": {"hcb.dev/policies": "enforced"}}});
        let kind = object["kind"].as_str().expect("a kind");
        let (group, resource) = if kind == "Job" {
            ("batch", "jobs")
        } else {
            ("", "pods")
        };
        let resource = Resource {
            group,
            version: "v1",
            kind,
            resource,
            subresource: "",
        };
        let mut request = Request::create(resource, object);
        request.namespace_object = Some(&namespace);
        policy.evaluate(&binding, &[], &request).len()
    };
    let mut another = Value::clone(&job.value);
    another["metadata"]["name"] = "train-other".into();
    let pod = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ml"}, "spec": job.value["spec"]["template"]["spec"]});
    assert_eq!(says(&job.value), 0, "the job");
    assert_eq!(says(&pod(&format!("{}-x7f2k", job.name()))), 0, "its pod");
    assert_eq!(
        says(&pod(&format!("{}-x7f2k-abcde-q8r9z", job.name()))),
        0,
        "its pod in another cluster"
    );
    assert_eq!(says(&another), 1, "a job that is named alike");
    assert_eq!(says(&pod("mine")), 1, "any other pod");
    assert_eq!(
        says(&pod(&format!("my-{}", job.name()))),
        1,
        "a pod that ends in its name"
    );
}

fn read(policy: &Value) -> AdmissionPolicy {
    let text = hcb_source::yaml::to_string(policy);
    let mut sources = Sources::default();
    let file = sources.add("policy.yaml", text.as_str());
    let mut diagnostics = Diagnostics::default();
    let node = hcb_source::yaml::read(file, &text, &mut diagnostics).remove(0);
    AdmissionPolicy::read(&node, &text, &mut diagnostics)
        .unwrap_or_else(|| panic!("{:?}", diagnostics.sorted()))
}

#[test]
fn the_tree_does_not_depend_on_the_date() {
    let date = |month| Some(jiff::civil::date(2027, month, 1));
    let (early, told) = compiled(EXCEPTION, CREDENTIAL, date(1));
    assert_eq!(told, [""; 0]);
    let (late, told) = compiled(EXCEPTION, CREDENTIAL, date(6));
    assert_eq!(
        told,
        ["HCB717 the exception from `hcb-no-credentials-in-env` expires soon"]
    );
    assert_eq!(early.expect("a tree").tree, late.expect("a tree").tree);
    let (output, told) = compiled(EXCEPTION, CREDENTIAL, date(7));
    assert_eq!(
        told,
        ["HCB716 the exception from `hcb-no-credentials-in-env` has expired"]
    );
    assert!(output.is_none());
}

#[test]
fn the_action_of_a_policy_can_be_set_by_policy_tier_and_cluster() {
    let settings = |of: &str| format!("settings: {{hcb-no-credentials-in-env: {{{of}}}}}");
    // The job is in the source cluster, `home`.
    for (of, home, away, told) in [
        ("", "Deny", "Deny", "error"),
        ("action: warn", "Warn", "Warn", "warning"),
        ("action: audit", "Audit", "Audit", "nothing"),
        ("tiers: {private: warn}", "Warn", "Deny", "warning"),
        (
            "action: warn, clusters: {home: deny}",
            "Deny",
            "Warn",
            "error",
        ),
        (
            "tiers: {private: audit}, clusters: {home: warn, away: 'off'}",
            "Warn",
            "",
            "warning",
        ),
        ("clusters: {home: off}", "", "Deny", "nothing"),
    ] {
        let (output, findings) = compiled(&settings(of), CREDENTIAL, None);
        let found = match (&output, findings.is_empty()) {
            (None, _) => "error",
            (Some(_), false) => "warning",
            (Some(_), true) => "nothing",
        };
        assert_eq!(found, told, "{of}: {findings:?}");
        // A spec that is refused has no tree, so compile it without the credential.
        let output = compiled(&settings(of), "", None).0.expect("a tree");
        for (cluster, action) in [(0, home), (1, away)] {
            let objects = emitted(&output, cluster, "hcb-no-credentials-in-env");
            let actions = objects
                .get(1)
                .map(|binding| &binding["spec"]["validationActions"]);
            let expected = (!action.is_empty()).then(|| json!([action]));
            assert_eq!(actions, expected.as_ref(), "{of}: cluster {cluster}");
        }
    }
}

#[test]
fn parameters_of_the_spec_reach_the_cluster() {
    let (output, told) = compiled(
        "settings: {hcb-image-registries: {params: {registries: [ghcr.io/acme/, quay.io/acme/]}}, hcb-job-limits: {params: {retries: 5}}}",
        "",
        None,
    );
    assert_eq!(told, [""; 0]);
    let output = output.expect("a tree");
    for cluster in [0, 1] {
        let map = &emitted(&output, cluster, "hcb-image-registries")[0];
        assert_eq!(map["data"]["registries"], "ghcr.io/acme/\nquay.io/acme/");
        assert_eq!(map["metadata"]["namespace"], "hcb-system");
        let map = &emitted(&output, cluster, "hcb-job-limits")[0];
        assert_eq!(map["data"]["retries"], "5");
        assert_eq!(map["data"]["deadlineSeconds"], "1209600");
        let map = &emitted(&output, cluster, "hcb-no-cluster-admin")[0];
        assert_eq!(map["data"]["workloadNamespaces"], "ml");
    }
    // The image of the mesh comes from the spec.
    assert_eq!(
        emitted(&output, 0, "hcb-pod-security")[0]["data"]["meshImages"],
        "docker.io/istio/proxyv2:"
    );
    let (_, told) = compiled(
        "settings: {hcb-image-registries: {params: {registries: [quay.io/acme/]}}}",
        "",
        None,
    );
    assert!(
        told[0].contains("not from an allowed registry: ghcr.io/acme/train:1.0.0"),
        "{told:?}"
    );
}

#[test]
fn policies_are_applied_before_the_objects_that_they_guard() {
    for (engine, _) in common::ENGINES {
        let output = common::compile_folder(&common::example("large"), engine);
        for (index, cluster) in output.model.clusters.iter().enumerate() {
            let of_cluster = output
                .units
                .iter()
                .filter(|unit| unit.unit.cluster == index);
            let wave = |name: &str| {
                of_cluster
                    .clone()
                    .find(|unit| unit.unit.name == name)
                    .map(|unit| unit.unit.wave)
            };
            let policies = wave("policies").expect("policies in every cluster");
            assert!(
                wave("foundation").is_some_and(|wave| wave < policies),
                "{}",
                cluster.name
            );
            assert!(
                wave("workloads").is_none_or(|wave| wave > policies),
                "{}",
                cluster.name
            );
        }
    }
}
