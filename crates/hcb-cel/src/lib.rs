//! CEL, the Common Expression Language, as the API server of Kubernetes 1.34 evaluates it in
//! policies: the same types, functions, errors and costs.
//!
//! An expression becomes a [`Program`] once: it is parsed, checked against the types of an
//! [`Environment`] and planned. A program is evaluated against an [`Activation`], whose values are
//! borrowed JSON. What can be neither checked nor evaluated as the API server does it is a
//! [`CompileError`], never a guess.
//!
//! The language is computed here, and not by a crate, because what matters is to be like cel-go in
//! every detail: the crates differ from it in what is an error, in numbers, in messages and costs,
//! and change keys that are not identifiers.

mod check;
mod convert;
mod cost;
mod declarations;
mod evaluate;
mod format;
mod lex;
mod library;
mod macros;
mod parse;
mod plan;
mod program;
mod syntax;
mod time;
mod types;
mod value;

pub use evaluate::{Activation, COST_LIMIT, Evaluation, Variables};
pub use types::{Object, Struct, Type};
pub use value::{Entries, List, Map, Text, Thing, Value};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The variables that an expression may use, and their types.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Type>,
    lazy: Option<Arc<Struct>>,
    unknown: Vec<(Vec<String>, String)>,
}

impl Environment {
    /// An environment without variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a variable of a known type; [`Type::Dyn`] where it is known only at run time.
    #[must_use]
    pub fn with(mut self, name: &str, ty: Type) -> Self {
        self.variables.insert(name.to_owned(), ty);
        self
    }

    /// With a part of a variable that is not known here, such as `object.metadata.uid`, and why:
    /// an expression that asks for it is refused.
    #[must_use]
    pub fn without(mut self, path: &[&str], why: &str) -> Self {
        let path = path.iter().map(|&step| step.to_owned()).collect();
        self.unknown.push((path, why.to_owned()));
        self
    }

    /// With `variables`, whose fields are computed when they are first asked for.
    #[must_use]
    pub fn with_lazy(mut self, fields: BTreeMap<String, Type>) -> Self {
        let structure = Arc::new(Struct {
            name: "kubernetes.variables".to_owned(),
            fields,
        });
        self.variables
            .insert("variables".to_owned(), Type::Struct(Arc::clone(&structure)));
        self.lazy = Some(structure);
        self
    }
}

/// An expression, ready to be evaluated any number of times, by any number of threads.
#[derive(Debug)]
pub struct Program {
    plan: program::Plan,
    ty: Type,
}

impl Program {
    /// Parses, checks and plans `text`.
    ///
    /// # Errors
    ///
    /// What the API server refuses when a policy is created: syntax, names, types, constants that
    /// cannot be converted; and what cannot be evaluated here.
    pub fn compile(text: &str, environment: &Environment) -> Result<Self, CompileError> {
        let (expr, count) = parse::parse(text)?;
        let checked = check::check(&expr, count, environment)?;
        let ty = checked[expr.id].ty.clone();
        let plan = plan::plan(&expr, &checked, environment)?;
        Ok(Self { plan, ty })
    }

    /// The type of what the program evaluates to.
    pub fn result_type(&self) -> &Type {
        &self.ty
    }

    /// Whether the value of the variable `name` is asked for.
    pub fn uses(&self, name: &str) -> bool {
        self.plan.variables.contains(name)
    }

    /// Evaluates the program.
    pub fn evaluate<'a>(&'a self, activation: &Activation<'a, '_>) -> Evaluation<'a> {
        evaluate::evaluate(&self.plan.root, self.plan.locals, activation)
    }
}

/// Why an expression has no value, in the words of cel-go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Cow<'static, str>);

impl Error {
    /// An error with this message.
    pub fn new(message: String) -> Self {
        Self(Cow::Owned(message))
    }

    pub(crate) const fn fixed(message: &'static str) -> Self {
        Self(Cow::Borrowed(message))
    }

    fn no_overload() -> Self {
        Self::fixed("no such overload")
    }

    /// The evaluation went beyond its limit.
    pub fn is_out_of_budget(&self) -> bool {
        self.0 == COST_EXCEEDED
    }
}

pub(crate) const COST_EXCEEDED: &str = "operation cancelled: actual cost limit exceeded";

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// Which kind of mistake it is.
    pub kind: CompileErrorKind,
    /// One sentence.
    pub message: String,
    /// The bytes of the expression that are meant.
    pub range: Range<usize>,
    /// What to do about it, where something is known.
    pub help: Option<String>,
}

/// The kinds of [`CompileError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompileErrorKind {
    /// The text is not an expression.
    Syntax,
    /// The API server's checker refuses it.
    Check,
    /// The API server takes it, and it cannot be evaluated here.
    Unsupported,
}

impl CompileError {
    fn syntax(message: impl Into<String>, range: Range<usize>) -> Self {
        Self::new(CompileErrorKind::Syntax, message, range)
    }

    fn check(message: impl Into<String>, range: Range<usize>) -> Self {
        Self::new(CompileErrorKind::Check, message, range)
    }

    fn unsupported(message: impl Into<String>, range: Range<usize>) -> Self {
        Self::new(CompileErrorKind::Unsupported, message, range)
    }

    fn new(kind: CompileErrorKind, message: impl Into<String>, range: Range<usize>) -> Self {
        Self {
            kind,
            message: message.into(),
            range,
            help: None,
        }
    }

    fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

/// The names of all functions that an expression may call, sorted. Operators and macros are not
/// among them.
pub fn functions() -> Vec<&'static str> {
    declarations::names().collect()
}

/// Runs `step` of something recursive with room on the stack, whatever thread it is on.
fn with_stack<T>(step: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(256 << 10, 4 << 20, step)
}

impl fmt::Display for CompileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for CompileError {}
