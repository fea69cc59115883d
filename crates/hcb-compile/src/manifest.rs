//! Units of the plan to manifests: values with the place in the spec that asks for them.

mod caches;
mod check;
pub mod templates;

pub use caches::Caches;
pub use check::check;
pub use templates::Templates;

use crate::memo::Fingerprint;
use crate::rendered::{MANIFESTS_PER_TASK, Manifest, RenderedChart, RenderedUnit};
use crate::unit::{Item, SUBMITTED, Unit};
use caches::Rendered;
use hcb_kubernetes::Object;
use hcb_source::diag::{Diagnostic, Diagnostics, codes};
use hcb_source::source::Location;
use hcb_spec::model::Model;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use templates::TemplateError;

/// Renders units. What cannot be rendered is said, and left out.
pub fn render(
    model: &Model,
    units: Vec<Unit>,
    templates: &Templates,
    caches: &Caches,
    diagnostics: &mut Diagnostics,
) -> Vec<RenderedUnit> {
    let rendered: Vec<_> = units
        .into_par_iter()
        .map(|mut unit| {
            let mut found = Diagnostics::default();
            // Contexts are larger than what is made of them, which most often is shared: they go as they are used.
            let items: Vec<_> = std::mem::take(&mut unit.items)
                .into_par_iter()
                .with_min_len(MANIFESTS_PER_TASK)
                .map(|item| {
                    let rendered = caches.rendered.recall(
                        || {
                            let context = Fingerprint::of_json(&item.context);
                            Fingerprint::of((item.template, context, &model.name))
                        },
                        || rendered(&item, templates, model, caches),
                    );
                    manifests(&item, &rendered)
                })
                .collect();
            let manifests = items.into_iter().flat_map(|manifests| {
                manifests.unwrap_or_else(|error| {
                    found.push(*error);
                    Vec::new()
                })
            });
            let manifests = manifests.collect();
            let charts = std::mem::take(&mut unit.charts)
                .into_iter()
                .filter_map(|chart| {
                    let values = caches.values.recall(
                        || {
                            Fingerprint::of((
                                chart.values.template,
                                Fingerprint::of_json(&chart.values.context),
                            ))
                        },
                        || Arc::new(values(&chart.values, templates)),
                    );
                    match &*values {
                        Ok(values) => Some(RenderedChart {
                            values: values.clone()?,
                            chart,
                        }),
                        Err(error) => {
                            found.push(unusable(&chart.values, error));
                            None
                        }
                    }
                })
                .collect();
            (RenderedUnit::new(unit, charts, manifests), found)
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

/// Objects that are given as they are, and come from no template, as manifests of `source`.
pub fn given(
    model: &Model,
    objects: impl IntoIterator<Item = Value>,
    origin: Location,
    source: &'static str,
) -> Vec<Manifest> {
    objects
        .into_iter()
        .map(|mut value| {
            finish(&mut value, source, model);
            Manifest {
                fingerprint: Fingerprint::of_json(&value),
                value: Arc::new(value),
                comment: Arc::default(),
                origin,
                template: source,
            }
        })
        .collect()
}

/// What the template of an item renders to. The context of each cluster is another, but the text is often
/// the same.
fn rendered(item: &Item, templates: &Templates, model: &Model, caches: &Caches) -> Arc<Rendered> {
    match templates.render(item.template, &item.context) {
        Ok(text) => caches.read.recall(
            || Fingerprint::of((item.template, &text, &model.name)),
            || Arc::new(objects(item.template, &text, model)),
        ),
        Err(error) => Arc::new(Err(error)),
    }
}

/// The objects that a template was rendered to.
fn objects(template: &'static str, text: &str, model: &Model) -> Rendered {
    let documents = templates::read(template, text)?;
    let objects = documents.into_iter().map(|mut document| {
        finish(&mut document.value, template, model);
        let value = Fingerprint::of_json(&document.value);
        let fingerprint = Fingerprint::of((value, &document.comment));
        (
            Arc::new(document.value),
            document.comment.into(),
            fingerprint,
        )
    });
    Ok(objects.collect())
}

/// The values of a chart, where its template has any.
fn values(item: &Item, templates: &Templates) -> Result<Option<Arc<Value>>, TemplateError> {
    let text = templates.render(item.template, &item.context)?;
    let documents = templates::read(item.template, &text)?;
    let first = documents.into_iter().next();
    Ok(first.map(|document| Arc::new(document.value)))
}

/// The manifests of an item, or why there are none.
fn manifests(item: &Item, rendered: &Rendered) -> Result<Vec<Manifest>, Box<Diagnostic>> {
    let objects = rendered
        .as_ref()
        .map_err(|error| Box::new(unusable(item, error)))?;
    let manifests = objects
        .iter()
        .map(|(value, comment, fingerprint)| Manifest {
            value: Arc::clone(value),
            comment: Arc::clone(comment),
            origin: item.origin,
            template: item.template,
            fingerprint: *fingerprint,
        });
    Ok(manifests.collect())
}

fn unusable(item: &Item, error: &TemplateError) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        codes::TEMPLATE,
        format!("the template `{}` cannot be used: {}", item.template, error),
    )
    .at(item.origin, "needed for this");
    diagnostic.notes = error.notes();
    diagnostic
}

/// The label that says what an object belongs to.
const PART_OF: &str = "app.kubernetes.io/part-of";

/// What every object has in common: labels that say whose it is, and for a Job, which cannot be
/// changed, a name that changes with its content.
fn finish(value: &mut Value, template: &str, model: &Model) {
    let is_submitted = template == SUBMITTED;
    if Object(value).is("batch", "Job") && !is_submitted {
        let hash = hcb_source::digest::short(&value.to_string(), 8);
        let name = format!("{}-{hash}", Object(value).name());
        value["metadata"]["name"] = name.into();
    }
    // What stands for a cluster is the engine's, which may take foreign labels off it.
    if Object(value).kind() != "Node"
        && let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(labels) = metadata
            .entry("labels")
            .or_insert_with(|| json!({}))
            .as_object_mut()
        // What is part of something else, such as the engine's settings, stays that.
        && !labels.contains_key(PART_OF)
    {
        labels.insert("app.kubernetes.io/managed-by".to_owned(), "hcb".into());
        labels.insert(PART_OF.to_owned(), model.name.as_str().into());
    }
}
