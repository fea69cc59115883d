//! Places in the spec by their path.

use hcb_source::source::Location;
use hcb_source::yaml::{Node, Step};

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

    /// The key itself of a mapping, and not its value.
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
    /// Its location in `documents`, or that of the nearest key above that exists.
    pub(crate) fn locate(&self, documents: &[Node]) -> Location {
        let document = &documents[self.document];
        if self.is_key
            && let Some(location) = self.locate_key(documents)
        {
            return location;
        }
        document.locate(&self.steps)
    }

    /// The location of the key that it ends with, if `documents` have that key.
    pub(crate) fn locate_key(&self, documents: &[Node]) -> Option<Location> {
        let (Step::Key(key), parents) = self.steps.split_last()? else {
            return None;
        };
        let parent = documents[self.document].descend(parents)?;
        parent.entry(key).map(|entry| entry.key_location)
    }

    /// The value there, if `documents` have one.
    pub(crate) fn find<'n>(&self, documents: &'n [Node]) -> Option<&'n Node> {
        documents[self.document].descend(&self.steps)
    }
}
