//! The file of the configuration, which may change while a reconciler runs.

use hcb_api::config::ReconcilerConfig;
use hcb_source::diag::{Diagnostics, text};
use hcb_source::source::Sources;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The width of findings, in columns.
const WIDTH: usize = 100;

/// Why a configuration is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not understood as a whole: findings, as text.
    #[error("{0}")]
    NotUnderstood(String),
}

/// Reads the configuration anew.
pub type Reload = Box<dyn FnMut() -> Option<Result<ReconcilerConfig, ConfigError>> + Send>;

/// Reads a configuration.
///
/// # Errors
/// Where the file cannot be read, or is not understood as a whole.
pub fn load(path: &Path) -> Result<ReconcilerConfig, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    let file = sources.add(path, text);
    let text = &sources.file(file).text;
    let config = ReconcilerConfig::read(file, text, &mut diagnostics);
    config.ok_or_else(|| {
        let findings = text::render(&diagnostics.sorted(), &sources, false, WIDTH);
        ConfigError::NotUnderstood(findings)
    })
}

/// Looks whether the file changed since it was looked at last, and reads it where it did.
pub fn reload(path: PathBuf) -> Reload {
    let mut known = fs::read_to_string(&path).ok();
    Box::new(move || {
        // While Kubernetes swaps a mounted file it may be gone for a moment.
        let text = fs::read_to_string(&path).ok()?;
        if known.as_ref() == Some(&text) {
            return None;
        }
        known = Some(text);
        Some(load(&path))
    })
}
