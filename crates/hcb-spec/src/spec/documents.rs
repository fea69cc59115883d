//! All documents of a spec, as they were read.

use super::cloud::HybridCloudDocument;
use super::workload::WorkloadDocument;
use crate::place::At;
use hcb_source::source::Location;
use hcb_source::yaml::Node;

/// A spec that was read.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The platform team's document.
    pub cloud: HybridCloudDocument,
    /// Its place.
    pub cloud_at: At,
    /// The ML teams' documents with their places, in the order of the files.
    pub workloads: Vec<(WorkloadDocument, At)>,
    /// The documents as they were read, for places.
    pub documents: Vec<Node>,
    /// What had to be left out because its shape is wrong. Checks that need all of
    /// a part (is there such a cluster?) are skipped when it is incomplete.
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

impl Spec {
    /// The location of the key that `at` ends with, if the spec has that key.
    pub fn locate_key(&self, at: &At) -> Option<Location> {
        at.locate_key(&self.documents)
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
            let node = at.find(&self.documents)?;
            Some(
                node.mentioned_in(message)
                    .unwrap_or_else(|| self.locate(&at)),
            )
        })
    }

    /// The location of `at`, or of the nearest key above that exists.
    pub fn locate(&self, at: &At) -> Location {
        at.locate(&self.documents)
    }
}
