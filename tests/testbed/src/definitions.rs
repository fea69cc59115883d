//! The `CustomResourceDefinitions` of everything that hcb generates objects of, as their projects
//! publish them.

use crate::tools::{cached, go, short};
use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

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
        let folder = folder.to_str().context("a path in UTF-8")?;
        go(&updater, &["run", ".", "-crds", folder]).map(drop)
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
