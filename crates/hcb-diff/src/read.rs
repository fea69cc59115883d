//! Two trees to the objects that differ. Files of the same bytes are never parsed.

use crate::kinds;
use hcb_api::labels::WORKLOAD;
use hcb_compile::tree::HEADER;
use hcb_kubernetes::GroupKind;
use hcb_source::diag::{Diagnostic, Diagnostics, codes};
use hcb_source::source::{Location, Sources};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One side of a comparison: a tree of manifests.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// What it is, for people: `the committed tree`, `main at 1a2b3c4`.
    pub name: String,
    /// The bytes of the files by their path in the tree, with `/` between segments.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What in a spec asks for a file, where the tree was compiled just now.
    pub origins: BTreeMap<String, SpecPlace>,
    /// Why an API server refuses a file's object, where one was asked.
    pub refusals: BTreeMap<String, String>,
    /// The nodes that are there, by `CLUSTER/POOL`, where the clusters were asked.
    pub in_use: BTreeMap<String, u32>,
    /// Whether the Job of a file still runs, where the clusters were asked.
    pub jobs: BTreeMap<String, bool>,
}

/// A place in a spec.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpecPlace {
    /// The file, relative to the folder of the spec.
    pub file: String,
    /// The line, from one; where only the file is known, there is none.
    pub line: Option<usize>,
    /// The column in characters, from one.
    pub column: Option<usize>,
}

/// The part of the tree that an object is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// `clusters/`: the engine applies it.
    Cluster,
    /// `gitops/`: the engine's own objects.
    Delivery,
    /// `bootstrap/`: a person applies it once.
    Bootstrap,
    /// `submit/`: `hcb submit` makes Jobs of it.
    Submit,
    /// Anywhere else: the tree is not one of hcb's.
    Other,
}

/// An object with its place in the tree.
#[derive(Debug, Clone)]
pub struct Object {
    /// The part of the tree.
    pub area: Area,
    /// The cluster that it is applied to; empty where the path does not tell.
    pub cluster: String,
    /// The cluster that it delivers to, where it is the engine's.
    pub target: Option<String>,
    /// What the engine applies as a whole: the folder below the cluster's.
    pub unit: String,
    /// The file.
    pub path: String,
    /// The object.
    pub value: Value,
    /// What in the spec asks for it.
    pub origin: Option<SpecPlace>,
}

impl Object {
    fn view(&self) -> hcb_kubernetes::Object<'_> {
        hcb_kubernetes::Object(&self.value)
    }

    /// `kind`.
    pub fn kind(&self) -> &str {
        self.view().kind()
    }

    /// The API group, empty for the core.
    pub fn group(&self) -> &str {
        self.view().group()
    }

    /// The group and the kind.
    pub fn group_kind(&self) -> GroupKind<'_> {
        self.view().group_kind()
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.view().name()
    }

    /// `metadata.namespace`; empty for what has none.
    pub fn namespace(&self) -> &str {
        self.view().namespace()
    }

    /// The annotation of this name.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.view().annotation(name)
    }

    /// The workload of a Job whose name changes with its content.
    pub fn workload(&self) -> Option<&str> {
        let workload = self.view().label(WORKLOAD);
        workload.filter(|name| self.group_kind() == kinds::JOB && !name.is_empty())
    }

    /// What a reader calls it: the workload's name for a Job, else its own.
    pub(crate) fn known_as(&self) -> &str {
        self.workload().unwrap_or_else(|| self.name())
    }
}

/// What differs between two sides.
#[derive(Debug, Default)]
pub(crate) struct Differing {
    /// Objects of files that are only before, or have other bytes after.
    pub before: Vec<Object>,
    /// Objects of files that are only after, or had other bytes before.
    pub after: Vec<Object>,
    /// How many files are the same, byte by byte.
    pub unchanged: usize,
}

