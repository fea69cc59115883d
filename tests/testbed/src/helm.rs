//! Charts as Helm renders them, with the values that the tree gives them.

use crate::apply::{documents, manifests};
use crate::tools::{Tools, output};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The objects of a chart.
///
/// # Errors
/// Where Helm refuses the values.
pub fn template(
    tools: &Tools,
    release: &str,
    chart: &Path,
    namespace: &str,
    values: &Value,
) -> Result<Vec<Value>> {
    let values_file = tempfile::Builder::new().suffix(".json").tempfile()?;
    fs::write(values_file.path(), values.to_string())?;
    let rendered = output(
        Command::new(tools.binary("helm"))
            .args(["template", release])
            .arg(chart)
            .args(["--namespace", namespace, "--include-crds", "--values"])
            .arg(values_file.path()),
    )?;
    documents(&rendered)
}

/// The values of a release in a cluster, from the Application that a tree for Argo CD has for it.
///
/// # Errors
/// Where the tree has no such Application.
pub fn values(tree: &Path, cluster: &str, release: &str) -> Result<Value> {
    let name = format!("{cluster}-chart-{release}");
    let applications = manifests(&tree.join("gitops"))?;
    let application = applications.into_iter().find(|(_, object)| {
        object["kind"] == "Application" && object["metadata"]["name"] == name.as_str()
    });
    let (_, application) = application.with_context(|| format!("the Application {name}"))?;
    Ok(application["spec"]["source"]["helm"]["valuesObject"].clone())
}
