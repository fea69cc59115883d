//! Any text as a spec: no panic, and every finding is at a place that is there.
#![no_main]

use hcb_source::diag::{Diagnostics, json, text};
use hcb_source::source::Sources;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut sources = Sources::default();
    sources.add("cloud.yaml", input);
    let mut diagnostics = Diagnostics::default();
    if let Some(spec) = hcb_spec::spec::read(&sources, &mut diagnostics) {
        hcb_spec::validate(&spec, &mut diagnostics);
    }
    let sorted = diagnostics.sorted();
    for diagnostic in &sorted {
        for label in &diagnostic.labels {
            let range = label.location.range();
            assert!(input.get(range.clone()).is_some(), "{range:?}: {diagnostic:?}");
        }
        let _ = format!("{:?}", json::render(diagnostic, &sources));
    }
    let shown = text::render(&sorted, &sources, false, 100);
    assert_eq!(shown.is_empty(), sorted.is_empty());
});
