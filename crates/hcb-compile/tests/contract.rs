//! What the compiler writes is what the reconciler reads.

mod common;

use common::{compiled, config, config_text, pod_template, read, repository, specs};
use hcb_api::node_pool::fits_empty;
use hcb_api::pod_spec::requirements_of_template;
use hcb_compile::manifest::Templates;
use hcb_source::source::Sources;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_reconciler_reads_back_every_configuration_that_the_compiler_writes() {
    for folder in [specs("examples"), specs("tests/valid")].concat() {
        let output = compiled(&read(&folder), &folder);
        let text = config_text(&output);
        let read = config(&text);
        let written = serde_json::to_value(&read).expect("JSON");
        assert_eq!(
            hcb_source::yaml::to_string(&written),
            text,
            "{}",
            folder.display()
        );
        assert_eq!(config(&text), read);
        assert_eq!(read.clusters.len(), output.model.clusters.len());
    }
}

#[test]
fn quantities_in_thousandths_are_read_like_those_of_the_spec() {
    let folder = repository("examples/seed");
    let text = config_text(&compiled(&read(&folder), &folder));
    let thousandths = text.replace("16Gi", "17179869184000m");
    assert_ne!(text, thousandths);
    let (one, other) = (config(&text), config(&thousandths));
    let pools = one.clusters.iter().zip(&other.clusters);
    for (pool, same) in pools.flat_map(|(one, other)| one.pools.iter().zip(&other.pools)) {
        assert_eq!(pool.amounts(), same.amounts());
    }
}

const CLOUD: &str = r#"
apiVersion: hcb.dev/v1alpha1
kind: HybridCloud
metadata: {name: acme}
spec:
  gitops: {engine: argocd, repository: "https://git.example.com/acme/cloud.git"}
  clusters:
    - name: home
      tier: private
      kubernetes: "1.34"
      api: {server: "https://10.0.0.1:6443"}
      nodePools: [{name: cpu, nodes: 4, cpu: 8, memory: 32Gi}]
    - name: away
      tier: public
      kubernetes: "1.34"
      api: {server: "https://away.example.com"}
      nodePools:
        - {name: cpu, nodes: 2, cpu: 8, memory: 32Gi}
        - {name: gpu, SIZE, cpu: 8, memory: 32Gi, instanceType: g5, gpu: {count: 2, product: nvidia-t4}, taints: [{key: nvidia.com/gpu, effect: NoSchedule}]}
        - {name: other, SIZE, cpu: 8, memory: 32Gi, instanceType: g6, gpu: {count: 2, product: nvidia-l4}, taints: [{key: nvidia.com/gpu, effect: NoSchedule}]}
AUTOSCALER
---
apiVersion: hcb.dev/v1alpha1
kind: Workload
metadata: {name: train}
spec:
  image: ghcr.io/acme/train:1.0.0
  resources: {cpu: 1, memory: 2Gi, gpu: {count: 1, product: nvidia-t4}}
"#;

/// Every provider of nodes, with its settings.
const PROVIDERS: [(&str, &str); 7] = [
    ("fixed", ""),
    ("karpenter", "karpenter: {nodeClass: {name: default}}"),
    (
        "eks",
        "eks: {region: us-east-2, nodeRoleArn: \"arn:aws:iam::123456789012:role/eks-node\", subnets: [subnet-0a1b2c3d], autoscalerRoleArn: \"arn:aws:iam::123456789012:role/cluster-autoscaler\"}",
    ),
    ("gke", "gke: {project: acme-ml, location: europe-west1}"),
    (
        "aks",
        "aks: {clusterArmId: /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/ml/providers/Microsoft.ContainerService/managedClusters/away}",
    ),
    (
        "cluster-api",
        "clusterApi: {managementCluster: home, version: v1.34.4, bootstrap: {apiGroup: bootstrap.cluster.x-k8s.io, kind: KubeadmConfigTemplate, name: worker}, infrastructure: {apiGroup: infrastructure.cluster.x-k8s.io, kind: Metal3MachineTemplate, name: worker}}",
    ),
    (
        "cluster-autoscaler",
        "clusterAutoscaler: {cloudProvider: hetzner}",
    ),
];

#[test]
fn a_job_that_names_a_gpu_product_fits_a_new_node_of_the_pool_that_has_it() {
    for (provider, settings) in PROVIDERS {
        let (size, autoscaler) = if provider == "fixed" {
            ("nodes: 4", String::new())
        } else {
            let block = format!(
                "      autoscaler:\n        provider: {provider}\n        limits: {{nodes: 10, gpus: 16}}\n        {settings}"
            );
            ("min: 0, max: 4", block)
        };
        let spec = CLOUD
            .replace("SIZE", size)
            .replace("AUTOSCALER", &autoscaler);
        let mut sources = Sources::default();
        sources.add("cloud.yaml", spec);
        let output = compiled(&sources, Path::new(""));
        let config = config(&config_text(&output));
        let names: Vec<_> = config.clusters.iter().map(|c| c.name.clone()).collect();
        let shape =
            requirements_of_template(pod_template(&output, "Job"), &names).expect("a template");
        let away = &config.clusters[config.index("away").expect("the cluster")];
        let fitting = away.pools.iter().filter(|pool| fits_empty(pool, &shape));
        let fitting: Vec<_> = fitting.map(|pool| pool.name.as_str()).collect();
        assert_eq!(fitting, ["gpu"], "{provider}");
    }
}

/// Every name with one of the prefixes of hcb's own in a text.
fn names(text: &str, found: &mut BTreeSet<String>) {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || "-./".contains(c);
    for prefix in ["hcb-", "hcb.dev/", "/etc/hcb/"] {
        for (start, _) in text.match_indices(prefix) {
            // `multicluster.admiralty.io/hcb-decision` is one name.
            let before = text[..start].rfind(|c| !is_of_a_name(c));
            let start = before.map_or(0, |before| before + 1);
            let end = text[start..]
                .find(|c| !is_of_a_name(c))
                .map_or(text.len(), |end| start + end);
            found.insert(text[start..end].trim_end_matches(['.', '/']).to_owned());
        }
    }
}

#[test]
fn every_name_of_hcb_in_a_template_is_one_of_the_contract() {
    use hcb_api::{gate, labels, names as of};
    let known = [
        of::RECONCILER,
        of::STATUS,
        of::LEDGER,
        of::OPEN_IF_DOWN,
        of::CONFIG_FOLDER,
        of::TARGETS_FOLDER,
        gate::GATE,
        labels::WORKLOAD,
    ];
    // What no other part of hcb looks for.
    let of_templates = [
        "hcb-alerts",
        "hcb-dashboard",
        "hcb-proxy-scheduler",
        "hcb-reconciler-gates",
        "hcb-reconciler-releases",
        "hcb-released-pods",
        "hcb-source-manifests",
        "hcb.dev/after-",
        "hcb.dev/config-hash",
    ];
    let config_file = format!("{}/{}", of::CONFIG_FOLDER, of::CONFIG_KEY);
    let mut found = BTreeSet::new();
    for (_, text) in Templates::sources() {
        names(&text, &mut found);
    }
    assert!(found.remove(&config_file), "{found:?}");
    for name in known {
        assert!(found.remove(name), "no template has {name}: {found:?}");
    }
    for name in of_templates {
        assert!(found.remove(name), "no template has {name}: {found:?}");
    }
    assert!(found.is_empty(), "not of the contract: {found:?}");
}
