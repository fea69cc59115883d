//! The users of the platform and their rights.

use anyhow::{Result, ensure};
use hcb_testbed::Cluster;
use hcb_testbed::hybrid::hcb_binary;
use hcb_testbed::store::{ACCESS_KEY, SECRET_KEY};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A person's shell: a home of its own, credentials, and a way to the source cluster.
#[derive(Clone)]
pub(super) struct Person {
    binary: PathBuf,
    pub(super) home: PathBuf,
    pub(super) kubeconfig: PathBuf,
    pub(super) endpoint: String,
}

impl Person {
    pub(super) async fn new(home: PathBuf, source: &Cluster, endpoint: &str) -> Result<Self> {
        fs::create_dir_all(&home)?;
        Ok(Self {
            binary: tokio::task::spawn_blocking(hcb_binary).await??,
            home,
            kubeconfig: source.file("admin.kubeconfig"),
            endpoint: endpoint.to_owned(),
        })
    }

    pub(super) fn hcb(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(&self.home)
            .env_clear()
            .env("HOME", &self.home)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_ENDPOINT_URL_S3", &self.endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.hcb(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!said.contains(SECRET_KEY), "a secret was printed: {said}");
        Ok(output)
    }

    /// What a command prints that must do its work: stdout and stderr.
    pub(super) async fn said(&self, arguments: &[&str]) -> Result<(String, String)> {
        let output = self.run(arguments).await?;
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        ensure!(output.status.success(), "{arguments:?}: {out}{err}");
        Ok((out, err))
    }

    /// What a command says that cannot do its work.
    pub(super) async fn refused(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments).await?;
        ensure!(output.status.code() == Some(2), "{arguments:?}: {output:?}");
        Ok(text(&output.stderr))
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
pub(super) fn says(said: &str, parts: &[&str]) -> Result<()> {
    let missing: Vec<_> = parts.iter().filter(|part| !said.contains(**part)).collect();
    ensure!(missing.is_empty(), "no {missing:?} in:\n{said}");
    Ok(())
}
