//! The training program of the example with the packages that it pins, in a virtual environment that is
//! made once, in the cache.

use crate::tools::{cached, output, short};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Python that the pinned packages are for.
const OLDEST: (u32, u32) = (3, 11);

/// The folder of the training program.
pub fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/keras-mnist")
}

/// The Python that has the program's packages. Blocks, for some minutes the first time; none where this
/// machine cannot make it, which is said.
///
/// # Errors
/// Where a package cannot be installed.
pub fn python() -> Result<Option<PathBuf>> {
    let ask = "import sys, ensurepip, venv; print(*sys.version_info[:2])";
    let version = output(Command::new("python3").args(["-c", ask]));
    let version = version.ok().and_then(|text| {
        let (major, minor) = text.trim().split_once(' ')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    let Some(version) = version.filter(|version| *version >= OLDEST) else {
        crate::say(&format!(
            "SKIPPED, what trains for real: it needs Python {}.{} or newer with pip and venv (Debian: python3-venv)",
            OLDEST.0, OLDEST.1
        ));
        return Ok(None);
    };
    let pinned = program().join("requirements-dev.txt");
    let mut hash = Sha256::new();
    hash.update(fs::read(&pinned)?);
    hash.update(format!("{version:?}"));
    let folder = cached(&format!("python-{}", short(hash)), |folder| {
        crate::say(
            "installing Keras, JAX and what else the training program pins (800 MB on disk), the first time only",
        );
        output(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let arguments = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--only-binary=:all:",
            "--requirement",
        ];
        output(
            Command::new(folder.join("bin/python"))
                .args(arguments)
                .arg(&pinned),
        )
        .context("installing what the training program pins")
        .map(drop)
    })?;
    Ok(Some(folder.join("bin/python")))
}
