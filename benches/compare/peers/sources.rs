//! What the sources for several tools are made of.

use super::{Block, CLUSTER, Each, TEAM, WORKLOAD};
use crate::fleet::{Size, TEAMS, team, workload};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// How a language says the values that words stand for.
pub(super) struct Words {
    pub(super) cluster: &'static str,
    /// In what is made for each team.
    pub(super) team: &'static str,
    /// In what is made for each workload.
    pub(super) team_of_workload: &'static str,
    pub(super) workload: &'static str,
}

impl Words {
    /// A text of what is made for this, with the values in the place of the words.
    pub(super) fn put_into(&self, each: Each, text: &str) -> String {
        let team = match each {
            Each::Team => self.team,
            Each::Cluster | Each::Workload => self.team_of_workload,
        };
        text.replace(CLUSTER, self.cluster)
            .replace(TEAM, team)
            .replace(WORKLOAD, self.workload)
    }
}

pub(super) fn teams(size: Size) -> Value {
    let mut teams: Vec<_> = (0..TEAMS.min(size.workloads)).map(team).collect();
    teams.sort();
    json!(teams)
}

pub(super) fn workloads(size: Size) -> Value {
    (0..size.workloads)
        .map(|index| json!({"name": workload(index), "team": team(index)}))
        .collect()
}

pub(super) fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

pub(super) fn escape(value: &mut Value, with: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = with(text),
        Value::Array(items) => items.iter_mut().for_each(|item| escape(item, with)),
        Value::Object(fields) => fields.values_mut().for_each(|field| escape(field, with)),
        _ => {}
    }
}

/// The objects of a cluster one by one, with the word for its name.
pub(super) fn expanded(blocks: &[Block], size: Size) -> Vec<Value> {
    let mut objects = Vec::new();
    for Block { each, object } in blocks {
        match each {
            Each::Cluster => objects.push(object.clone()),
            Each::Team => objects.extend((0..TEAMS.min(size.workloads)).map(|index| {
                let mut object = object.clone();
                escape(&mut object, &|text| text.replace(TEAM, &team(index)));
                object
            })),
            Each::Workload => objects.extend((0..size.workloads).map(|index| {
                let mut object = object.clone();
                escape(&mut object, &|text| {
                    text.replace(TEAM, &team(index))
                        .replace(WORKLOAD, &workload(index))
                });
                object
            })),
        }
    }
    objects
}

/// The places of the texts of an object that hold a word.
pub(super) fn places(value: &Value, word: &str, pointer: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if text.contains(word) => {
            found.push((pointer.to_owned(), text.clone()));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, word, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(field, word, &format!("{pointer}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// JSON in a language that has it as a part, with texts that hold words for values as expressions.
pub(super) fn literal(value: &Value, each: Each, words: &Words) -> String {
    match value {
        Value::String(_) => words.put_into(each, &value.to_string()),
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| literal(item, each, words))
                .collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, field)| {
                    format!(
                        "{}: {}",
                        Value::from(key.as_str()),
                        literal(field, each, words)
                    )
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
