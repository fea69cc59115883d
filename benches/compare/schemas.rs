//! The schemas of manifests, checked by hcb and by kubeconform.

use crate::fleet::{self, Ran, Size, compile, count, run, spread, write_spec};
use crate::fresh;
use crate::peers::documents;
use crate::peers::tools::{tool, version};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Only checks the schemas of a tree, in a process of its own as the other tool is.
pub(crate) const VALIDATE: &str = "validate-tree";

/// The version of Kubernetes whose schemas count.
const KUBERNETES: &str = "1.34";

/// The schemas of all manifests of a tree, checked by hcb and by kubeconform with the same schemas.
pub(crate) fn schemas(folder: &Path) -> Value {
    let size = Size::of(100, 10);
    let (spec, tree) = (fresh(folder, "spec"), fresh(folder, "tree"));
    write_spec(&spec, size);
    compile(&spec, &tree, false);
    let catalogue = catalogue(folder);
    let mut theirs = Vec::new();
    let mut ours = Vec::new();
    let mut checked = Value::Null;
    for _ in 0..3 {
        let (ran, summary) = conform(&tree, &catalogue);
        checked = summary;
        theirs.push(ran.took.as_secs_f64());
        let this = std::env::current_exe().expect("this program");
        let ran = run(Command::new(this).args(["--bench", VALIDATE]).arg(&tree));
        ours.push(ran.took.as_secs_f64());
    }
    json!({
        "files": count(&tree).0, "summary": checked, "version": version("kubeconform"),
        "kubeconform": spread(theirs), "hcb": spread(ours),
    })
}

/// Writes the schemas of hcb as kubeconform finds them, and says where.
pub(crate) fn catalogue(folder: &Path) -> String {
    let catalogue = fresh(folder, "schemas");
    fs::create_dir_all(&catalogue).expect("a folder");
    let version = KUBERNETES.parse().expect("a version");
    for (api_version, kind) in hcb_kubernetes::schema::kinds(version) {
        let validator =
            hcb_kubernetes::schema::validator(version, api_version, kind).expect("a known kind");
        // As kubeconform names them: the core group is called as its version.
        let (group, version) = api_version
            .split_once('/')
            .unwrap_or((api_version, api_version));
        let name = format!("{}-{group}-{version}.json", kind.to_lowercase());
        fs::write(catalogue.join(name), validator.schema().to_string()).expect("a file");
    }
    let name = "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json";
    format!("{}/{name}", catalogue.display())
}

/// A run of kubeconform over all that is below a folder, with what it counted. Everything must be right.
pub(crate) fn conform(tree: &Path, catalogue: &str) -> (Ran, Value) {
    let cores = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .to_string();
    let ran = run(Command::new(tool("kubeconform"))
        .args(["-strict", "-summary", "-output", "json"])
        .args(["-n", &cores, "-schema-location", catalogue])
        .arg(tree));
    let said: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let summary = said["summary"].clone();
    assert_eq!(summary["invalid"], 0, "{summary}");
    assert_eq!(summary["skipped"], 0, "{summary}");
    (ran, summary)
}

/// Reads all files of a tree and checks each against its schema, as kubeconform does: none is known from
/// another, as they are when hcb compiles.
pub(crate) fn validate(tree: &Path) {
    use rayon::prelude::*;
    let version = KUBERNETES.parse().expect("a version");
    fleet::manifests(tree).par_iter().for_each(|path| {
        let text = fs::read_to_string(path).expect("a text");
        for object in documents(&text) {
            let field = |name: &str| object[name].as_str().unwrap_or_default();
            let validator =
                hcb_kubernetes::schema::validator(version, field("apiVersion"), field("kind"))
                    .expect("a known kind");
            assert!(validator.check(&object).is_empty(), "{}", path.display());
        }
    });
}
