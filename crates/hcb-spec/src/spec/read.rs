//! Texts to a [`Spec`].

use super::cloud::HybridCloudDocument;
use super::documents::{Incomplete, Spec};
use super::workload::WorkloadDocument;
use crate::place::At;
use hcb_source::diag::{Diagnostic, Diagnostics, codes, suggest};
use hcb_source::document::{DocumentSchema, schema_of, typed};
use hcb_source::source::{Location, Role, Sources};
use hcb_source::yaml::{Node, Step};
use serde_json::{Value as Json, json};
use std::sync::LazyLock;

const API_VERSION: &str = "hcb.dev/v1alpha1";
const KINDS: [&str; 2] = ["HybridCloud", "Workload"];

static CLOUD: LazyLock<DocumentSchema> =
    LazyLock::new(|| DocumentSchema::new(schema_of::<HybridCloudDocument>()));
static WORKLOAD: LazyLock<DocumentSchema> =
    LazyLock::new(|| DocumentSchema::new(schema_of::<WorkloadDocument>()));

/// Reads every document of `sources`. `None` where there is no `HybridCloud` document that could
/// be read; the findings say why.
pub fn read(sources: &Sources, diagnostics: &mut Diagnostics) -> Option<Spec> {
    let mut documents = Vec::new();
    let mut clouds: Vec<(HybridCloudDocument, At)> = Vec::new();
    let mut broken_cloud = false;
    let mut workloads = Vec::new();
    let mut incomplete = Incomplete::default();
    let errors_before = diagnostics.has_errors();
    for (file, source) in sources.of(Role::Spec) {
        for mut document in hcb_source::yaml::read(file, &source.text, diagnostics) {
            let at = At::document(documents.len());
            match kind_of(&document, diagnostics) {
                Some("HybridCloud") => match typed(&CLOUD, &mut document, diagnostics) {
                    (Some(cloud), removed) => {
                        for path in removed {
                            match path.get(1) {
                                Some(Step::Key(key)) if key == "clusters" => {
                                    incomplete.clusters = true;
                                }
                                _ => incomplete.cloud = true,
                            }
                        }
                        clouds.push((cloud, at));
                    }
                    (None, _) => broken_cloud = true,
                },
                Some(_) => {
                    let (workload, removed) = typed(&WORKLOAD, &mut document, diagnostics);
                    incomplete.workloads |= workload.is_none() || !removed.is_empty();
                    workloads.extend(workload.map(|workload| (workload, at)));
                }
                None => {}
            }
            documents.push(document);
        }
    }
    if let [(_, first), rest @ ..] = clouds.as_slice() {
        for (_, again) in rest {
            let place = |at: &At| at.key("kind").locate(&documents);
            diagnostics.push(
                Diagnostic::error(
                    codes::ONE_CLOUD,
                    "there is more than one HybridCloud document",
                )
                .at(place(again), "another one")
                .also(place(first), "the first one")
                .help("keep one: a hybrid cloud is compiled as a whole"),
            );
        }
    } else if !broken_cloud && (errors_before || !diagnostics.has_errors()) {
        diagnostics.push(no_cloud(sources, workloads.len()));
    }
    let (cloud, cloud_at) = clouds.into_iter().next()?;
    Some(Spec {
        cloud,
        cloud_at,
        workloads,
        documents,
        incomplete,
    })
}

fn no_cloud(sources: &Sources, workloads: usize) -> Diagnostic {
    let found = match workloads {
        0 => "no document of hcb at all was found".to_owned(),
        _ => format!("only workloads ({workloads}) were found"),
    };
    let mut diagnostic = Diagnostic::error(codes::ONE_CLOUD, "there is no HybridCloud document")
        .note(found)
        .help("`hcb init` writes a commented one to start from");
    if let Some((file, _)) = sources.of(Role::Spec).next() {
        diagnostic = diagnostic.at(Location::new(file, 0..0), "read this file");
    }
    diagnostic
}

/// The kind of a document of this version; a finding if either is wrong.
fn kind_of(document: &Node, diagnostics: &mut Diagnostics) -> Option<&'static str> {
    let text = |key| document.get(key).and_then(Node::as_str);
    let place = |key: &str| document.locate(&[Step::Key(key.to_owned())]);
    let Some(version) = text("apiVersion") else {
        diagnostics.push(
            Diagnostic::error(
                codes::UNKNOWN_DOCUMENT,
                "a document must say its `apiVersion`",
            )
            .at(place("apiVersion"), "this document does not")
            .help(format!("start it with `apiVersion: {API_VERSION}`")),
        );
        return None;
    };
    if version != API_VERSION {
        let diagnostic = if version.starts_with("hcb.dev/") {
            Diagnostic::error(
                codes::UNKNOWN_DOCUMENT,
                format!("this hcb does not know the version `{version}`"),
            )
            .help(format!("the version is `{API_VERSION}`"))
        } else {
            Diagnostic::error(
                codes::UNKNOWN_DOCUMENT,
                format!("`{version}` is not a document of hcb"),
            )
            .help("keep manifests of Kubernetes out of the folder of the spec")
        };
        diagnostics.push(diagnostic.at(place("apiVersion"), "this version"));
        return None;
    }
    let Some(kind) = text("kind") else {
        diagnostics.push(
            Diagnostic::error(codes::UNKNOWN_DOCUMENT, "a document must say its `kind`")
                .at(place("kind"), "this document does not")
                .help("`kind` is `HybridCloud` or `Workload`"),
        );
        return None;
    };
    let known = KINDS.into_iter().find(|known| *known == kind);
    if known.is_none() {
        diagnostics.push(
            Diagnostic::error(codes::UNKNOWN_DOCUMENT, format!("unknown kind `{kind}`"))
                .at(place("kind"), "not a kind of hcb")
                .maybe_help(suggest(kind, KINDS)),
        );
    }
    known
}

/// The JSON Schema of the spec: either kind of document.
pub fn json_schema() -> Json {
    let mut definitions = serde_json::Map::new();
    let mut either = Vec::new();
    for (name, schema) in [
        ("HybridCloudDocument", schema_of::<HybridCloudDocument>()),
        ("WorkloadDocument", schema_of::<WorkloadDocument>()),
    ] {
        let Json::Object(mut schema) = schema else {
            continue;
        };
        if let Some(Json::Object(shared)) = schema.remove("$defs") {
            definitions.extend(shared);
        }
        schema.remove("$schema");
        definitions.insert(name.to_owned(), Json::Object(schema));
        either.push(json!({ "$ref": format!("#/$defs/{name}") }));
    }
    definitions.sort_keys();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://hcb.dev/schema/v1alpha1.json",
        "title": "hcb.dev/v1alpha1",
        "description": "A document of hcb: the platform team's HybridCloud, or an ML team's Workload.",
        "oneOf": either,
        "$defs": definitions,
    })
}