/// The objects in which two sides differ.
///
/// # Errors
///
/// A file is no YAML; the findings say which, with their places in the sources.
pub(crate) fn differing(before: &Side, after: &Side) -> Result<Differing, Unreadable> {
    let paths: BTreeSet<&String> = before.files.keys().chain(after.files.keys()).collect();
    let paths: Vec<_> = paths.into_iter().filter(|path| is_manifest(path)).collect();
    let other: Vec<_> = paths
        .par_iter()
        .filter(|path| before.files.get(**path) != after.files.get(**path))
        .collect();
    let read = |side: &Side| -> (Vec<Object>, Unreadable) {
        let each: Vec<_> = other
            .par_iter()
            .filter_map(|path| Some((**path, side.files.get(**path)?)))
            .map(|(path, bytes)| objects(side, path, bytes))
            .collect();
        let mut all = Vec::new();
        let mut unreadable = Unreadable::default();
        for (objects, problems) in each {
            all.extend(objects);
            unreadable.0.extend(problems);
        }
        (all, unreadable)
    };
    let (old, mut unreadable) = read(before);
    let (new, more) = read(after);
    unreadable.0.extend(more.0);
    if unreadable.0.is_empty() {
        Ok(Differing {
            before: old,
            after: new,
            unchanged: paths.len() - other.len(),
        })
    } else {
        Err(unreadable)
    }
}

/// Texts that are no manifests, each with what is wrong with it.
#[derive(Debug, Default)]
pub struct Unreadable(pub Vec<(Sources, Diagnostics)>);

/// The objects of one file.
pub fn objects(
    side: &Side,
    path: &str,
    bytes: &[u8],
) -> (Vec<Object>, Option<(Sources, Diagnostics)>) {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let text = String::from_utf8_lossy(bytes);
    let file = sources.add(format!("{}: {path}", side.name), text.as_ref());
    if matches!(text, std::borrow::Cow::Owned(_)) {
        diagnostics.push(
            Diagnostic::error(codes::NOT_UTF8, "the file is not UTF-8 text")
                .at(Location::new(file, 0..0), "this file"),
        );
        return (Vec::new(), Some((sources, diagnostics)));
    }
    let documents = hcb_source::yaml::read(file, &text, &mut diagnostics);
    if diagnostics.has_errors() {
        return (Vec::new(), Some((sources, diagnostics)));
    }
    let origin = side.origins.get(path).cloned().or_else(|| {
        // The header of a generated file names the file of the spec.
        let rest = text.strip_prefix(HEADER)?.lines().next()?;
        let (file, _) = rest.split_once(';')?;
        Some(SpecPlace {
            file: file.to_owned(),
            line: None,
            column: None,
        })
    });
    let objects = documents
        .iter()
        .map(hcb_source::yaml::Node::to_json)
        // Helm values, kustomizations and the like are files beside objects, not objects.
        .filter(|value| value.get("kind").is_some() && value.get("apiVersion").is_some())
        .map(|value| placed(path, value, origin.clone()))
        .collect();
    (objects, None)
}

fn is_manifest(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml"))
}

fn placed(path: &str, value: Value, origin: Option<SpecPlace>) -> Object {
    let segments: Vec<_> = path.split('/').collect();
    let (area, cluster, target, unit) = match segments.as_slice() {
        ["clusters", cluster, unit, .., _] => (Area::Cluster, *cluster, None, *unit),
        ["gitops", cluster, target, unit, .., _] => {
            (Area::Delivery, *cluster, Some((*target).to_owned()), *unit)
        }
        ["submit", cluster, .., _] => (Area::Submit, *cluster, None, "submit"),
        ["bootstrap", cluster, .., _] => (Area::Bootstrap, *cluster, None, "bootstrap"),
        [folders @ .., _] => {
            let folder = path.len() - segments[folders.len()].len();
            (Area::Other, "", None, path[..folder].trim_end_matches('/'))
        }
        [] => (Area::Other, "", None, ""),
    };
    Object {
        area,
        cluster: cluster.to_owned(),
        target,
        unit: unit.to_owned(),
        path: path.to_owned(),
        value,
        origin,
    }
}
