//! CEL, the Common Expression Language, as the API server of Kubernetes evaluates it in policies: the
//! same types, functions, errors and costs. Which functions and macros there are depends on the version
//! of Kubernetes ([`Environment::for_kubernetes`]); errors and costs are those of 1.34.
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
pub use types::{OpaqueType, Struct, Type};
pub use value::{Entries, List, Map, OpaqueValue, Text, Value};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The minor version of Kubernetes whose API server hcb evaluates policies as: 1.34.
pub const KUBERNETES_MINOR: u16 = 34;

/// What an expression may use: the functions of a version of Kubernetes, and variables with their types.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The minor version of Kubernetes whose functions and macros there are.
    language: u16,
    variables: BTreeMap<String, Type>,
    lazy: Option<Arc<Struct>>,
    unknown: Vec<(Vec<String>, String)>,
}

impl Environment {
    /// An environment without variables, for [`KUBERNETES_MINOR`].
    pub fn new() -> Self {
        Self::for_kubernetes(KUBERNETES_MINOR)
    }

    /// An environment without variables, as the API server of Kubernetes 1.`minor` has it for a policy
    /// that is created.
    ///
    /// A new policy may only use what the version before has as well, so that it outlives a rollback:
    /// 1.34 takes the functions of 1.33 and refuses those that came with 1.34. Servers before 1.30 are
    /// treated as 1.30. The functions that came with 1.34 or later are not computed here, so that a call
    /// of one is refused whatever the version.
    pub fn for_kubernetes(minor: u16) -> Self {
        Self {
            language: minor
                .saturating_sub(1)
                .clamp(library::OLDEST, library::NEWEST),
            variables: BTreeMap::new(),
            lazy: None,
            unknown: Vec::new(),
        }
    }

    /// The names of all functions that an expression may call, sorted. Operators and macros are not
    /// among them.
    pub fn functions(&self) -> Vec<&'static str> {
        declarations::names(self.language).collect()
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

impl Default for Environment {
    fn default() -> Self {
        Self::new()
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
        let (expr, count) = parse::parse(text, environment.language)?;
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
}

pub(crate) const COST_EXCEEDED: &str = "operation cancelled: actual cost limit exceeded";

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Why an expression cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// The kind of mistake.
    pub kind: CompileErrorKind,
    /// One sentence.
    pub message: String,
    /// The bytes of the expression that are wrong.
    pub range: Range<usize>,
    /// What to do about it, if anything is known.
    pub help: Option<String>,
    /// The name that is not known, where that is the mistake.
    pub unknown: Option<UnknownName>,
}

/// A name that an expression uses and that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// The names that are known in its place.
    pub known: Vec<String>,
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
            unknown: None,
        }
    }

    fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }

    fn unknown<'a>(mut self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.unknown = Some(UnknownName {
            name: name.to_owned(),
            known: known.into_iter().map(str::to_owned).collect(),
        });
        self
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_policy_may_use_what_the_version_before_has() {
        for (expression, since) in [
            ("isCIDR('10.0.0.0/8')", 31),
            ("format.named('dns1123Label').hasValue()", 32),
            ("{'a': 1}.all(key, value, key == 'a' && value == 1)", 33),
            ("isSemver('1.0.0')", 34),
        ] {
            let compile = |minor| {
                Program::compile(expression, &Environment::for_kubernetes(minor)).map(|_| ())
            };
            assert_eq!(compile(since), Ok(()), "{expression} in 1.{since}");
            // 1.30 is the oldest that is known.
            if since > 30 {
                assert!(
                    compile(since - 1).is_err(),
                    "{expression} in 1.{}",
                    since - 1
                );
            }
        }
    }

    #[test]
    fn the_list_functions_of_1_34_are_refused_in_every_version() {
        for minor in 30..=36 {
            let environment = Environment::for_kubernetes(minor);
            assert!(Program::compile("[2, 1].sort() == [1, 2]", &environment).is_err());
        }
    }
}
