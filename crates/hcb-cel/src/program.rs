//! What an expression becomes: the steps of its evaluation.

use super::cost::Cost;
use super::declarations::{Function, Overload};
use super::library::Pattern;
use super::value::{List, Value};
use std::collections::BTreeSet;

/// A step of an evaluation.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Constant(Value<'static>),
    Attribute(Box<Attribute>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Equals {
        sides: Box<(Node, Node)>,
        is_negated: bool,
        /// Values of Kubernetes' own types cost 1.
        cost: Cost,
    },
    /// `value in [constants]`.
    Member {
        value: Box<Node>,
        list: List<'static>,
    },
    NotStrictlyFalse(Box<Node>),
    Call(Box<Call>),
    List {
        elements: Vec<(Node, bool)>,
    },
    Map {
        entries: Vec<(Node, Node, bool)>,
    },
    Fold(Box<Loop>),
    /// `accumulator + [value]`, which the macros make: the list grows in its place.
    Append {
        local: usize,
        value: Box<Node>,
        cost: u64,
    },
    /// `cel.@mapInsert(accumulator, key, value)`, likewise.
    Insert {
        local: usize,
        key: Option<Box<Node>>,
        value: Box<Node>,
    },
    /// `optional.or(other)`, which asks for the other only if it must.
    OptionalOr {
        sides: Box<(Node, Node)>,
        unwraps: bool,
    },
}

/// A variable or value and what is selected from it.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) root: Root,
    pub(super) qualifiers: Vec<Qualifier>,
    /// Whether the last qualifier only asks whether it is there.
    pub(super) is_test: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Root {
    Variable(String),
    Local(usize),
    /// A field of `variables`.
    Lazy(String),
    Value(Node),
    Conditional(Box<(Node, Attribute, Attribute)>),
}

#[derive(Debug, Clone)]
pub(super) struct Qualifier {
    pub(super) key: QualifierKey,
    pub(super) is_optional: bool,
    pub(super) is_test: bool,
}

#[derive(Debug, Clone)]
pub(super) enum QualifierKey {
    Field(String),
    Constant(Value<'static>),
    Computed(Attribute),
}

/// A call of a function.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) function: &'static Function,
    /// The overloads that may be meant, in their order.
    pub(super) overloads: Vec<&'static Overload>,
    pub(super) arguments: Vec<Node>,
    pub(super) cost: Cost,
    /// The compiled pattern, where that is a constant.
    pub(super) pattern: Option<Pattern>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name)
    }
}

impl std::fmt::Debug for Overload {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.id)
    }
}

/// A comprehension. Locals are numbered through the whole program.
#[derive(Debug, Clone)]
pub(super) struct Loop {
    pub(super) range: Node,
    pub(super) variable: usize,
    pub(super) second_variable: Option<usize>,
    pub(super) accumulator: usize,
    pub(super) start: Node,
    pub(super) condition: Node,
    pub(super) step: Node,
    pub(super) result: Node,
}

/// What became of an expression.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) root: Node,
    /// How many locals it has.
    pub(super) locals: usize,
    /// The variables that it uses.
    pub(super) variables: BTreeSet<String>,
}
