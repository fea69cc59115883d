//! (placeholder until the catalogue lands)
use std::{fmt, str::FromStr};
/// A Kubernetes version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    /// major
    pub major: u16,
    /// minor
    pub minor: u16,
}
impl FromStr for KubernetesVersion {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        let (a, b) = s.split_once('.').ok_or(())?;
        Ok(Self {
            major: a.parse().map_err(|_| ())?,
            minor: b.parse().map_err(|_| ())?,
        })
    }
}
impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
/// supported
pub fn supported_kubernetes() -> &'static [KubernetesVersion] {
    const V: &[KubernetesVersion] = &[
        KubernetesVersion {
            major: 1,
            minor: 32,
        },
        KubernetesVersion {
            major: 1,
            minor: 33,
        },
        KubernetesVersion {
            major: 1,
            minor: 34,
        },
        KubernetesVersion {
            major: 1,
            minor: 35,
        },
        KubernetesVersion {
            major: 1,
            minor: 36,
        },
    ];
    V
}
/// scope
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// n
    Namespaced,
    /// c
    Cluster,
}
/// v
pub struct Validator(bool);
/// v
pub struct Violation {
    /// p
    pub pointer: String,
    /// m
    pub message: String,
    /// s
    pub suggestion: Option<String>,
}
impl Validator {
    /// s
    pub fn scope(&self) -> Scope {
        if self.0 {
            Scope::Cluster
        } else {
            Scope::Namespaced
        }
    }
    /// c
    pub fn check(&self, _: &serde_json::Value) -> Vec<Violation> {
        Vec::new()
    }
}
/// v
pub fn validator(_: KubernetesVersion, _: &str, k: &str) -> Option<std::sync::Arc<Validator>> {
    Some(std::sync::Arc::new(Validator(
        [
            "Namespace",
            "Node",
            "PriorityClass",
            "ClusterRole",
            "ClusterRoleBinding",
            "ClusterTarget",
            "ClusterSource",
            "NodePool",
        ]
        .contains(&k),
    )))
}
/// s
pub fn similar_kinds(_: KubernetesVersion, _: &str, _: &str) -> Vec<String> {
    Vec::new()
}
