//! An API server: objects with versions, and the events of their changes.

use hcb_reconciler::engine::change::{Change, Edit, Patch};
use json_patch::PatchOperation;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `Node`.
    Node,
    /// `Pod`.
    Pod,
    /// `PodChaperon` of Admiralty.
    Chaperon,
    /// `ResourceQuota`.
    Quota,
    /// `Job`.
    Job,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Node,
        Self::Pod,
        Self::Chaperon,
        Self::Quota,
        Self::Job,
    ];

    /// Its name, as manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Chaperon => "PodChaperon",
            Self::Quota => "ResourceQuota",
            Self::Job => "Job",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What happened to an object.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its kind.
    pub kind: Kind,
    /// The object after the change, or before it is gone.
    pub object: Value,
    /// Whether it is gone.
    pub is_gone: bool,
}

/// Why a change is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The object is not there.
    NotFound,
    /// It is not what the change counts on.
    Conflict,
    /// It may not be changed so.
    Forbidden(String),
}

/// The objects of a cluster.
#[derive(Debug, Default)]
pub struct ApiServer {
    objects: BTreeMap<(Kind, String), Value>,
    version: u64,
    /// All that happened, in order.
    pub events: Vec<Event>,
}

impl ApiServer {
    /// Creates an object, or replaces the one of its kind and name.
    pub fn put(&mut self, kind: Kind, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        self.objects.insert((kind, name.to_owned()), object.clone());
        self.events.push(Event {
            kind,
            object,
            is_gone: false,
        });
    }

    /// Changes an object that is there.
    pub fn update(&mut self, kind: Kind, name: &str, change: impl FnOnce(&mut Value)) {
        if let Some(mut object) = self.get(kind, name).cloned() {
            change(&mut object);
            self.put(kind, object);
        }
    }

    /// Deletes an object, if it is there.
    pub fn delete(&mut self, kind: Kind, name: &str) {
        if let Some(object) = self.objects.remove(&(kind, name.to_owned())) {
            self.version += 1;
            self.events.push(Event {
                kind,
                object,
                is_gone: true,
            });
        }
    }

    /// An object by its name.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Value> {
        self.objects.get(&(kind, name.to_owned()))
    }

    /// All objects of a kind, by name.
    pub fn list(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        let objects = self.objects.range((kind, String::new())..);
        let objects = objects.take_while(move |((of, _), _)| *of == kind);
        objects.map(|(_, object)| object)
    }

    /// Makes a change of the reconciler's.
    ///
    /// # Errors
    /// Where a real one would refuse it.
    pub fn change(&mut self, change: &Change) -> Result<(), Refusal> {
        let kind = Kind::of_name(&change.object.resource.kind).ok_or(Refusal::NotFound)?;
        let name = change.object.name.clone();
        let object = self.get(kind, &name).ok_or(Refusal::NotFound)?.clone();
        let patch = match &change.edit {
            Edit::Patch(patch) => Some(patch.clone()),
            Edit::Revise(revision) => revision.of(&object),
            Edit::PatchOrRevise(patch, revision) => match patched(&object, patch) {
                Ok(_) => Some(patch.clone()),
                Err(_) => revision.of(&object),
            },
        };
        if let Some(patch) = patch {
            let object = patched(&object, &patch)?;
            self.put(kind, object);
        }
        Ok(())
    }
}

fn patched(object: &Value, patch: &Patch) -> Result<Value, Refusal> {
    let mut object = object.clone();
    match patch {
        Patch::Json(operations) => {
            let operations: Vec<PatchOperation> =
                serde_json::from_value(operations.clone().into()).map_err(|_| Refusal::Conflict)?;
            json_patch::patch(&mut object, &operations).map_err(|_| Refusal::Conflict)?;
        }
        Patch::Merge(patch) => {
            let wanted = &patch["metadata"]["uid"];
            if !wanted.is_null() && *wanted != object["metadata"]["uid"] {
                return Err(Refusal::Conflict);
            }
            json_patch::merge(&mut object, patch);
        }
        // The only one takes conditions off.
        Patch::Strategic(_) => object["status"]["conditions"] = json!([]),
    }
    Ok(object)
}
