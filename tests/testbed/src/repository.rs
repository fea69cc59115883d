//! A platform team's Git repository: a spec in a checkout, what it compiles to beside it, and the bare
//! repository that an engine reads.

use crate::apply::manifests;
use crate::tools::output;
use anyhow::{Context, Result};
use hcb_compile::compile::{Options, Output, Timings, compile};
use hcb_compile::manifest::Templates;
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use hcb_spec::spec::GitOpsEngine;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the spec in a checkout.
const SPEC: &str = "hybrid";

/// A repository with a checkout.
#[derive(Debug)]
pub struct Repository {
    /// The bare repository.
    pub bare: PathBuf,
    /// The checkout.
    pub checkout: PathBuf,
    engine: GitOpsEngine,
}

impl Repository {
    /// Makes an empty one below `folder`, whose tree is for one engine.
    ///
    /// # Errors
    /// Where Git is missing.
    pub fn create(folder: &Path, engine: GitOpsEngine) -> Result<Self> {
        let (bare, checkout) = (folder.join("repository.git"), folder.join("checkout"));
        fs::create_dir_all(checkout.join(SPEC))?;
        let repository = Self {
            bare,
            checkout,
            engine,
        };
        let bare = repository.bare.to_str().context("a path in UTF-8")?;
        for arguments in [
            &["init", "--quiet", "--bare", "--initial-branch=main", bare][..],
            &["init", "--quiet", "--initial-branch=main"],
            &["remote", "add", "origin", bare],
            &["config", "user.name", "Test"],
            &["config", "user.email", "test@example.com"],
        ] {
            repository.git(arguments)?;
        }
        Ok(repository)
    }

    /// Writes a file of the spec.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.checkout.join(SPEC).join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(fs::write(path, content)?)
    }

    /// Changes a file of the spec.
    ///
    /// # Errors
    /// Where it is not there, or does not have what is replaced: an edit that changes nothing is a
    /// mistake of the test.
    pub fn replace(&self, name: &str, from: &str, to: &str) -> Result<()> {
        let text = fs::read_to_string(self.checkout.join(SPEC).join(name))?;
        anyhow::ensure!(text.contains(from), "{name} has no {from:?}");
        self.write(name, &text.replace(from, to))
    }

    /// Removes a file of the spec.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn remove(&self, name: &str) -> Result<()> {
        Ok(fs::remove_file(self.checkout.join(SPEC).join(name))?)
    }

    /// Compiles the spec into the checkout, as `hcb compile` does, and returns what it is compiled to.
    ///
    /// # Errors
    /// Where the spec is wrong, or nothing can be written.
    pub fn compile(&self) -> Result<Output> {
        let output = compiled(&self.checkout.join(SPEC), Some(self.engine))?;
        let folder = self.tree(&output);
        hcb_compile::tree::write::write(&output.tree, &folder)
            .map_err(|refusal| anyhow::anyhow!("{}: {refusal:?}", folder.display()))?;
        Ok(output)
    }

    /// Where the tree is in the checkout.
    pub fn tree(&self, output: &Output) -> PathBuf {
        self.checkout.join(&output.model.gitops.path)
    }

    /// Compiles, commits and pushes, and returns the commit with what was compiled.
    ///
    /// # Errors
    /// Where the spec is wrong, or there is nothing to commit.
    pub fn push(&self, message: &str) -> Result<(String, Output)> {
        let output = self.compile()?;
        for arguments in [
            &["add", "--all"][..],
            &["commit", "--quiet", "--message", message],
            &["push", "--quiet", "origin", "main"],
        ] {
            self.git(arguments)?;
        }
        let commit = self.git(&["rev-parse", "HEAD"])?.trim().to_owned();
        Ok((commit, output))
    }

    /// Runs Git in the checkout.
    ///
    /// # Errors
    /// What Git says.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        output(
            Command::new("git")
                .args(arguments)
                .current_dir(&self.checkout),
        )
    }
}

/// Compiles the spec in a folder, which must be right.
///
/// # Errors
/// Where it has a finding that is an error.
pub fn compiled(folder: &Path, engine: Option<GitOpsEngine>) -> Result<Output> {
    let mut sources = Sources::default();
    for (path, _) in manifests(folder)? {
        if sources.iter().all(|(_, file)| file.path != path) {
            sources.add(path.clone(), fs::read_to_string(folder.join(&path))?);
        }
    }
    let options = Options {
        engine,
        ..Options::default()
    };
    let mut diagnostics = Diagnostics::default();
    let output = compile(
        &sources,
        Path::new(""),
        &Templates::built_in(),
        options,
        &mut diagnostics,
        &mut Timings::default(),
    );
    let described = || {
        let found: Vec<_> = diagnostics
            .sorted()
            .iter()
            .map(|found| found.message.clone())
            .collect();
        format!(
            "{} does not compile: {}",
            folder.display(),
            found.join("; ")
        )
    };
    output.with_context(described)
}
