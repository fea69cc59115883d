//! A second engine and a second mesh, which show that nothing else names the first ones.

use super::Providers;
use super::common::{Pair, PlatformNamespace};
use super::mesh::interface::{Mesh, Sidecar};
use super::scheduling::interface::{PodParts, Rights, SchedulingEngine};
use crate::manifest::{self, Templates};
use crate::memo::Keep;
use crate::rendered::InCluster;
use crate::rendered::RenderedUnit;
use crate::unit::{Unit, Wave};
use hcb_source::diag::{Diagnostic, Diagnostics, codes};
use hcb_source::source::Sources;
use hcb_spec::model::{Cluster, ClusterIndex, Model, ObjectStore, Workload};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

struct Toy;

fn account(unit: &mut Unit, model: &Model, name: &str) {
    let context = json!({ "name": name, "namespace": "toy" });
    unit.add("access/service-account.yaml", model.location, context);
}

impl Mesh for Toy {
    fn namespaces(&self, cluster: &Cluster) -> Vec<PlatformNamespace> {
        vec![PlatformNamespace {
            name: "toy-mesh",
            labels: json!({ "toy.example/network": cluster.network }),
            origin: cluster.location,
        }]
    }

    fn units(&self, model: &Model, cluster: ClusterIndex) -> Vec<Unit> {
        let mut unit = Unit::new(cluster, "toy-mesh", Wave::MeshControl, model.location);
        account(&mut unit, model, "toy-mesh");
        vec![unit]
    }

    fn namespace_labels(&self) -> Vec<Pair> {
        vec![("toy.example/mesh", "on".to_owned())]
    }

    fn sidecar(&self) -> Option<Sidecar> {
        Some(Sidecar {
            requests: json!({ "cpu": "10m" }),
            limits: json!({ "cpu": "20m" }),
            annotations: vec![("toy.example/proxy-cpu", "10m".to_owned())],
            refusal: vec![("toy.example/no-proxy", "true".to_owned())],
        })
    }

    fn sidecar_images(&self) -> String {
        "toy.example/proxy:".to_owned()
    }

    fn needs_rights(&self) -> bool {
        false
    }

    fn gateway_namespaces(&self) -> Vec<&'static str> {
        vec!["toy-mesh"]
    }

    fn add_store(&self, model: &Model, _: &ObjectStore, _: ClusterIndex, unit: &mut Unit) {
        account(unit, model, "toy-store");
    }

    fn lint(&self, clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
        for cluster in clusters {
            let message = format!("the toy mesh looked at {}", cluster.name());
            diagnostics.push(Diagnostic::warning(codes::MESH_NETWORK, message));
        }
    }
}

impl SchedulingEngine for Toy {
    fn namespaces(&self, model: &Model) -> Vec<PlatformNamespace> {
        vec![PlatformNamespace {
            name: "toy",
            labels: json!({}),
            origin: model.location,
        }]
    }

    fn units(&self, model: &Model, cluster: ClusterIndex) -> Vec<Unit> {
        let mut unit = Unit::new(cluster, "toy-engine", Wave::Platform, model.location);
        account(&mut unit, model, "toy-engine");
        vec![unit]
    }

    fn namespace_labels(&self) -> Vec<Pair> {
        vec![("toy.example/jobs", "on".to_owned())]
    }

    fn pod(&self, _: &Model, workload: &Workload) -> PodParts {
        PodParts {
            annotations: vec![("toy.example/workload", workload.name.clone())],
            labels: vec![("toy.example/queue", "waiting".to_owned())],
            tolerations: vec![json!({ "key": "toy.example/gate", "operator": "Exists" })],
        }
    }

    fn stand_in(&self, cluster: &str) -> String {
        format!("toy-{cluster}")
    }

    fn has_stand_in_pods(&self) -> bool {
        false
    }

    fn copies_secrets(&self) -> bool {
        false
    }

