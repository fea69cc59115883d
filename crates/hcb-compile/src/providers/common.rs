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

/// Labels or annotations as a mapping.
pub(crate) fn mapping(pairs: impl IntoIterator<Item = (&'static str, &'static str)>) -> Value {
    let pairs = pairs.into_iter();
    Value::Object(
        pairs
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect(),
    )
}
