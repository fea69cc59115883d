//! What providers of several kinds speak of.

use hcb_source::source::Location;
use serde_json::Value;

/// A label or an annotation.
pub(crate) type Pair = (&'static str, String);

/// A namespace of a provider.
pub(crate) struct PlatformNamespace {
    /// Its name.
    pub name: &'static str,
    /// Its labels, as a mapping.
    pub labels: Value,
    /// What in the spec asks for it.
    pub origin: Location,
}
