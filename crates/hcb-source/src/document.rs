//! The shape check: every document against the JSON Schema that editors complete it with.
//!
//! Each violation becomes a finding at its place, and says which part must go so that the rest
//! can still be read.

use crate::diag::{Code, Diagnostic, Diagnostics, code_list, codes, did_you_mean, suggest};
use crate::yaml::{Entry, Node, Step, Value, steps_of_pointer};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use serde_path_to_error::Segment;

/// A compiled schema of a document.
#[derive(Debug)]
pub struct DocumentSchema {
    schema: Json,
    validator: Validator,
}

/// A violation of the schema: the finding, and what to take out so that the rest can be read.
struct Violation {
    diagnostic: Diagnostic,
    remove: Vec<Step>,
}

impl DocumentSchema {
    /// Compiles a schema.
    pub fn new(schema: Json) -> Self {
        match jsonschema::validator_for(&schema) {
            Ok(validator) => Self { schema, validator },
            Err(error) => unreachable!("the spec's own schema does not compile: {error}"),
        }
    }

    /// Reports what is wrong with the shape of `document` and takes it out. Returns the paths that
    /// were taken out; an empty path means that nothing useful is left.
    pub(crate) fn cleanse(
        &self,
        document: &mut Node,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Vec<Step>> {
        let mut removed = Vec::new();
        let mut first_round = true;
        loop {
            let instance = document.to_json();
            let mut violations: Vec<_> = self
                .validator
                .iter_errors(&instance)
                .flat_map(|error| self.violations(&error, document))
                .collect();
            if violations.is_empty() {
                return removed;
            }
            // From the last to the first, so that indices of what is still to go stay right.
            violations.sort_by(|a, b| b.remove.cmp(&a.remove));
            for violation in violations {
                // Later rounds only find what the removals broke.
                if first_round && !diagnostics.blames(&violation.diagnostic) {
                    diagnostics.push(violation.diagnostic);
                }
                if violation.remove.is_empty() {
                    removed.push(Vec::new());
                } else if !removed.contains(&violation.remove) || !first_round {
                    document.remove(&violation.remove);
                    removed.push(violation.remove);
                }
            }
            if removed.iter().any(Vec::is_empty) {
                return removed;
            }
            first_round = false;
        }
    }

    fn violations(&self, error: &ValidationError<'_>, document: &Node) -> Vec<Violation> {
        let steps = steps_of_pointer(document, error.instance_path().as_str());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
                .iter()
                .map(|key| self.unknown_field(document, &steps, key))
                .collect(),
            ValidationErrorKind::Required { property } => {
                let property = property.as_str().unwrap_or_default();
                vec![self.missing_field(document, &steps, property)]
            }
            ValidationErrorKind::AnyOf { context }
            | ValidationErrorKind::OneOfNotValid { context } => {
                let allowed = constants(context);
                if !allowed.is_empty() {
                    return vec![not_allowed(document, steps, &allowed)];
                }
                // An optional value is `anyOf: [value, null]`: what is wrong with the value counts.
                let mut branches = context.iter().filter(|branch| !expects_null(branch));
                match (branches.next(), branches.next()) {
                    (Some(branch), None) => branch
                        .iter()
                        .flat_map(|error| self.violations(error, document))
                        .collect(),
                    _ => vec![other(
                        document,
                        steps,
                        codes::WRONG_TYPE,
                        &error.to_string(),
                    )],
                }
            }
            ValidationErrorKind::Enum { options } => {
                let allowed: Vec<_> = options
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Json::as_str)
                    .map(str::to_owned)
                    .collect();
                vec![not_allowed(document, steps, &allowed)]
            }
            ValidationErrorKind::Constant { expected_value } => {
                let allowed = expected_value.as_str().unwrap_or_default().to_owned();
                vec![not_allowed(document, steps, &[allowed])]
            }
            ValidationErrorKind::Type { kind } => vec![wrong_type(document, steps, kind)],
            ValidationErrorKind::Minimum { limit } => vec![other(
                document,
                steps,
                codes::OUT_OF_BOUNDS,
                &format!("must be at least {limit}"),
            )],
            ValidationErrorKind::Maximum { limit } => vec![other(
                document,
                steps,
                codes::OUT_OF_BOUNDS,
                &format!("must be at most {limit}"),
            )],
            ValidationErrorKind::MinItems { limit } => vec![other(
                document,
                steps,
                codes::OUT_OF_BOUNDS,
                &format!(
                    "needs at least {limit} item{}",
                    if *limit == 1 { "" } else { "s" }
                ),
            )],
            _ => vec![other(
                document,
                steps,
                codes::BAD_FORMAT,
                &error.to_string(),
            )],
        }
    }

    fn unknown_field(&self, document: &Node, object: &[Step], key: &str) -> Violation {
        let mut path = object.to_vec();
        path.push(Step::Key(key.to_owned()));
        let entry = document.descend(object).and_then(|node| node.entry(key));
        let location = entry.map_or_else(
            || document.locate(&path),
            |entry: &Entry| entry.key_location,
        );
        let known = self.properties(object);
        let present: Vec<&str> = match document.descend(object).map(|node| &node.value) {
            Some(Value::Mapping(entries)) => entries.iter().map(|e| e.key.as_str()).collect(),
            _ => Vec::new(),
        };
        // A field that is there already cannot be the one that was meant.
        let free = known.iter().copied().filter(|name| !present.contains(name));
        let help = did_you_mean(key, free.clone())
            .or_else(|| self.elsewhere(key))
            .or_else(|| Some(format!("known here: {}", code_list(known.iter().copied()))));
        Violation {
            diagnostic: Diagnostic::error(codes::UNKNOWN_FIELD, format!("unknown field `{key}`"))
                .at(location, format!("not a field of {}", describe(object)))
                .maybe_help(help),
            remove: path,
        }
    }

    /// The sections with a field of exactly this name, for fields at the wrong level.
    fn elsewhere(&self, key: &str) -> Option<String> {
        let definitions = self.schema.get("$defs")?.as_object()?;
        let owners: Vec<_> = definitions
            .iter()
            .filter(|(_, schema)| {
                schema
                    .pointer("/properties")
                    .and_then(|p| p.get(key))
                    .is_some()
            })
            .map(|(name, _)| name.as_str())
            .collect();
        (!owners.is_empty() && owners.len() <= 3)
            .then(|| format!("`{key}` is a field of {}, not of this", code_list(owners)))
    }

    fn missing_field(&self, document: &Node, object: &[Step], property: &str) -> Violation {
        let description = self
            .schema_at(object)
            .and_then(|schema| schema.pointer(&format!("/properties/{property}")))
            .and_then(|schema| self.description(schema));
        Violation {
            diagnostic: Diagnostic::error(
                codes::MISSING_FIELD,
                format!("{} needs the field `{property}`", describe(object)),
            )
            .at(
                document.locate(object),
                format!("`{property}` is missing here"),
            )
            .maybe_help(description.map(|text| format!("`{property}`: {text}"))),
            remove: object.to_vec(),
        }
    }

    /// The names of the fields that the schema has at a path.
    fn properties(&self, path: &[Step]) -> Vec<&str> {
        self.schema_at(path)
            .and_then(|schema| schema.get("properties"))
            .and_then(Json::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    /// The schema that a path into a document leads to.
    fn schema_at(&self, path: &[Step]) -> Option<&Json> {
        path.iter().try_fold(&self.schema, |schema, step| {
            let schema = self.resolve(schema);
            let next = match step {
                Step::Key(key) => schema
                    .get("properties")
                    .and_then(|properties| properties.get(key))
                    .or_else(|| schema.get("additionalProperties")),
                Step::Index(_) => schema.get("items"),
            };
            next.map(|schema| self.resolve(schema))
        })
    }

    /// Follows `$ref`, and the value of an optional.
    fn resolve<'a>(&'a self, schema: &'a Json) -> &'a Json {
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let pointer = reference.trim_start_matches('#');
            return self.schema.pointer(pointer).unwrap_or(schema);
        }
        match schema.get("anyOf").and_then(Json::as_array) {
            Some(branches) => branches
                .iter()
                .find(|branch| branch.get("type") != Some(&Json::from("null")))
                .map_or(schema, |branch| self.resolve(branch)),
            None => schema,
        }
    }

    fn description(&self, schema: &Json) -> Option<String> {
        [schema, self.resolve(schema)]
            .iter()
            .find_map(|schema| schema.get("description").and_then(Json::as_str))
            .map(|text| text.replace('\n', " "))
    }
}

