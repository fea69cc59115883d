//! The whole work of `hcb compile` as it is done with a tool for each part of it: one renders the objects, one
//! checks their schemas, one the policies.

use crate::fleet::{Size, cluster, team};
use crate::peers::tools::{for_each_cluster, tool, version};
use crate::peers::{self, PEERS, documents};
use crate::{ours, schemas};
use hcb_source::yaml;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What renders; what the others of [`PEERS`] take is beside it in their own table.
const RENDERERS: [&str; 2] = ["helm template", "kustomize build"];

const KYVERNO: &str = "kyverno apply";

pub(crate) fn whole(folder: &Path) -> Value {
    let catalogue = schemas::catalogue(folder);
    let rows = [10, 100, 1000].map(|clusters| {
        let size = Size::of(clusters, 10);
        let (tree, mut row) = ours(folder, size);
        let objects = row["objects"].clone();
        let work = folder.join("peer");
        for peer in PEERS.iter().filter(|peer| RENDERERS.contains(&peer.name)) {
            let took = peers::measure(peer, &tree, size, &work);
            println!("  {} makes {objects} objects in {took:.2?}", peer.name);
            row["renderers"][peer.name] = took.as_secs_f64().into();
        }
        // Both made the same.
        let (conform, summary) = schemas::conform(&work.join("out"), &catalogue);
        assert_eq!(summary["valid"], objects, "{summary}");
        println!("  kubeconform checks them in {:.2?}", conform.took);
        let (policies, evaluations) = policies(&tree, &work, clusters);
        println!("  kyverno checks them in {policies:.2?}: {evaluations} evaluations");
        let _ = fs::remove_dir_all(work);
        row["schemas"] = conform.took.as_secs_f64().into();
        row["policies"] = policies.as_secs_f64().into();
        row["evaluations"] = evaluations.into();
        row
    });
    let versions = RENDERERS.into_iter().chain(["kubeconform", KYVERNO]);
    let versions: BTreeMap<_, _> = versions.map(|tool| (tool, version(tool))).collect();
    json!({"rows": rows, "versions": versions})
}

/// Lets kyverno's command line check the policies of each cluster on what was rendered for it, and says how many
/// times it evaluated one. None may be broken.
fn policies(tree: &Path, work: &Path, clusters: usize) -> (Duration, u64) {
    let mine = peers::objects(tree, &cluster(1));
    let folder = work.join("policies");
    fs::create_dir_all(&folder).expect("a folder");
    for policy in unbound(&mine) {
        let name = policy["metadata"]["name"].as_str().expect("a name");
        let text = yaml::to_string(&policy);
        fs::write(folder.join(format!("{name}.yaml")), text).expect("a file");
    }
    let resources = work.join("resources");
    fs::create_dir_all(&resources).expect("a folder");
    for (cluster, texts) in peers::made(&work.join("out")) {
        let objects = texts.iter().flat_map(|text| documents(text));
        let known = objects
            .filter(is_known)
            .map(|object| yaml::to_string(&object));
        let known: Vec<_> = known.collect();
        fs::write(
            resources.join(format!("{cluster}.yaml")),
            known.join("---\n"),
        )
        .expect("a file");
    }
    let said = work.join("said");
    fs::create_dir_all(&said).expect("a folder");
    let kyverno = tool(KYVERNO);
    assert_sees(&kyverno, work);
    let script = format!(
        "{} apply policies --resource resources/CLUSTER.yaml >said/CLUSTER",
        kyverno.display()
    );
    let took = for_each_cluster(work, clusters, &script);
    let evaluations = (1..clusters).map(|index| {
        let text = fs::read_to_string(said.join(cluster(index))).expect("a text");
        passed(&text).unwrap_or_else(|| panic!("{}: {text}", cluster(index)))
    });
    (took, evaluations.sum())
}

/// How often a policy was evaluated, where all of them passed.
fn passed(said: &str) -> Option<u64> {
    let last = said.lines().rev().find(|line| !line.trim().is_empty())?;
    let count = last.trim().strip_prefix("pass: ")?;
    let count = count.strip_suffix(", fail: 0, warn: 0, error: 0, skip: 0")?;
    count.parse().ok().filter(|count| *count > 0)
}

/// What is not allowed is found: that all pass would say nothing otherwise.
fn assert_sees(kyverno: &Path, work: &Path) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "everything"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": format!("system:serviceaccounts:{}", team(0))}],
    });
    fs::write(work.join("wrong.yaml"), yaml::to_string(&binding)).expect("a file");
    let output = Command::new(kyverno)
        .args(["apply", "policies", "--resource", "wrong.yaml"])
        .current_dir(work)
        .output()
        .expect("kyverno starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("fail: 1,"), "{said}");
}

/// The policies as kyverno's command line evaluates them right. Where a policy has a binding, it does not look at
/// what the policy matches; so they have none, and their parameters are written into them.
fn unbound(objects: &[Value]) -> Vec<Value> {
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let parameters = |policy: &Value| {
        let mut bindings = of_kind("ValidatingAdmissionPolicyBinding");
        let binding =
            bindings.find(|binding| binding["spec"]["policyName"] == policy["metadata"]["name"]);
        let reference = &binding.expect("a binding")["spec"]["paramRef"]["name"];
        let mut maps = of_kind("ConfigMap");
        maps.find(|map| map["metadata"]["name"] == *reference)
            .expect("parameters")["data"]
            .clone()
    };
    of_kind("ValidatingAdmissionPolicy")
        .map(|policy| {
            let mut policy = policy.clone();
            if policy["spec"].get("paramKind").is_none() {
                return policy;
            }
            let parameters = parameters(&policy);
            let spec = policy["spec"].as_object_mut().expect("an object");
            spec.shift_remove("paramKind");
            let mut text = Value::Object(spec.clone()).to_string();
            text = text.replace("params.data", "variables.parameters");
            let mut spec: Value = serde_json::from_str(&text).expect("JSON");
            // JSON of texts is CEL.
            let variable = json!({"name": "parameters", "expression": parameters.to_string()});
            match spec["variables"].as_array_mut() {
                Some(variables) => variables.insert(0, variable),
                None => spec["variables"] = json!([variable]),
            }
            policy["spec"] = spec;
            policy
        })
        .collect()
}

/// Whether kyverno's command line knows what an object is: those of Kubernetes itself, but for the policies, which
/// no policy is about.
fn is_known(object: &Value) -> bool {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    [
        "",
        "apps",
        "batch",
        "networking.k8s.io",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
    ]
    .contains(&group)
}
