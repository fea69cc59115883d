//! The syntax tree of an expression. Every node knows the bytes it was read from.

use std::ops::Range;

/// A node, with a number of its own that the checker keeps types under.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expr {
    pub(super) id: usize,
    /// The bytes to underline when something is wrong with this node: the name of a call, an
    /// operator, a literal.
    pub(super) at: Range<usize>,
    pub(super) kind: ExprKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum ExprKind {
    Literal(Literal),
    Ident(String),
    Select {
        operand: Box<Expr>,
        field: String,
        /// Whether only the presence of the field is asked for: `has(operand.field)`.
        is_test: bool,
    },
    Call {
        function: String,
        target: Option<Box<Expr>>,
        arguments: Vec<Expr>,
    },
    List(Vec<Element>),
    Map(Vec<Entry>),
    Struct(String),
    Fold(Box<Fold>),
}

/// An element of a list literal; `?value` is left out when it is `optional.none()`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Element {
    pub(super) is_optional: bool,
    pub(super) value: Expr,
}

/// An entry of a map literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) is_optional: bool,
    pub(super) key: Expr,
    pub(super) value: Expr,
}

/// A comprehension, which the macros `all`, `map` and so on stand for: the accumulator starts as
/// `start`, becomes `step` for each item while `condition` holds, and `result` is the value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fold {
    pub(super) range: Expr,
    pub(super) variable: String,
    pub(super) second_variable: Option<String>,
    pub(super) accumulator: String,
    pub(super) start: Expr,
    pub(super) condition: Expr,
    pub(super) step: Expr,
    pub(super) result: Expr,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

/// The names of operators, as the checker and messages have them.
pub(super) mod operators {
    pub(crate) const CONDITIONAL: &str = "_?_:_";
    pub(crate) const AND: &str = "_&&_";
    pub(crate) const OR: &str = "_||_";
    pub(crate) const NOT: &str = "!_";
    pub(crate) const NEGATE: &str = "-_";
    pub(crate) const ADD: &str = "_+_";
    pub(crate) const EQUALS: &str = "_==_";
    pub(crate) const NOT_EQUALS: &str = "_!=_";
    pub(crate) const INDEX: &str = "_[_]";
    pub(crate) const OPTIONAL_INDEX: &str = "_[?_]";
    pub(crate) const OPTIONAL_SELECT: &str = "_?._";
    pub(crate) const NOT_STRICTLY_FALSE: &str = "@not_strictly_false";
    pub(crate) const MAP_INSERT: &str = "cel.@mapInsert";
}
