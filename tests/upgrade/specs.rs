//! Specs of 0.1.0.

use super::{SPECS, argument, hcb, old, said};
use tempfile::TempDir;

#[test]
fn every_spec_of_0_1_0_compiles() {
    for (spec, engine) in SPECS {
        let out = TempDir::new().expect("a folder");
        let folder = old(&format!("specs/{spec}"));
        let output = hcb(&[
            "compile",
            argument(&folder),
            "--engine",
            engine,
            "--out",
            argument(out.path()),
        ]);
        assert_eq!(output.status.code(), Some(0), "{spec}: {}", said(&output));
    }
}
