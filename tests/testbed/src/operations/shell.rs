//! Commands of a page, as a person runs them.

use super::Site;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one command may take.
const MOST: Duration = Duration::from_secs(400);

/// Where commands are run, and what they find there.
#[derive(Debug, Clone)]
struct Shell {
    folder: PathBuf,
    path: OsString,
    kubeconfig: PathBuf,
}

impl Site {
    /// Runs a command as the page has it, and returns what it printed.
    ///
    /// # Errors
    /// Where it fails, with what it said.
    pub async fn bash(&self, script: &str) -> Result<String> {
        self.shell()?.run(script).await
    }

    /// Runs a command while the engine goes on.
    pub(super) async fn bash_beside_engine(&mut self, script: &str) -> Result<()> {
        let (shell, owned) = (self.shell()?, script.to_owned());
        let command = tokio::spawn(async move { shell.run(&owned).await });
        while !command.is_finished() {
            // What an engine cannot do yet it tries again; what it never can is said below.
            let _ = self.work().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        command.await??;
        self.work().await
    }

    fn shell(&self) -> Result<Shell> {
        // `hcb` and `kubectl` are those of this workspace, whatever the machine has.
        let kubectl = self.source().tools.binary("kubectl");
        let own = [&self.binary, &kubectl].map(|program| program.parent().map(Path::to_owned));
        let before = std::env::var_os("PATH").unwrap_or_default();
        let folders = own
            .into_iter()
            .flatten()
            .chain(std::env::split_paths(&before));
        Ok(Shell {
            folder: self.folder.clone(),
            path: std::env::join_paths(folders)?,
            kubeconfig: self.kubeconfig(),
        })
    }
}

impl Shell {
    async fn run(&self, script: &str) -> Result<String> {
        let mut command = tokio::process::Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(&self.folder)
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("SECRET_ACCESS_KEY", "none-of-this-is-in-git")
            .kill_on_drop(true);
        let output = tokio::time::timeout(MOST, command.output())
            .await
            .with_context(|| format!("too slow: {script}"))??;
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(output.status.success(), "{script}\n{printed}{said}");
        Ok(printed)
    }
}
