//! What a schema refuses, in words.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

/// One thing that a schema refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the manifest, as a JSON pointer.
    pub pointer: String,
    /// What is wrong, half a sentence.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

/// The violations that an error of the validator stands for.
pub(super) fn violations(
    schema: &Value,
    manifest: &Value,
    error: &ValidationError<'_>,
) -> Vec<Violation> {
    let pointer = error.instance_path().as_str();
    let plain = |message: String| {
        vec![Violation {
            pointer: pointer.to_owned(),
            message,
            suggestion: None,
        }]
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|field| Violation {
                pointer: pointer.to_owned(),
                message: format!("unknown field \"{field}\""),
                suggestion: nearest_field(schema, pointer, field),
            })
            .collect(),
        ValidationErrorKind::Required { property } => {
            plain(format!("missing required field {property}"))
        }
        ValidationErrorKind::Type { kind } => plain(format!(
            "expected {}, found {}",
            expected(kind),
            found(manifest.pointer(pointer))
        )),
        ValidationErrorKind::Enum { options } => Violation::not_among(pointer, manifest, options),
        // What fits one branch best is what was meant: the one with the fewest complaints.
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let best = context.iter().min_by_key(|branch| branch.len());
            best.map_or_else(
                || plain(error.to_string()),
                |branch| {
                    branch
                        .iter()
                        .flat_map(|error| violations(schema, manifest, error))
                        .collect()
                },
            )
        }
        ValidationErrorKind::Minimum { limit } => plain(format!("must be at least {limit}")),
        ValidationErrorKind::Maximum { limit } => plain(format!("must be at most {limit}")),
        ValidationErrorKind::Pattern { pattern } => plain(format!(
            "{} does not match `{pattern}`",
            found(manifest.pointer(pointer))
        )),
        _ => plain(error.to_string()),
    }
}

impl Violation {
    fn not_among(pointer: &str, manifest: &Value, options: &Value) -> Vec<Self> {
        let value = manifest.pointer(pointer);
        let words: Vec<_> = options
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let near = value
            .and_then(Value::as_str)
            .and_then(|value| crate::diag::nearest(value, words.iter().copied()));
        vec![Self {
            pointer: pointer.to_owned(),
            message: format!("{} is not one of {options}", found(value)),
            suggestion: near.map(str::to_owned),
        }]
    }
}

fn expected(kind: &TypeKind) -> String {
    let name = |kind: &JsonType| kind.to_string();
    match kind {
        TypeKind::Single(kind) => name(kind),
        TypeKind::Multiple(kinds) => {
            let names: Vec<_> = kinds.iter().map(|kind| name(&kind)).collect();
            names.join(" or ")
        }
    }
}

fn found(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(value)) => format!("boolean {value}"),
        Some(Value::Number(value)) => format!("number {value}"),
        Some(Value::String(value)) => format!("string {value:?}"),
        Some(Value::Array(_)) => "a list".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
    }
}

/// The field of the schema at `pointer` that is nearest to `field`.
fn nearest_field(schema: &Value, pointer: &str, field: &str) -> Option<String> {
    let place = pointer
        .split('/')
        .skip(1)
        .try_fold(schema, |place, token| descend(schema, place, token))?;
    let properties = resolve(schema, place).get("properties")?.as_object()?;
    crate::diag::nearest(field, properties.keys().map(String::as_str)).map(str::to_owned)
}

fn descend<'a>(schema: &'a Value, place: &'a Value, token: &str) -> Option<&'a Value> {
    let place = resolve(schema, place);
    let name = token.replace("~1", "/").replace("~0", "~");
    place
        .get("properties")
        .and_then(|properties| properties.get(&name))
        .or_else(|| place.get("items"))
        .or_else(|| place.get("additionalProperties"))
}

/// Follows references.
fn resolve<'a>(schema: &'a Value, place: &'a Value) -> &'a Value {
    let reference = place.get("$ref").or_else(|| place.pointer("/allOf/0/$ref"));
    reference
        .and_then(Value::as_str)
        .and_then(|reference| schema.pointer(reference.trim_start_matches('#')))
        .unwrap_or(place)
}
