//! From the errors of the JSON Schema library to messages that a person can act on.

use std::collections::HashSet;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

/// The longest value that a message shows whole.
const LONGEST_VALUE: usize = 60;

/// The most allowed values that a message lists.
const MOST_OPTIONS: usize = 12;

/// One thing in a manifest that the API server would refuse.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The place in the manifest as a JSON pointer (RFC 6901). An unknown field is named itself, a
    /// missing one by the object that lacks it.
    pub pointer: String,
    /// What is wrong, in words that make sense without the schema.
    pub message: String,
    /// The name or value that is not known, where that is the mistake.
    pub unknown: Option<Unknown>,
}

/// A name of a field, or a value, that the schema does not know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    /// The name or the value.
    pub name: String,
    /// Those that the schema knows in its place.
    pub known: Vec<String>,
}

impl Unknown {
    fn new<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            name: name.to_owned(),
            known: known.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Those that the schema knows in its place.
    pub fn known(&self) -> impl Iterator<Item = &str> + Clone {
        self.known.iter().map(String::as_str)
    }
}

/// Translates errors of the library to violations. A value of the wrong type is
/// reported as that alone: that it is not one of the allowed values either is no news.
pub(super) fn explain_all(errors: &[ValidationError<'_>], schema: &Value) -> Vec<Violation> {
    let has_wrong_type: HashSet<&str> = errors
        .iter()
        .filter(|error| is_type_error(error))
        .map(|error| error.instance_path().as_str())
        .collect();
    errors
        .iter()
        .filter(|error| {
            is_type_error(error) || !has_wrong_type.contains(error.instance_path().as_str())
        })
        .flat_map(|error| explain(error, schema))
        .collect()
}

fn is_type_error(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Type { .. })
}

/// Translates one error to violations: one for each unknown field,
/// else one in all. `schema` is the whole schema that was compiled.
fn explain(error: &ValidationError<'_>, schema: &Value) -> Vec<Violation> {
    let pointer = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|field| unknown_field(pointer, field, schema_around(error, schema)))
            .collect(),
        _ => vec![Violation {
            pointer: pointer.to_owned(),
            message: message(error, schema),
            unknown: unknown_value(error),
        }],
    }
}

fn unknown_field(object: &str, field: &str, schema: &Value) -> Violation {
    let known = schema.get("properties").and_then(Value::as_object);
    let names = known.into_iter().flatten().map(|(name, _)| name.as_str());
    Violation {
        pointer: format!("{object}/{}", field.replace('~', "~0").replace('/', "~1")),
        message: format!("unknown field {field:?}"),
        unknown: Some(Unknown::new(field, names)),
    }
}

fn unknown_value(error: &ValidationError<'_>) -> Option<Unknown> {
    let ValidationErrorKind::Enum { options } = error.kind() else {
        return None;
    };
    let options = options.as_array()?.iter().filter_map(Value::as_str);
    Some(Unknown::new(error.instance().as_str()?, options))
}

fn message(error: &ValidationError<'_>, schema: &Value) -> String {
    let instance = error.instance().as_ref();
    let around = schema_around(error, schema);
    match error.kind() {
        ValidationErrorKind::Type { .. } => {
            format!(
                "expected {}, got {}",
                expected_types(around),
                describe(instance)
            )
        }
        ValidationErrorKind::Required { property } => format!("missing required field {property}"),
        ValidationErrorKind::Constant { expected_value } => {
            format!("expected {expected_value}, got {}", shorten(instance))
        }
        ValidationErrorKind::Enum { options } => {
            format!("{} is not one of {}", shorten(instance), list(options))
        }
        ValidationErrorKind::Pattern { pattern } => {
            // The updater gives a title to patterns that would say nothing to a reader.
            match around.get("title").and_then(Value::as_str) {
                Some(title) => format!("{} is not {title}", shorten(instance)),
                None => format!("{} does not match the pattern {pattern}", shorten(instance)),
            }
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            no_branch_fits(error, around, context, schema)
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => several_branches_fit(instance, around),
        ValidationErrorKind::Not { .. } => "this combination of fields is not allowed".to_owned(),
        _ => error.masked_with(shorten(instance)).to_string(),
    }
}

/// Returns the part of the schema whose keyword was violated.
fn schema_around<'s>(error: &ValidationError<'_>, schema: &'s Value) -> &'s Value {
    let keyword = error.schema_path().as_str();
    let around = keyword.rsplit_once('/').map_or("", |(around, _)| around);
    schema.pointer(around).unwrap_or(&Value::Null)
}

fn expected_types(schema: &Value) -> String {
    match &schema["type"] {
        Value::Array(types) => {
            let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
            types.join(" or ")
        }
        single => single.as_str().unwrap_or("another type").to_owned(),
    }
}

/// Returns the type of a value, and the value itself where it is short enough to help.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => format!("boolean {value}"),
        Value::Number(number) if number.is_f64() => format!("number {value}"),
        Value::Number(_) => format!("integer {value}"),
        Value::String(_) => format!("string {}", shorten(value)),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= LONGEST_VALUE {
        return text;
    }
    let start: String = text.chars().take(LONGEST_VALUE).collect();
    format!("{start}…")
}

fn list(options: &Value) -> String {
    let options: Vec<String> = options
        .as_array()
        .into_iter()
        .flatten()
        .map(shorten)
        .collect();
    match options.len().checked_sub(MOST_OPTIONS) {
        None | Some(0) => options.join(", "),
        Some(more) => format!("{} and {more} others", options[..MOST_OPTIONS].join(", ")),
    }
}

fn no_branch_fits(
    error: &ValidationError<'_>,
    around: &Value,
    context: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> String {
    let alternatives = required_in_branches(around, error.kind().keyword());
    if !alternatives.is_empty() {
        return format!("set one of the fields {}", quoted(&alternatives));
    }
    let mut complaints: Vec<String> = context
        .iter()
        .filter_map(|errors| errors.first())
        .flat_map(|error| explain(error, schema))
        .map(|violation| violation.message)
        .collect();
    complaints.dedup();
    complaints.join(", or ")
}

fn several_branches_fit(instance: &Value, around: &Value) -> String {
    let mut set = required_in_branches(around, "oneOf");
    set.retain(|name| instance.get(name).is_some());
    if set.is_empty() {
        return "several alternatives that exclude each other are met".to_owned();
    }
    format!("only one of the fields {} may be set", quoted(&set))
}

/// Returns the fields that the branches of `oneOf` or `anyOf` require, in the schema's order.
fn required_in_branches<'s>(schema: &'s Value, keyword: &str) -> Vec<&'s str> {
    let mut names = Vec::new();
    for branch in schema[keyword].as_array().into_iter().flatten() {
        for name in branch["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn quoted(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}
