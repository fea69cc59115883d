//! Templates: text with values, to values.
//!
//! Every value that a template interpolates is written as JSON, which is YAML, and the text is then
//! read back as values: no value can break out of its place, whatever it holds. A template of the
//! user's folder takes the place of the built-in one of the same path.

use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use rust_embed::RustEmbed;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(RustEmbed)]
#[folder = "templates/"]
struct BuiltIn;

/// The templates of a run.
pub struct Templates {
    environment: Environment<'static>,
}

/// A document of a rendered template.
#[derive(Debug)]
pub struct Document {
    /// The value.
    pub value: Value,
    /// The comment above it, without `#`.
    pub comment: Vec<String>,
}

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A template of the user's has the path of no built-in one.
    #[error("it takes the place of no template")]
    NoSuchTemplate {
        /// The path of a built-in template that is nearly the same.
        nearest: Option<String>,
    },
    /// It is no template, or uses what its context does not have.
    #[error("{message}")]
    Unusable {
        /// What the template engine says.
        message: String,
        /// The template and the line, where they are known.
        place: Option<(String, usize)>,
    },
    /// What it was rendered to is no YAML.
    #[error("{message}")]
    NoYaml {
        /// What the reader of YAML says.
        message: String,
        /// The number of the line of what was rendered, and its text.
        line: Option<(usize, String)>,
    },
}

impl TemplateError {
    /// Where it is, and what is there, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let note = match self {
            Self::NoSuchTemplate { nearest } => nearest
                .as_ref()
                .map(|near| format!("did you mean `{near}`?")),
            Self::Unusable { place, .. } => place
                .as_ref()
                .map(|(name, line)| format!("in `{name}`, line {line}")),
            Self::NoYaml { line, .. } => line
                .as_ref()
                .map(|(number, text)| format!("line {number} of what was rendered is `{text}`")),
        };
        note.into_iter().collect()
    }
}

impl Templates {
    /// The built-in templates, with those of `overrides` (by path below the folder, such as
    /// `workloads/job.yaml`) in their place. Fails on an override that is no template, or that takes
    /// the place of none.
    ///
    /// # Errors
    ///
    /// All templates that cannot be used, by path.
    pub fn new(overrides: BTreeMap<String, String>) -> Result<Self, Vec<(String, TemplateError)>> {
        let mut environment = Environment::new();
        environment.set_formatter(|out, _, value| {
            let json = serde_json::to_string(value).map_err(|error| {
                minijinja::Error::new(ErrorKind::BadSerialization, error.to_string())
            })?;
            Ok(out.write_str(&hcb_source::yaml::printable(&json))?)
        });
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build();
        match syntax {
            Ok(syntax) => environment.set_syntax(syntax),
            Err(error) => unreachable!("the default delimiters are good: {error}"),
        }
        environment.set_recursion_limit(32);
        // `safe` would let a value through as text.
        environment.remove_filter("safe");
        environment.add_filter("merge", merge);
        let mut errors = Vec::new();
        for (path, text) in Self::sources() {
            if let Err(error) = environment.add_template_owned(path.clone(), text) {
                errors.push((path, TemplateError::from(&error)));
            }
        }
        for (path, text) in overrides {
            if BuiltIn::get(&path).is_none() {
                let known: Vec<_> = BuiltIn::iter().collect();
                let nearest = hcb_source::diag::nearest(&path, known.iter().map(AsRef::as_ref));
                let nearest = nearest.map(str::to_owned);
                errors.push((path, TemplateError::NoSuchTemplate { nearest }));
                continue;
            }
            if let Err(error) = environment.add_template_owned(path.clone(), text) {
                errors.push((path, TemplateError::from(&error)));
            }
        }
        if errors.is_empty() {
            Ok(Self { environment })
        } else {
            Err(errors)
        }
    }

    /// The built-in templates.
    pub fn built_in() -> Self {
        match Self::new(BTreeMap::new()) {
            Ok(templates) => templates,
            Err(errors) => unreachable!("built-in templates that are none: {errors:?}"),
        }
    }

    /// The paths of the built-in templates, and their texts.
    pub fn sources() -> impl Iterator<Item = (String, String)> {
        BuiltIn::iter().map(|path| {
            let file = BuiltIn::get(&path)
                .map(|file| file.data)
                .unwrap_or_default();
            (
                path.to_string(),
                String::from_utf8_lossy(&file).into_owned(),
            )
        })
    }

    /// Renders a template to text, which [`read`] makes values of.
    ///
    /// # Errors
    ///
    /// The template is not there, or uses what the context does not have.
    pub fn render(&self, template: &str, context: &Value) -> Result<String, TemplateError> {
        self.environment
            .get_template(template)
            .and_then(|template| template.render(Serde(context)))
            .map_err(|error| TemplateError::from(&error))
    }
}

/// Reads what a template was rendered to.
///
/// # Errors
///
/// It is no YAML.
pub fn read(template: &str, text: &str) -> Result<Vec<Document>, TemplateError> {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let file = sources.add(format!("{template}, as rendered"), text);
    let nodes = hcb_source::yaml::read(file, text, &mut diagnostics);
    if let Some(first) = diagnostics.sorted().first() {
        let line = first.labels.first().map(|label| {
            let number = sources.line_column(label.location).line;
            let line = text.lines().nth(number - 1).unwrap_or_default();
            (number, line.trim().to_owned())
        });
        return Err(TemplateError::NoYaml {
            message: first.message.clone(),
            line,
        });
    }
    Ok(nodes
        .iter()
        .map(|node| Document {
            value: node.to_json(),
            comment: comment_above(&text[..node.location.start as usize]),
        })
        .collect())
}

/// The comment that ends right before a document.
fn comment_above(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text
        .lines()
        .rev()
        .skip_while(|line| line.trim().is_empty())
        .take_while(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_owned())
        .collect();
    lines.reverse();
    lines
}

/// The filter `merge`: a mapping with the entries of another in it.
fn merge(
    base: &minijinja::Value,
    other: &minijinja::Value,
) -> Result<minijinja::Value, minijinja::Error> {
    let mapping = |value: &minijinja::Value| match serde_json::to_value(value) {
        Ok(Value::Object(mapping)) => Ok(mapping),
        _ => Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "`merge` wants two mappings",
        )),
    };
    let mut merged = mapping(base)?;
    merged.extend(mapping(other)?);
    Ok(minijinja::Value::from(Serde(merged)))
}

impl From<&minijinja::Error> for TemplateError {
    fn from(error: &minijinja::Error) -> Self {
        let detail = error.detail().map(|detail| format!(": {detail}"));
        Self::Unusable {
            message: format!("{}{}", error.kind(), detail.unwrap_or_default()),
            place: error
                .name()
                .zip(error.line())
                .map(|(name, line)| (name.to_owned(), line)),
        }
    }
}
