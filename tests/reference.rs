//! `docs/reference.md` is generated from the schema of the spec. `HCB_UPDATE=1 cargo test --test
//! reference` updates it.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");

const INTRODUCTION: &str = "\
# Reference of the spec

A spec is a folder of YAML files, or one file, with one document of `kind: HybridCloud` and any number
of `kind: Workload`. This page lists every field of both, in the order of the document. `hcb schema`
prints the same as JSON Schema, with which editors complete and check a spec while it is written.

Fields without a default are left out where they are not needed. Durations are written as `90s`,
`1h30m` or `7d`. The page is made from the schema: to change it, change the comments of the types.
";

/// The two kinds of document: the heading, and the definition of the whole.
const DOCUMENTS: [(&str, &str); 2] = [
    ("The platform team's document", "HybridCloudDocument"),
    ("The ML teams' documents", "WorkloadDocument"),
];

#[test]
fn the_reference_matches_the_schema() {
    let generated = reference(&hcb_spec::spec::json_schema());
    if std::env::var_os("HCB_UPDATE").is_some() {
        std::fs::write(PAGE, &generated).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        committed.replace("\r\n", "\n") == generated,
        "docs/reference.md is stale: run `HCB_UPDATE=1 cargo test --test reference`"
    );
}

/// Every link leads to a heading, so a definition that is used is never left out.
#[test]
fn every_link_leads_to_a_section() {
    let text = reference(&hcb_spec::spec::json_schema());
    let links = text.split("](#").skip(1);
    for anchor in links.filter_map(|rest| rest.split(')').next()) {
        assert!(
            text.lines()
                .any(|line| line.to_lowercase() == format!("### {anchor}")),
            "there is no section `{anchor}`"
        );
    }
}

/// The whole page.
fn reference(schema: &Value) -> String {
    let definitions = schema["$defs"].as_object().expect("definitions");
    let mut places = BTreeMap::new();
    let mut page = INTRODUCTION.to_owned();
    let mut orders = Vec::new();
    for (heading, root) in DOCUMENTS {
        let mut order = Vec::new();
        walk(definitions, root, "", root, &mut order, &mut places);
        orders.push((heading, order));
    }
    let is_shared = |name: &String| orders.iter().all(|(_, order)| order.contains(name));
    for (heading, order) in &orders {
        let _ = write!(page, "\n## {heading}\n");
        for name in order.iter().filter(|name| !is_shared(name)) {
            section(&mut page, definitions, name, &places[name]);
        }
    }
    page.push_str("\n## What both use\n");
    for name in orders[0].1.iter().filter(|name| is_shared(name)) {
        section(&mut page, definitions, name, &places[name]);
    }
    page
}

/// Collects the sections below a definition in the order of the document, and where each stands.
fn walk(
    definitions: &Map<String, Value>,
    name: &str,
    path: &str,
    root: &str,
    order: &mut Vec<String>,
    places: &mut BTreeMap<String, Vec<String>>,
) {
    let document = root.trim_end_matches("Document");
    let place = match path {
        "" => format!("a `{document}`"),
        _ => format!("`{path}` of a `{document}`"),
    };
    places.entry(name.to_owned()).or_default().push(place);
    if !order.iter().any(|known| known == name) {
        order.push(name.to_owned());
    }
    let Some(properties) = definitions[name]["properties"].as_object() else {
        return;
    };
    for (key, property) in properties {
        let Some((target, suffix)) = target(property) else {
            continue;
        };
        if !is_choice(&definitions[target]) {
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{dot}{key}{suffix}");
            walk(definitions, target, &path, root, order, places);
        }
    }
}

/// The definition that a property leads to, and what its path goes on with.
fn target(property: &Value) -> Option<(&str, &'static str)> {
    let choices = property["anyOf"].as_array();
    let found = [
        (Some(property), ""),
        (choices.and_then(|choices| choices.first()), ""),
        (property.get("items"), "[]"),
        (property.get("additionalProperties"), ".*"),
    ];
    found.into_iter().find_map(|(schema, suffix)| {
        let reference = schema?.get("$ref")?.as_str()?;
        Some((reference.trim_start_matches("#/$defs/"), suffix))
    })
}

/// Whether a definition is an enumeration, which is shown where it is used.
fn is_choice(definition: &Value) -> bool {
    definition.get("oneOf").is_some()
}

