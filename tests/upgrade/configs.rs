//! Configurations of the reconciler, as `hcb compile` of 0.1.0 wrote them.

use super::present::{Diagnostics, ReconcilerConfig, Sources, text};
use super::reader_0_1_0 as reader;
use super::{SPECS, argument, hcb, old, old_text, said};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The configuration in the tree of a spec.
#[track_caller]
fn in_tree(root: &Path) -> String {
    let clusters = fs::read_dir(root.join("clusters")).expect("clusters");
    let file = "reconciler/hcb-system/configmap-hcb-reconciler.yaml";
    let paths = clusters.map(|cluster| cluster.expect("a cluster").path().join(file));
    let found: Vec<_> = paths.filter(|path| path.exists()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let text = fs::read_to_string(&found[0]).expect("a text");
    let map: Value = yaml_serde::from_str(&text).expect("YAML");
    let config = &map["data"]["config.yaml"];
    config.as_str().expect("a configuration").to_owned()
}

/// The configurations of 0.1.0, with what they are of.
fn configs() -> Vec<(String, String)> {
    let mut all = vec![("config.yaml".to_owned(), old_text("config.yaml"))];
    all.extend(SPECS.map(|(spec, engine)| {
        let tree = format!("trees/{spec}-{engine}");
        let config = in_tree(&old(&tree));
        (tree, config)
    }));
    all
}

/// Reads a configuration as the reconciler of today does.
#[track_caller]
fn read(name: &str, config: &str) -> ReconcilerConfig {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let file = sources.add(name, config);
    let read = ReconcilerConfig::read(file, config, &mut diagnostics);
    let findings = text::render(&diagnostics.sorted(), &sources, false, 100);
    assert!(diagnostics.is_empty(), "{findings}");
    read.unwrap_or_else(|| panic!("{name} is not understood"))
}

/// Reads a configuration as 0.1.0 does.
#[track_caller]
fn read_by_0_1_0(name: &str, config: &str) -> reader::Config {
    let read = yaml_serde::from_str(config);
    read.unwrap_or_else(|error| panic!("0.1.0 does not read {name}: {error}\n{config}"))
}

#[test]
fn configurations_of_0_1_0_are_read_and_mean_the_same() {
    for (name, config) in configs() {
        let today = serde_json::to_string(&read(&name, &config)).expect("JSON");
        assert_eq!(
            read_by_0_1_0(&name, &today),
            read_by_0_1_0(&name, &config),
            "{name}"
        );
    }
}

#[test]
fn the_configurations_that_are_held_use_every_field() {
    let all: Vec<_> = configs()
        .iter()
        .map(|(name, config)| read_by_0_1_0(name, config))
        .collect();
    let clusters = || all.iter().flat_map(|config| &config.clusters);
    let pools = || clusters().flat_map(|cluster| &cluster.pools);
    let budgets = || all.iter().filter_map(|config| config.budget.as_ref());
    let is_used = [
        budgets().any(|budget| budget.per_hour.is_some()),
        budgets().any(|budget| budget.per_month.is_some()),
        all.iter()
            .any(|config| config.when_down == reader::WhenDown::Open),
        all.iter()
            .any(|config| config.when_down == reader::WhenDown::Hold),
        clusters().any(|cluster| cluster.drain),
        clusters().any(|cluster| cluster.limits.is_some()),
        clusters().any(|cluster| cluster.kubeconfig.is_some()),
        pools().any(|pool| pool.gpu_product.is_some()),
        pools().any(|pool| pool.price_per_hour.is_some()),
        pools().any(|pool| !pool.labels.is_empty()),
        pools().any(|pool| pool.taints.iter().any(|taint| taint.value.is_some())),
    ];
    assert_eq!(is_used, [true; 11]);
}

/// The reconcilers of before see the configuration of after while an upgrade rolls out, and a rollback of the
/// image alone meets it too. One that they do not understand they refuse, and a pod that starts then does not run.
#[test]
fn configurations_that_are_compiled_today_of_specs_of_0_1_0_are_read_by_0_1_0() {
    for (spec, engine) in SPECS {
        let out = TempDir::new().expect("a folder");
        let folder = old(&format!("specs/{spec}"));
        let arguments = ["compile", argument(&folder), "--engine", engine, "--out"];
        let output = hcb(&[&arguments[..], &[argument(out.path())]].concat());
        assert!(output.status.success(), "{spec}: {}", said(&output));
        let before = in_tree(&old(&format!("trees/{spec}-{engine}")));
        assert_eq!(
            read_by_0_1_0(spec, &in_tree(out.path())),
            read_by_0_1_0(spec, &before),
            "{spec} for {engine}"
        );
    }
}