    fn rights(&self) -> Rights {
        let rule =
            |verb| json!({ "apiGroups": ["toy.example"], "resources": ["toys"], "verbs": [verb] });
        Rights {
            reads: vec![rule("watch")],
            changes: vec![rule("patch")],
            pod_notes: Vec::new(),
            policies: Vec::new(),
        }
    }

    fn lint(&self, clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
        for cluster in clusters {
            let message = format!("the toy engine looked at {}", cluster.name());
            diagnostics.push(Diagnostic::warning(codes::VERSION_SKEW, message));
        }
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The example, which has a mesh, an object store in a cluster and a job.
fn example() -> Model {
    let mut sources = Sources::default();
    for file in ["cloud.yaml", "workloads"] {
        let path = repository().join("examples/seed").join(file);
        let files = if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            entries
                .map(|entry| entry.expect("an entry").path())
                .collect()
        } else {
            vec![path]
        };
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a text");
            sources.add(file, text);
        }
    }
    let mut diagnostics = Diagnostics::default();
    let spec = hcb_spec::spec::read(&sources, &mut diagnostics).expect("a spec");
    hcb_spec::validate(&spec, &mut diagnostics).expect("a model")
}

fn rendered(model: &Model, providers: &Providers<'_>) -> Vec<RenderedUnit> {
    let templates = Templates::built_in();
    let caches = manifest::Caches::new(Keep::OneRun);
    let mut diagnostics = Diagnostics::default();
    let plan = crate::plan::plan(model, providers);
    let mut units = manifest::render(model, plan.units, &templates, &caches, &mut diagnostics);
    let delivery = super::gitops::plan(model, providers.gitops, &units);
    let delivery = manifest::render(model, delivery, &templates, &caches, &mut diagnostics);
    units.extend(delivery);
    manifest::check(model, &units, &caches, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{diagnostics:?}");
    units
}

/// What is generated, with the place that it comes from.
fn texts(units: &[RenderedUnit]) -> Vec<(String, String)> {
    let manifests = units.iter().flat_map(|unit| {
        let manifests = unit.manifests.iter();
        manifests.map(|manifest| (manifest.template.to_owned(), manifest.value.to_string()))
    });
    let charts = units.iter().flat_map(|unit| {
        let charts = unit.charts.iter();
        charts.map(|chart| {
            (
                chart.chart.release.clone(),
                format!("{:?} {}", chart.chart, chart.values),
            )
        })
    });
    manifests.chain(charts).collect()
}

#[test]
fn with_another_engine_and_mesh_nothing_of_the_first_ones_is_generated() {
    let model = example();
    let first = texts(&rendered(&model, &Providers::of(&model)));
    let second = Providers {
        mesh: Some(Box::new(Toy)),
        scheduling: Box::new(Toy),
        gitops: super::gitops::of(&model),
    };
    let units = rendered(&model, &second);
    let second = texts(&units);
    for name in ["istio", "admiralty"] {
        let names = |(_, text): &&(String, String)| text.to_lowercase().contains(name);
        assert!(first.iter().any(|text| names(&text)), "{name}");
        let left: Vec<_> = second.iter().filter(names).collect();
        assert!(left.is_empty(), "{name}: {left:#?}");
    }
    for name in ["toy-mesh", "toy-engine"] {
        let clusters = units.iter().filter(|unit| unit.unit.name == name);
        assert_eq!(clusters.count(), model.clusters.len(), "{name}");
    }
    for expected in [
        // Namespaces, and who comes in.
        r#""toy.example/jobs":"on""#,
        r#""toy.example/mesh":"on""#,
        r#""kubernetes.io/metadata.name":"toy-mesh""#,
        // The pod of a job.
        r#""toy.example/workload":"#,
        r#""toy.example/queue":"waiting""#,
        r#""toy.example/proxy-cpu":"10m""#,
        r#""key":"toy.example/gate""#,
        // The object store, and the rights and the configuration of the reconciler.
        r#""name":"toy-store""#,
        r#""verbs":["watch"]"#,
        r#""verbs":["patch"]"#,
        "virtualNode: toy-private",
    ] {
        assert!(
            second.iter().any(|(_, text)| text.contains(expected)),
            "{expected}"
        );
    }
    // The pod of the source cluster runs where the engine has no pods that stand in for others.
    assert!(
        !second
            .iter()
            .any(|(_, text)| text.contains("toy.example/no-proxy"))
    );
}

#[test]
fn the_lints_of_the_engine_and_of_the_mesh_see_every_cluster() {
    let model = example();
    let providers = Providers {
        mesh: Some(Box::new(Toy)),
        scheduling: Box::new(Toy),
        gitops: super::gitops::of(&model),
    };
    let mut diagnostics = Diagnostics::default();
    let units = rendered(&model, &providers);
    crate::lint::check(&model, &providers, &units, &mut diagnostics);
    let sorted = diagnostics.sorted();
    let looked = sorted
        .iter()
        .filter(|found| found.message.starts_with("the toy "));
    assert_eq!(looked.count(), 2 * model.clusters.len());
}

/// The files below a folder whose text names `name`, in any case.
fn files_that_name(name: &str, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_that_name(name, &path, found);
        } else if let Ok(text) = std::fs::read_to_string(&path)
            && text.to_lowercase().contains(name)
        {
            let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR"));
            let path = path.expect("a file of this crate");
            found.insert(path.to_string_lossy().into_owned());
        }
    }
}