fn section(page: &mut String, definitions: &Map<String, Value>, name: &str, places: &[String]) {
    let definition = &definitions[name];
    let _ = write!(page, "\n### {name}\n\n{}\n", text(definition));
    let Some(properties) = definition["properties"].as_object() else {
        return;
    };
    let _ = write!(page, "\nStands at: {}.\n\n", places.join(", "));
    page.push_str("| Field | Type | Default | Description |\n| --- | --- | --- | --- |\n");
    let required = definition["required"].as_array();
    for (key, property) in properties {
        let is_required = required.is_some_and(|keys| keys.iter().any(|other| other == key));
        let (description, default) = described(property);
        let default = if is_required {
            "**required**".to_owned()
        } else {
            default
        };
        let mut description = description;
        if let Some((target, _)) = target(property)
            && is_choice(&definitions[target])
        {
            description.push_str(&choices(&definitions[target]));
        }
        let kind = type_of(definitions, property);
        let cells = [format!("`{key}`"), kind, default, description];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
}

/// The description, and the default that it names or that the schema has.
fn described(property: &Value) -> (String, String) {
    let description = text(property);
    let default = match &property["default"] {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Object(keys) if keys.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    match (description.split_once("Default: "), default) {
        // "The newest" is followed by the version.
        (Some((before, said)), Some(value)) if said.starts_with("the newest") => {
            (before.trim().to_owned(), format!("`{value}`"))
        }
        (Some((before, said)), _) => (
            before.trim().to_owned(),
            said.trim_end_matches('.').to_owned(),
        ),
        (None, Some(value)) => (description, format!("`{value}`")),
        (None, None) => (description, String::new()),
    }
}

/// The type in words, linked where it is a section.
fn type_of(definitions: &Map<String, Value>, property: &Value) -> String {
    if let Some((target, suffix)) = target(property) {
        let definition = &definitions[target];
        let linked = match definition["oneOf"].as_array() {
            Some(words) => {
                let words: Vec<_> = words
                    .iter()
                    .map(|choice| format!("`{}`", word(choice)))
                    .collect();
                words.join(", ")
            }
            None => format!("[{target}](#{})", target.to_lowercase()),
        };
        return match suffix {
            "[]" => format!("list of {linked}{}", bounds(property)),
            ".*" => format!("mapping to {linked}"),
            _ => linked,
        };
    }
    let kind = property["type"]
        .as_str()
        .or_else(|| property["type"][0].as_str())
        .unwrap_or_default();
    let word = match kind {
        "string" => "text",
        "integer" => "whole number",
        "number" => "number",
        "boolean" => "true or false",
        "array" => {
            let items = type_of(definitions, &property["items"]);
            return format!("list of {items}s{}", bounds(property));
        }
        "object" => {
            let values = type_of(definitions, &property["additionalProperties"]);
            return format!("mapping to {values}");
        }
        other => panic!("a type without a name here: {other} in {property}"),
    };
    format!("{word}{}", bounds(property))
}

/// The bounds of a number or list, without those of the integer types.
fn bounds(property: &Value) -> String {
    let machine = [i32::MAX.into(), u32::MAX.into(), i64::from(u16::MAX)];
    let number = |key: &str| property.get(key).filter(|value| !value.is_null());
    let low = number("minimum").or_else(|| number("minItems"));
    let high = number("maximum").filter(|high| {
        let high = high.as_i64();
        high.is_none_or(|high| !machine.contains(&high))
    });
    match (low, high) {
        (Some(low), Some(high)) => format!(", {low} to {high}"),
        (Some(low), None) if low.as_f64() > Some(0.0) => format!(", at least {low}"),
        (_, Some(high)) => format!(", at most {high}"),
        _ => String::new(),
    }
}

/// The values of an enumeration with their descriptions; a single value needs none.
fn choices(definition: &Value) -> String {
    let words = definition["oneOf"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if words.len() < 2 {
        return String::new();
    }
    words.iter().fold(String::new(), |mut all, choice| {
        let _ = write!(all, " `{}`: {}", word(choice), text(choice));
        all
    })
}

fn word(choice: &Value) -> &str {
    choice["const"].as_str().expect("a word")
}

fn text(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.replace('\n', " ")
}