/// The constants that the branches of a choice require: the values of an enumeration.
fn constants(context: &[Vec<ValidationError<'_>>]) -> Vec<String> {
    let mut allowed = Vec::new();
    for branch in context.iter().filter(|branch| !expects_null(branch)) {
        for error in branch {
            match error.kind() {
                ValidationErrorKind::Constant { expected_value } => {
                    allowed.extend(expected_value.as_str().map(str::to_owned));
                }
                ValidationErrorKind::Enum { options } => allowed.extend(
                    options
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Json::as_str)
                        .map(str::to_owned),
                ),
                ValidationErrorKind::OneOfNotValid { context } => {
                    allowed.extend(constants(context));
                }
                // A number where a word is wanted fails on the type beside the word.
                ValidationErrorKind::Type { .. } => {}
                _ => return Vec::new(),
            }
        }
    }
    allowed
}

fn expects_null(branch: &[ValidationError<'_>]) -> bool {
    use jsonschema::JsonType;
    matches!(
        branch,
        [error] if matches!(
            error.kind(),
            ValidationErrorKind::Type { kind: TypeKind::Single(JsonType::Null) }
        )
    )
}

fn not_allowed(document: &Node, steps: Vec<Step>, allowed: &[String]) -> Violation {
    let written = written(document, &steps);
    let help = suggest(&written, allowed.iter().map(String::as_str));
    Violation {
        diagnostic: Diagnostic::error(
            codes::NOT_ALLOWED,
            format!("{} cannot be `{written}`", describe(&steps)),
        )
        .at(
            document.locate(&steps),
            format!(
                "expected one of {}",
                code_list(allowed.iter().map(String::as_str))
            ),
        )
        .maybe_help(help.filter(|help| help.starts_with("did"))),
        remove: steps,
    }
}

fn wrong_type(document: &Node, steps: Vec<Step>, kind: &TypeKind) -> Violation {
    let expected = match kind {
        TypeKind::Single(kind) => type_name(&kind.to_string()).to_owned(),
        TypeKind::Multiple(kinds) => kinds
            .iter()
            .map(|kind| kind.to_string())
            .filter(|kind| kind != "null")
            .map(|kind| type_name(&kind).to_owned())
            .collect::<Vec<_>>()
            .join(" or "),
    };
    let node = document.descend(&steps);
    let (found, help) = match node.map(|node| &node.value) {
        Some(Value::Null) => (
            "nothing".to_owned(),
            Some("give it a value, or leave the key out".to_owned()),
        ),
        Some(Value::Bool(value)) => (
            format!("`{value}`"),
            (expected == "a text").then(|| format!("write it in quotes: \"{value}\"")),
        ),
        Some(Value::Number(_, text)) => (
            format!("the number {text}"),
            (expected == "a text").then(|| format!("write it in quotes: \"{text}\"")),
        ),
        Some(Value::String(text)) => (
            "a text".to_owned(),
            (expected.contains("number") && text.parse::<f64>().is_ok()).then(|| {
                format!(
                    "write it without quotes or leading zeros: {}",
                    text.trim_start_matches('0')
                )
            }),
        ),
        Some(Value::Sequence(_)) => ("a list".to_owned(), None),
        Some(Value::Mapping(_)) => (
            "a mapping".to_owned(),
            (expected == "a list").then(|| "start each item with `- `".to_owned()),
        ),
        None => ("nothing".to_owned(), None),
    };
    Violation {
        diagnostic: Diagnostic::error(
            codes::WRONG_TYPE,
            format!("{} must be {expected}, not {found}", describe(&steps)),
        )
        .at(document.locate(&steps), format!("expected {expected}"))
        .maybe_help(help),
        remove: steps,
    }
}

fn other(document: &Node, steps: Vec<Step>, code: Code, message: &str) -> Violation {
    Violation {
        diagnostic: Diagnostic::error(code, format!("{} {message}", describe(&steps)))
            .at(document.locate(&steps), message),
        remove: steps,
    }
}

fn type_name(json: &str) -> &str {
    match json {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

fn written(document: &Node, steps: &[Step]) -> String {
    match document.descend(steps).map(|node| &node.value) {
        Some(Value::String(text) | Value::Number(_, text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Null) | None => "null".to_owned(),
        Some(Value::Sequence(_)) => "a list".to_owned(),
        Some(Value::Mapping(_)) => "a mapping".to_owned(),
    }
}

/// A path as people read it: `spec.clusters[0].name`.
fn describe(steps: &[Step]) -> String {
    if steps.is_empty() {
        return "the document".to_owned();
    }
    let mut text = String::new();
    for step in steps {
        let part = match step {
            Step::Key(key) if text.is_empty() => key.clone(),
            Step::Key(key) => format!(".{key}"),
            Step::Index(index) => format!("[{index}]"),
        };
        text.push_str(&part);
    }
    format!("`{text}`")
}

/// The typed document without what the schema refuses, and the paths that were taken out.
///
/// The document is `None` where too little is left.
pub fn typed<T: DeserializeOwned>(
    shape: &DocumentSchema,
    document: &mut Node,
    diagnostics: &mut Diagnostics,
) -> (Option<T>, Vec<Vec<Step>>) {
    let removed = shape.cleanse(document, diagnostics);
    if removed.iter().any(|path| path.len() <= 1) {
        return (None, removed);
    }
    match serde_path_to_error::deserialize(document.to_json()) {
        Ok(typed) => (Some(typed), removed),
        Err(error) => {
            let steps = error.path().iter().filter_map(|segment| match segment {
                Segment::Seq { index } => Some(Step::Index(*index)),
                Segment::Map { key } => Some(Step::Key(key.clone())),
                Segment::Enum { .. } | Segment::Unknown => None,
            });
            let place = document.locate(&steps.collect::<Vec<_>>());
            diagnostics.push(
                Diagnostic::error(codes::BAD_FORMAT, error.inner().to_string())
                    .at(place, "cannot be read"),
            );
            (None, removed)
        }
    }
}

/// The JSON Schema of a type, as documents are checked with it.
pub fn schema_of<T: JsonSchema>() -> Json {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    RecursiveTransform(bound_integers).transform(&mut schema);
    RecursiveTransform(leave_sections_out).transform(&mut schema);
    schema.to_value()
}

/// Takes off defaults that are whole sections: their fields say theirs themselves.
fn leave_sections_out(schema: &mut schemars::Schema) {
    if schema.get("default").is_some_and(Json::is_object) {
        schema.remove("default");
    }
}

/// Writes the bounds of the integer types out, which `format` only hints at.
fn bound_integers(schema: &mut schemars::Schema) {
    let maximum = match schema.get("format").and_then(Json::as_str) {
        Some("uint16") => u32::from(u16::MAX),
        Some("uint32") => u32::MAX,
        Some("int32") => i32::MAX.unsigned_abs(),
        _ => return,
    };
    if schema.get("format").and_then(Json::as_str) == Some("int32") {
        schema.insert("minimum".to_owned(), json!(i32::MIN));
    }
    if schema.get("maximum").is_none() {
        schema.insert("maximum".to_owned(), json!(maximum));
    }
    schema.remove("format");
}