#[test]
fn no_other_file_of_the_compiler_names_the_engine_or_the_mesh() {
    for (name, own, line) in [
        ("istio", "src/providers/mesh/istio", "src/providers/mesh.rs"),
        (
            "admiralty",
            "src/providers/scheduling/admiralty",
            "src/providers/scheduling.rs",
        ),
    ] {
        let mut found = BTreeSet::new();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        files_that_name(name, &sources, &mut found);
        assert!(found.remove("src/providers/tests.rs"));
        assert!(found.remove(line), "{line} chooses it");
        found.retain(|path| !path.starts_with(own));
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}

/// The modules of the files in a folder, without those that providers share.
fn modules(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        name.into_owned()
    });
    names
        .filter(|name| name != "interface" && name != "checks")
        .collect()
}

/// The lines of code of a file that have a word.
fn lines_with(path: &Path, word: &str) -> usize {
    let text = std::fs::read_to_string(path).expect("a text");
    let has_word = |line: &&str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        !line.trim_start().starts_with("//") && words.any(|other| other == word)
    };
    text.lines().filter(has_word).count()
}

/// The files below a folder.
fn all_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn an_autoscaler_is_two_files_and_three_lines() {
    let crates = repository().join("crates");
    let settings = crates.join("hcb-spec/src/provider");
    let objects = crates.join("hcb-compile/src/providers/autoscaling");
    let autoscalers = modules(&settings);
    assert!(autoscalers.len() > 5, "{autoscalers:?}");
    assert_eq!(autoscalers, modules(&objects));
    let mut files = Vec::new();
    for name in ["hcb-api", "hcb-spec", "hcb-compile", "hcb-reconciler"] {
        all_files(&crates.join(name).join("src"), &mut files);
    }
    for module in &autoscalers {
        let parts = module.split('_').map(|part| {
            let (first, rest) = part.split_at(1);
            format!("{}{rest}", first.to_uppercase())
        });
        let variant: String = parts.collect();
        assert_eq!(lines_with(&settings.with_extension("rs"), module), 2);
        assert_eq!(lines_with(&objects.with_extension("rs"), module), 1);
        let own = format!("{module}.rs");
        for file in &files {
            let is_own =
                file.ends_with(&own) && (file.starts_with(&settings) || file.starts_with(&objects));
            if !is_own
                && *file != settings.with_extension("rs")
                && !file.ends_with("providers/tests.rs")
            {
                assert_eq!(
                    lines_with(file, &variant),
                    0,
                    "{variant} in {}",
                    file.display()
                );
            }
        }
    }
}
