//! Pages of the documentation whose steps are run: the edits of a spec and the commands in them.
//!
//! A procedure is a section of the second level. Its steps are its blocks of code, in their order:
//! `console` is run by bash, a line that begins with `$ ` and those below it that are indented being one
//! command; `yaml` says in a comment what it changes. `console every` is run after each edit.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// A page.
#[derive(Debug)]
pub struct Page {
    /// What is run after each edit.
    pub every: Vec<String>,
    /// The sections with something to do.
    pub procedures: Vec<Procedure>,
}

/// A section.
#[derive(Debug)]
pub struct Procedure {
    /// Its heading.
    pub title: String,
    /// Its blocks.
    pub steps: Vec<Step>,
}

/// A block.
#[derive(Debug, Clone)]
pub enum Step {
    /// Changes of the spec.
    Edit(Vec<Change>),
    /// Commands.
    Run(Vec<String>),
    /// An object for each cluster.
    Apply(Value),
}

/// A change of a document at a path such as `spec.clusters[extra]`.
#[derive(Debug, Clone)]
pub struct Change {
    what: What,
    path: String,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Add,
    Set,
    Unset,
    Remove,
}

impl Page {
    /// The procedure with a heading.
    ///
    /// # Errors
    /// Where the page has none.
    pub fn procedure(&self, title: &str) -> Result<&Procedure> {
        let mut procedures = self.procedures.iter();
        let found = procedures.find(|procedure| procedure.title == title);
        found.with_context(|| format!("the page has no procedure `{title}`"))
    }

    /// Reads a page of `docs/`.
    ///
    /// # Errors
    /// Where a block cannot be understood.
    pub fn read(name: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs")
            .join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let (mut every, mut procedures) = (Vec::new(), Vec::<Procedure>::new());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                procedures.push(Procedure {
                    title: title.to_owned(),
                    steps: Vec::new(),
                });
            }
            let Some(language) = line.trim_start().strip_prefix("```") else {
                continue;
            };
            let indent = line.len() - line.trim_start().len();
            let block: Vec<_> = lines
                .by_ref()
                .take_while(|line| line.trim() != "```")
                .map(|line| line.get(indent..).unwrap_or_default())
                .collect();
            let step = match language {
                "console every" => {
                    every = commands(&block)?;
                    continue;
                }
                "console" => Step::Run(commands(&block)?),
                "yaml" => yaml(&block).with_context(|| block.join("\n"))?,
                other => bail!("{name} has a block of {other}"),
            };
            let procedure = procedures.last_mut().context("a block below a heading")?;
            procedure.steps.push(step);
        }
        procedures.retain(|procedure| !procedure.steps.is_empty());
        Ok(Self { every, procedures })
    }
}

fn commands(block: &[&str]) -> Result<Vec<String>> {
    let mut commands = Vec::<String>::new();
    for line in block {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        } else {
            let command = commands
                .last_mut()
                .context("a block begins with a command")?;
            command.push(' ');
            command.push_str(line.trim());
        }
    }
    Ok(commands)
}

fn yaml(block: &[&str]) -> Result<Step> {
    let text = block.join("\n");
    if block.first() == Some(&"# apply to each cluster") {
        return Ok(Step::Apply(serde_saphyr::from_str(&text)?));
    }
    let mut changes = Vec::new();
    for part in format!("\n{text}").split("\n# ").skip(1) {
        let (says, below) = part.split_once('\n').unwrap_or((part, ""));
        let known = [
            ("add to ", What::Add),
            ("set in ", What::Set),
            ("unset in ", What::Unset),
            ("remove ", What::Remove),
        ];
        let found = known
            .iter()
            .find_map(|(word, what)| Some((*what, says.strip_prefix(word)?)));
        let (what, path) = found.with_context(|| format!("what is `{says}`?"))?;
        let value = if below.trim().is_empty() {
            Value::Null
        } else {
            serde_saphyr::from_str(below)?
        };
        changes.push(Change {
            what,
            path: path.to_owned(),
            value,
        });
    }
    Ok(Step::Edit(changes))
}

impl Change {
    /// Makes the change.
    ///
    /// # Errors
    /// Where the document has no such place.
    pub fn make(&self, document: &mut Value) -> Result<()> {
        let Self { what, path, value } = self;
        if *what == What::Remove {
            let (list, name) = path
                .strip_suffix(']')
                .and_then(|path| path.rsplit_once('['))
                .with_context(|| format!("`{path}` is no item"))?;
            let list = at(document, list)?.as_array_mut().context("a list")?;
            let count = list.len();
            list.retain(|item| item["name"] != name);
            anyhow::ensure!(list.len() + 1 == count, "{path} is not there");
            return Ok(());
        }
        let place = at(document, path)?;
        match what {
            What::Add => place.as_array_mut().context("a list")?.push(value.clone()),
            What::Set | What::Unset => {
                let place = place.as_object_mut().context("a mapping")?;
                for (key, value) in value.as_object().context("keys")? {
                    if *what == What::Set {
                        place.insert(key.clone(), value.clone());
                    } else {
                        place
                            .remove(key)
                            .with_context(|| format!("{key} is not there"))?;
                    }
                }
            }
            What::Remove => {}
        }
        Ok(())
    }
}

/// The place at a path; a mapping that is left out is an empty one.
fn at<'v>(document: &'v mut Value, path: &str) -> Result<&'v mut Value> {
    let mut place = document;
    for part in path.split('.') {
        let (key, item) = match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
            Some((key, item)) => (key, Some(item)),
            None => (part, None),
        };
        let mapping = place
            .as_object_mut()
            .with_context(|| format!("{path}: {key}"))?;
        place = mapping.entry(key).or_insert_with(|| json!(Map::new()));
        if let Some(item) = item {
            let list = place.as_array_mut().context("a list")?;
            let found = list.iter_mut().find(|value| value["name"] == item);
            place = found.with_context(|| format!("{path}: there is no {item}"))?;
        }
    }
    Ok(place)
}
