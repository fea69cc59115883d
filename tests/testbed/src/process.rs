//! Servers as child processes that nothing survives.

use crate::tools::Tools;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it is called in messages and the names of logs.
    pub name: String,
    /// The binary.
    pub binary: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Environment variables on top of those of the test.
    pub environment: Vec<(String, String)>,
}

/// A network namespace of a program's own, for one that listens on ports that others have too. It has a
/// loopback and nothing else; all that gets in or out is named here, and stays on this machine's loopback.
/// The kernel removes it with the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Isolation {
    /// Ports of this machine that the program reaches, under the same numbers.
    pub reaches: Vec<u16>,
    /// Ports of this machine that lead to ports of the program: from, to.
    pub serves: Vec<(u16, u16)>,
}

impl Isolation {
    /// Why this machine gives no program a network namespace of its own, where it does not.
    ///
    /// # Errors
    /// Where the guard cannot be run.
    pub fn problem(tools: &Tools) -> Result<Option<String>> {
        let mut child = Command::new(tools.binary("guard"))
            .args(["-isolated", "--", "true"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // What is dropped before the end would end it.
        let _stdin = child.stdin.take();
        let mut said = String::new();
        child
            .stderr
            .take()
            .context("its errors")?
            .read_to_string(&mut said)?;
        let is_there = child.wait()?.success();
        Ok((!is_there).then(|| said.trim().to_owned()))
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["-isolated".to_owned()];
        arguments.extend(self.reaches.iter().map(|port| format!("-out={port}")));
        let ways = self.serves.iter();
        arguments.extend(ways.map(|(from, to)| format!("-in={from}={to}")));
        arguments
    }
}

/// A program that runs until this is dropped or the test ends, whatever ends it.
#[derive(Debug)]
pub struct Process {
    /// What runs.
    pub program: Program,
    isolation: Option<Isolation>,
    folder: PathBuf,
    guard: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts a program that logs into `folder`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(tools: &Tools, folder: &Path, program: Program) -> Result<Self> {
        Self::start_in(tools, folder, program, None)
    }

    /// Starts a program in a network namespace of its own, where it is to have one.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start_in(
        tools: &Tools,
        folder: &Path,
        program: Program,
        isolation: Option<Isolation>,
    ) -> Result<Self> {
        let mut process = Self {
            program,
            isolation,
            folder: folder.to_owned(),
            guard: tools.binary("guard"),
            child: None,
        };
        process.resume()?;
        Ok(process)
    }

    /// Starts it, or starts it again after [`Process::kill`]. Its log goes on.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn resume(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let child = Command::new(&self.guard)
            .arg("-pid")
            .arg(self.pid_file())
            .args(self.isolation.iter().flat_map(Isolation::arguments))
            .arg("--")
            .arg(&self.program.binary)
            .args(&self.program.arguments)
            .envs(
                self.program
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.program.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it at once, as a crash would (`SIGKILL`).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            let _ = child.wait();
            let _ = fs::remove_file(self.pid_file());
        }
    }

    /// Where it logs to.
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.program.name))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its process id.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn id(&self) -> Result<u32> {
        let start = Instant::now();
        loop {
            // The guard writes it right after the start.
            let id = fs::read_to_string(self.pid_file())
                .ok()
                .and_then(|text| text.parse().ok());
            match id {
                Some(id) => return Ok(id),
                None if start.elapsed() < Duration::from_secs(5) => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                None => anyhow::bail!("{} does not run", self.program.name),
            }
        }
    }

    /// Sends a signal by name, such as `TERM` or `STOP`.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.id()?.to_string())
            .status()?;
        anyhow::ensure!(
            status.success(),
            "{} could not be sent SIG{signal}",
            self.program.name
        );
        Ok(())
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join(format!("{}.pid", self.program.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A temporary folder that is removed even if the test is killed.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    guard: Option<Child>,
}

impl Folder {
    /// Makes one.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn new(tools: &Tools) -> Result<Self> {
        let path = tempfile::Builder::new()
            .prefix("hcb-testbed-")
            .tempdir()?
            .keep();
        let guard = Command::new(tools.binary("guard"))
            .arg("-remove")
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Self {
            path,
            guard: Some(guard),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}
