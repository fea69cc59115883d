//! What in the spec leads to a difference.

use crate::read::SpecPlace;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A piece of the spec that changed, or what asks for an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Where it is: in the new spec, or in the old one where it was removed.
    pub place: SpecPlace,
    /// The lines that went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The lines that came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

impl Cause {
    /// What asks for an object, where no more is known.
    pub fn origin(place: SpecPlace) -> Self {
        Self {
            place,
            before: Vec::new(),
            after: Vec::new(),
        }
    }

    /// Whether it is known which lines changed.
    pub fn is_exact(&self) -> bool {
        !self.before.is_empty() || !self.after.is_empty()
    }
}

/// The texts of a spec by their path, relative to its folder.
pub type Texts = BTreeMap<String, String>;

/// The files of a tree by their path, without what names the lines.
pub type Compiled = BTreeMap<String, Vec<u8>>;

/// What leads to what.
#[derive(Debug, Clone, Default)]
pub struct Causes {
    /// To other bytes of a file, by its path.
    pub of_files: BTreeMap<String, Vec<Cause>>,
    /// To what a rule says, by what a rule and its objects are known by.
    pub of_effects: BTreeMap<String, Vec<Cause>>,
}
