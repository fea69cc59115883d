//! The `CustomResourceDefinitions` of everything that hcb generates objects of, as their projects
//! publish them.

use crate::tools::{cached, short};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// All definitions, from the Go modules that the schema catalogue is made of. Blocks, for a minute the
/// first time.
///
/// # Errors
/// Where Go is missing or a module is not served.
pub fn all() -> Result<Vec<Value>> {
    let updater = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/update");
    let mut hash = Sha256::new();
    for name in ["go.sum", "sources.json", "definitions.go"] {
        hash.update(fs::read(updater.join(name))?);
    }
    let folder = cached(&format!("definitions-{}", short(hash)), |folder| {
        let output = Command::new("go")
            .args(["run", ".", "-crds"])
            .arg(folder)
            .current_dir(&updater)
            .stdin(Stdio::null())
            .output()
            .context("the testbed needs Go: https://go.dev/doc/install")?;
        if !output.status.success() {
            bail!(
                "the definitions: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    })?;
    let mut paths = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    let mut definitions = Vec::new();
    for path in paths {
        definitions.extend(serde_json::from_slice::<Vec<Value>>(&fs::read(&path)?)?);
    }
    Ok(definitions)
}
