//! The examples compile without findings to what is committed in `generated/`.
//! `hcb compile examples/NAME` updates it.

mod common;

use std::path::Path;

#[test]
fn the_examples_compile_to_the_committed_trees_without_findings() {
    for example in common::EXAMPLES {
        for (engine, name) in common::ENGINES {
            let output = common::compile_folder(&common::example(example), engine);
            assert_eq!(
                output.model.gitops.path,
                format!("generated/{example}/{name}")
            );
            let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(&output.model.gitops.path);
            let changes = hcb_compile::tree::compare::compare(&output.tree, &committed)
                .expect("a tree that can be compared");
            assert!(changes.is_empty(), "{example} for {name}: {changes:#?}");
        }
    }
}

#[test]
fn generated_trees_contain_no_secret_data() {
    for example in common::EXAMPLES {
        for (engine, _) in common::ENGINES {
            let output = common::compile_folder(&common::example(example), engine);
            let manifests = output.units.iter().flat_map(|unit| &unit.manifests);
            let secrets: Vec<_> = manifests
                .filter(|manifest| manifest.kind() == "Secret")
                .collect();
            assert!(!secrets.is_empty());
            for secret in secrets {
                // Kubernetes fills these in the cluster.
                assert_eq!(secret.value["type"], "kubernetes.io/service-account-token");
                assert!(
                    secret.value.get("data").is_none() && secret.value.get("stringData").is_none()
                );
            }
        }
    }
}

#[test]
fn scaled_objects_have_no_replica_count_in_git() {
    for (engine, _) in common::ENGINES {
        let output = common::compile_folder(&common::example("large"), engine);
        let count = |kind: &str, pointer: &str| {
            let manifests = output.units.iter().flat_map(|unit| &unit.manifests);
            let of_kind: Vec<_> = manifests
                .filter(|manifest| manifest.kind() == kind)
                .collect();
            assert!(!of_kind.is_empty(), "no {kind}");
            let with = of_kind
                .iter()
                .filter(|manifest| manifest.value.pointer(pointer).is_some());
            with.count()
        };
        assert_eq!(count("MachineDeployment", "/spec/replicas"), 0);
        assert_eq!(count("Nodegroup", "/spec/scalingConfig/desiredSize"), 0);
        assert_eq!(count("ManagedClustersAgentPool", "/spec/count"), 0);
        assert_eq!(count("ContainerNodePool", "/spec/initialNodeCount"), 0);
        assert_eq!(count("NodePool", "/spec/replicas"), 0);
    }
}

#[test]
fn virtual_nodes_of_burst_clusters_start_with_a_closed_gate() {
    let output = common::compile_folder(&common::example("large"), common::ENGINES[0].0);
    let manifests = output.units.iter().flat_map(|unit| &unit.manifests);
    let nodes: Vec<_> = manifests
        .filter(|manifest| manifest.kind() == "Node")
        .collect();
    let gated = output
        .model
        .clusters
        .iter()
        .filter(|cluster| cluster.is_gated())
        .count();
    assert_eq!(nodes.len(), gated);
    for node in nodes {
        let text = |pointer: &str| node.value.pointer(pointer).expect("a value").to_string();
        let cluster = text("/metadata/labels/multicluster.admiralty.io~1cluster-target-name");
        let gate = format!(r#""key":"hcb.dev/gate","value":{cluster},"effect":"NoSchedule""#);
        assert!(
            text("/spec/taints").contains(&gate),
            "{}",
            text("/spec/taints")
        );
    }
}
