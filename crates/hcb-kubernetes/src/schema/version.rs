//! Versions of Kubernetes.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The minor versions that `schemas/kubernetes.jsonl` covers.
const SUPPORTED: [KubernetesVersion; 5] = [
    KubernetesVersion::new(1, 32),
    KubernetesVersion::new(1, 33),
    KubernetesVersion::new(1, 34),
    KubernetesVersion::new(1, 35),
    KubernetesVersion::new(1, 36),
];

/// A minor version of Kubernetes, such as 1.34. Its schemas do not change between patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    /// The part before the point.
    pub major: u16,
    /// The part after the point.
    pub minor: u16,
}

impl KubernetesVersion {
    /// Puts a version together from its two numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

/// Returns the versions of Kubernetes whose kinds the catalogue knows, the oldest first.
pub fn supported_kubernetes() -> &'static [KubernetesVersion] {
    &SUPPORTED
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// A text is not a minor version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a Kubernetes version such as \"1.34\"")]
pub struct ParseKubernetesVersionError(String);

impl FromStr for KubernetesVersion {
    type Err = ParseKubernetesVersionError;

    /// Reads a version such as `1.34`.
    ///
    /// # Errors
    ///
    /// Anything but two plain numbers with a point between them is refused, a patch version too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (major, minor) = text.split_once('.')?;
            Some(Self::new(number(major)?, number(minor)?))
        };
        parse().ok_or_else(|| ParseKubernetesVersionError(text.to_owned()))
    }
}

/// Reads a number that has neither a sign nor a leading zero.
fn number(digits: &str) -> Option<u16> {
    let value: u16 = digits.parse().ok()?;
    (value.to_string() == digits).then_some(value)
}
