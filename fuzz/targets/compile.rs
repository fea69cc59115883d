//! Any text as a spec, all the way: no panic, no file outside of the tree, and each file is an object
//! of Kubernetes for another reader of YAML.
#![no_main]

use hcb_compile::compile::{Options, Timings, compile};
use hcb_source::diag::Diagnostics;
use hcb_compile::manifest::Templates;
use hcb_source::source::Sources;
use hcb_compile::tree::HEADER;
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;

static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::built_in);

fuzz_target!(|input: &str| {
    let mut sources = Sources::default();
    sources.add("cloud.yaml", input);
    let mut diagnostics = Diagnostics::default();
    let output = compile(
        &sources,
        Path::new(""),
        &TEMPLATES,
        Options::default(),
        &mut diagnostics,
        &mut Timings::default(),
    );
    for code in hcb_source::diag::codes::OF_MANIFESTS {
        // What passes the checks of the spec must compile to what the API server takes.
        let found = diagnostics.sorted().into_iter().find(|found| found.code == code);
        assert!(found.is_none(), "{found:?}");
    }
    let Some(output) = output else {
        return;
    };
    for (path, content) in output.tree.manifests() {
        let is_inside = path
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | "..") && !segment.contains(['\\', '\0', ':']));
        assert!(is_inside && !path.chars().any(char::is_control), "{path:?}");
        assert!(content.starts_with(HEADER), "{path}");
        let value: yaml_serde::Value = yaml_serde::from_str(content).expect("YAML");
        for key in ["apiVersion", "kind"] {
            assert!(value.get(key).is_some_and(yaml_serde::Value::is_string), "{path}");
        }
        assert!(value["metadata"]["name"].is_string(), "{path}");
    }
});
