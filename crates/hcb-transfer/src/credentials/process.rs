//! A program that prints credentials.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>.

use super::{Credentials, CredentialsError};
use serde_json::Value;
use std::process::Stdio;
use tokio::process::Command;

/// Runs it by a shell, as other programs of AWS do: its arguments may be quoted.
pub(super) async fn run(command: &str) -> Result<Credentials, CredentialsError> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    let output = shell.kill_on_drop(true).output().await;
    let output = output.map_err(|error| CredentialsError::Process(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(300).collect();
        return Err(CredentialsError::Process(format!(
            "{}: {said}",
            output.status
        )));
    }
    // What it prints is secret, so an error shows nothing of it.
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| CredentialsError::Process("its output is no JSON".to_owned()))?;
    if answer.get("Version").and_then(Value::as_u64) != Some(1) {
        return Err(CredentialsError::Process(
            "its output has not the `Version` 1".to_owned(),
        ));
    }
    Credentials::of_json(&answer, "SessionToken").ok_or_else(|| {
        CredentialsError::Process(
            "its output lacks `AccessKeyId` or `SecretAccessKey`, or its `Expiration` is no time"
                .to_owned(),
        )
    })
}
