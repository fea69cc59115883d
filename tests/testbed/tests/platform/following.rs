//! A command that runs in the background of a test.

use super::SOON;
use anyhow::{Context, Result, ensure};
use hcb_testbed::wait_for;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A command that goes on beside the test.
pub(super) struct Following {
    child: Child,
    printed: [Arc<std::sync::Mutex<String>>; 2],
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Following {
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("its output")?;
        let err = child.stderr.take().context("its messages")?;
        let printed = [Arc::default(), Arc::default()];
        let readers = vec![collect(out, &printed[0]), collect(err, &printed[1])];
        Ok(Self {
            child,
            printed,
            readers,
        })
    }

    /// What it has printed: 0 is stdout, 1 stderr.
    pub(super) fn printed(&self, stream: usize) -> String {
        let text = self.printed[stream].lock();
        text.map(|text| text.clone()).unwrap_or_default()
    }

    /// Waits for its end, which must be a good one, and returns what it said.
    pub(super) async fn end(&mut self) -> Result<String> {
        wait_for("the end of hcb submit", SOON, async || {
            Ok(self.child.try_wait()?.is_some())
        })
        .await?;
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let said = self.printed(1);
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {said}");
        Ok(said)
    }
}

fn collect(
    mut from: impl Read + Send + 'static,
    into: &Arc<std::sync::Mutex<String>>,
) -> std::thread::JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if let Ok(mut into) = into.lock() {
                into.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        }
    })
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a line of the log is printed while the job goes on.
pub(super) async fn logged_live(submitted: &mut Following, line: &str) -> Result<()> {
    let seen = wait_for("a line of the log", SOON, async || {
        Ok(submitted.printed(0).contains(line))
    })
    .await;
    seen.with_context(|| {
        let (out, err) = (submitted.printed(0), submitted.printed(1));
        format!("no `{line}` in:\n{out}{err}")
    })
}
