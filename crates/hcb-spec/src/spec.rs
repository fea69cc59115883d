//! The spec as it is written: documents, their shape, and where everything stands.
//!
//! [`read`] goes from texts to a [`Spec`]: YAML with places, shape check of every document against
//! the JSON Schema that editors use too, then the typed documents. What is wrong is taken out and
//! said, and the rest is read all the same, so that later checks still see it.

mod cloud;
mod cluster;
mod platform;
mod policies;
mod read;
mod workload;

pub use cloud::*;
pub use cluster::*;
pub use platform::*;
pub use policies::*;
pub use read::{json_schema, read};
pub use workload::*;

use hcb_source::source::Location;
use hcb_source::yaml::{Node, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the spec's format.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
pub enum ApiVersion {
    /// The first.
    #[serde(rename = "hcb.dev/v1alpha1")]
    V1Alpha1,
}

/// Name and namespace of a document.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The name: lower-case letters, digits and dashes.
    pub name: String,
    /// The namespace of a workload, which is `ml` unless said here. A `HybridCloud` has none.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// A quantity as written: a number, or a text such as `500m` or `16Gi`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "TextOrNumber")]
pub struct QuantityText(pub String);

impl JsonSchema for QuantityText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "number"],
            "description": "A quantity of Kubernetes: a number, or a text such as `500m` or `16Gi`.",
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(serde_json::Number),
}

impl From<TextOrNumber> for QuantityText {
    fn from(value: TextOrNumber) -> Self {
        match value {
            TextOrNumber::Text(text) => Self(text),
            TextOrNumber::Number(number) => Self(number.to_string()),
        }
    }
}

/// Everything that was read.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The platform team's document.
    pub cloud: HybridCloudDocument,
    /// Where it stands.
    pub cloud_at: At,
    /// The ML teams' documents with their places, in the order of the files.
    pub workloads: Vec<(WorkloadDocument, At)>,
    /// The documents as they were read, for places.
    pub documents: Vec<Node>,
    /// What had to be left out because its shape is wrong. Checks that would need the whole
    /// (is there such a cluster?) say nothing when their part is not whole.
    pub incomplete: Incomplete,
}

/// Parts of the spec that were left out because their shape is wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Incomplete {
    /// Clusters, or parts of one.
    pub clusters: bool,
    /// Workloads, or parts of one.
    pub workloads: bool,
    /// Anything else of the cloud.
    pub cloud: bool,
}

/// A place in the spec by its path: the document and the steps into it. It is turned into a
/// [`Location`] only when there is something to say of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    document: usize,
    steps: Vec<Step>,
    /// Whether the key itself is meant, and not its value.
    is_key: bool,
}

impl At {
    /// The whole of a document.
    pub fn document(document: usize) -> Self {
        Self {
            document,
            steps: Vec::new(),
            is_key: false,
        }
    }

    /// The key of a mapping, where it is the key that is meant.
    #[must_use]
    pub fn name_of(&self, key: &str) -> Self {
        Self {
            is_key: true,
            ..self.key(key)
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// The value that a path of keys leads to: `spec.clusters`.
    #[must_use]
    pub fn path(&self, path: &str) -> Self {
        path.split('.').fold(self.clone(), |at, key| at.key(key))
    }

    /// An item of a list, from zero.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut at = self.clone();
        at.steps.push(step);
        at
    }
}

impl Spec {
    /// Where the key that `at` ends with stands, where the spec says it at all.
    pub fn documents_say(&self, at: &At) -> Option<Location> {
        let (Step::Key(key), parents) = at.steps.split_last()? else {
            return None;
        };
        let parent = self.documents[at.document].descend(parents)?;
        parent.entry(key).map(|entry| entry.key_location)
    }

    /// Where one of `paths` leads to in the document that `origin` is in: the first one that is
    /// there, and in it what `message` mentions. A path is written with dots, such as `spec.image`.
    pub fn place_near(
        &self,
        origin: Location,
        paths: &[String],
        message: &str,
    ) -> Option<Location> {
        let document = self.documents.iter().position(|document| {
            let whole = document.location;
            whole.file == origin.file && whole.start <= origin.start && origin.end <= whole.end
        })?;
        paths.iter().find_map(|path| {
            let at = At::document(document).path(path);
            let node = self.documents[document].descend(&at.steps)?;
            Some(
                node.mentioned_in(message)
                    .unwrap_or_else(|| self.locate(&at)),
            )
        })
    }

    /// Where `at` stands, or where it would: the nearest key above.
    pub fn locate(&self, at: &At) -> Location {
        let document = &self.documents[at.document];
        match (at.is_key, at.steps.split_last()) {
            (true, Some((Step::Key(key), parents))) => document
                .descend(parents)
                .and_then(|parent| parent.entry(key))
                .map_or_else(|| document.locate(&at.steps), |entry| entry.key_location),
            _ => document.locate(&at.steps),
        }
    }
}
