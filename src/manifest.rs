//! Units of the plan to manifests: values with the place in the spec that asks for them.

mod check;
pub mod templates;

pub use check::check;
pub use templates::Templates;

use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::model::Model;
use crate::plan::{Chart, Item, Unit};
use crate::source::Location;
use rayon::prelude::*;
use serde_json::{Value, json};

/// One object of Kubernetes.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The object.
    pub value: Value,
    /// What is said of it above it, lines without `#`.
    pub comment: Vec<String>,
    /// What in the spec asks for it.
    pub origin: Location,
    /// The template it comes from.
    pub template: &'static str,
}

/// A unit with its manifests.
#[derive(Debug, Clone)]
pub struct RenderedUnit {
    /// The unit as planned.
    pub unit: Unit,
    /// The charts with their values.
    pub charts: Vec<RenderedChart>,
    /// The manifests, in the order of the plan.
    pub manifests: Vec<Manifest>,
}

/// A chart with its values.
#[derive(Debug, Clone)]
pub struct RenderedChart {
    /// The chart as planned.
    pub chart: Chart,
    /// Its values.
    pub values: Value,
}

impl Manifest {
    fn text(&self, pointer: &str) -> &str {
        self.value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// `apiVersion`.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// The API group, empty for the core.
    pub fn group(&self) -> &str {
        self.api_version()
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// `kind`.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`; `None` for what has none.
    pub fn namespace(&self) -> Option<&str> {
        self.value
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
    }
}

/// Renders units. What cannot be rendered is said, and left out.
pub fn render(
    model: &Model,
    units: Vec<Unit>,
    templates: &Templates,
    diagnostics: &mut Diagnostics,
) -> Vec<RenderedUnit> {
    let rendered: Vec<_> = units
        .into_par_iter()
        .map(|unit| {
            let mut found = Diagnostics::default();
            let manifests = unit
                .items
                .iter()
                .flat_map(|item| documents(item, templates, &mut found))
                .map(|manifest| finish(manifest, model))
                .collect();
            let charts = unit
                .charts
                .iter()
                .filter_map(|chart| {
                    let values = documents(&chart.values, templates, &mut found);
                    Some(RenderedChart {
                        chart: chart.clone(),
                        values: values.into_iter().next()?.value,
                    })
                })
                .collect();
            (
                RenderedUnit {
                    unit,
                    charts,
                    manifests,
                },
                found,
            )
        })
        .collect();
    rendered
        .into_iter()
        .map(|(unit, found)| {
            diagnostics.extend(found);
            unit
        })
        .collect()
}

/// The documents of a rendered template.
fn documents(item: &Item, templates: &Templates, diagnostics: &mut Diagnostics) -> Vec<Manifest> {
    match templates.render(item.template, &item.context) {
        Ok(documents) => documents
            .into_iter()
            .map(|document| Manifest {
                value: document.value,
                comment: document.comment,
                origin: item.origin,
                template: item.template,
            })
            .collect(),
        Err(problem) => {
            let mut diagnostic = Diagnostic::error(
                codes::TEMPLATE,
                format!(
                    "the template `{}` cannot be used: {}",
                    item.template, problem.message
                ),
            )
            .at(item.origin, "needed for this");
            diagnostic.notes = problem.notes;
            diagnostics.push(diagnostic);
            Vec::new()
        }
    }
}

/// What every object has in common: labels that say whose it is, and for a Job, which cannot be
/// changed, a name that changes with its content.
fn finish(mut manifest: Manifest, model: &Model) -> Manifest {
    if manifest.kind() == "Job" && manifest.group() == "batch" {
        let hash = crate::digest::short(&manifest.value.to_string(), 8);
        manifest.value["metadata"]["name"] = format!("{}-{hash}", manifest.name()).into();
    }
    // Admiralty takes foreign labels off its virtual nodes.
    if manifest.kind() != "Node"
        && let Some(metadata) = manifest
            .value
            .get_mut("metadata")
            .and_then(Value::as_object_mut)
        && let Some(labels) = metadata
            .entry("labels")
            .or_insert_with(|| json!({}))
            .as_object_mut()
    {
        labels.insert("app.kubernetes.io/managed-by".to_owned(), "hcb".into());
        labels.insert(
            "app.kubernetes.io/part-of".to_owned(),
            model.name.as_str().into(),
        );
    }
    manifest
}
