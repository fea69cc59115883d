//! A checked tree to what is evaluated: names resolved, constants computed, patterns compiled
//! (cel-go's `interpreter/planner.go` and `decorators.go`).

use super::check::{Checked, Reference};
use super::cost::Cost;
use super::evaluate::{self, Activation};
use super::macros::ACCUMULATOR;
use super::program::{Attribute, Call, Loop, Node, Plan, Qualifier, QualifierKey, Root};
use super::syntax::{Expr, ExprKind, Fold, Literal, operators};
use super::types::{OpaqueType, Type};
use super::value::{Map, Text, Value};
use super::{CompileError, Environment, library};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// The plan of `expr`.
pub(super) fn plan(
    expr: &Expr,
    checked: &[Checked],
    environment: &Environment,
) -> Result<Plan, CompileError> {
    let mut planner = Planner {
        checked,
        environment,
        scopes: Vec::new(),
        locals: 0,
        variables: BTreeSet::new(),
    };
    let root = planner.node(expr)?;
    Ok(Plan {
        root,
        locals: planner.locals,
        variables: planner.variables,
    })
}

struct Planner<'a> {
    checked: &'a [Checked],
    environment: &'a Environment,
    scopes: Vec<(String, usize)>,
    locals: usize,
    variables: BTreeSet<String>,
}

impl Planner<'_> {
    fn local(&mut self, name: &str) -> usize {
        self.locals += 1;
        self.scopes.push((name.to_owned(), self.locals - 1));
        self.locals - 1
    }

    fn node(&mut self, expr: &Expr) -> Result<Node, CompileError> {
        super::with_stack(|| self.plan_node(expr))
    }

    fn plan_node(&mut self, expr: &Expr) -> Result<Node, CompileError> {
        match &self.checked[expr.id].reference {
            Reference::Variable(name) => {
                let name = name.clone();
                return self.variable(&name, &expr.at);
            }
            Reference::Type(ty) => return Ok(Node::Constant(Value::Type(type_name(ty)))),
            Reference::None | Reference::Function { .. } => {}
        }
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(Node::Constant(constant(literal))),
            ExprKind::Ident(name) => self.variable(name, &expr.at),
            ExprKind::Select {
                operand,
                field,
                is_test,
            } => {
                if let Some(root) = self.lazy(operand, field) {
                    return Ok(attribute(Attribute {
                        root,
                        qualifiers: Vec::new(),
                        is_test: false,
                    })
                    .tested(*is_test));
                }
                let mut selected = self.attribute(operand)?;
                selected.push(Qualifier {
                    key: QualifierKey::Field(field.clone()),
                    is_optional: false,
                    is_test: *is_test,
                });
                selected.is_test = *is_test;
                self.known(&selected, &expr.at)?;
                Ok(Node::Attribute(Box::new(selected)))
            }
            ExprKind::Call {
                function,
                target,
                arguments,
            } => self.call(expr, function, target.as_deref(), arguments),
            ExprKind::List(elements) => {
                let elements = elements
                    .iter()
                    .map(|element| Ok((self.node(&element.value)?, element.is_optional)))
                    .collect::<Result<Vec<_>, CompileError>>()?;
                let is_constant = elements
                    .iter()
                    .all(|(node, is_optional)| matches!(node, Node::Constant(_)) && !is_optional);
                fold_constant(Node::List { elements }, is_constant, &expr.at)
            }
            ExprKind::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|entry| {
                        Ok((
                            self.node(&entry.key)?,
                            self.node(&entry.value)?,
                            entry.is_optional,
                        ))
                    })
                    .collect::<Result<Vec<_>, CompileError>>()?;
                let is_constant = entries.iter().all(|(key, value, is_optional)| {
                    matches!((key, value), (Node::Constant(_), Node::Constant(_))) && !is_optional
                });
                fold_constant(Node::Map { entries }, is_constant, &expr.at)
            }
            ExprKind::Struct(name) => Err(CompileError::check(
                format!("undeclared reference to '{name}' (in container '')"),
                expr.at.clone(),
            )),
            ExprKind::Fold(fold) => self.fold(fold),
        }
    }

    fn variable(&mut self, name: &str, at: &Range<usize>) -> Result<Node, CompileError> {
        let local = self.scopes.iter().rev().find(|(local, _)| local == name);
        let root = match local {
            Some((_, local)) => Root::Local(*local),
            None if name == "variables" && self.environment.lazy.is_some() => {
                return Err(CompileError::unsupported(
                    "`variables` can only be used with the name of a variable: `variables.name`",
                    at.clone(),
                ));
            }
            None => {
                self.variables.insert(name.to_owned());
                Root::Variable(name.to_owned())
            }
        };
        Ok(Node::Attribute(Box::new(Attribute {
            root,
            qualifiers: Vec::new(),
            is_test: false,
        })))
    }

    /// The variable, where `operand.field` is a field of `variables`.
    fn lazy(&self, operand: &Expr, field: &str) -> Option<Root> {
        let is_lazy = matches!(
            &self.checked[operand.id].reference,
            Reference::Variable(name) if name == "variables"
        ) && self.environment.lazy.is_some()
            && !self.scopes.iter().any(|(local, _)| local == "variables");
        is_lazy.then(|| Root::Lazy(field.to_owned()))
    }

    /// `expr` as something that can be selected from.
    fn attribute(&mut self, expr: &Expr) -> Result<Attribute, CompileError> {
        Ok(match self.node(expr)? {
            Node::Attribute(attribute) => *attribute,
            other => Attribute {
                root: Root::Value(other),
                qualifiers: Vec::new(),
                is_test: false,
            },
        })
    }

    fn call(
        &mut self,
        expr: &Expr,
        name: &str,
        target: Option<&Expr>,
        arguments: &[Expr],
    ) -> Result<Node, CompileError> {
        match (name, arguments) {
            (operators::AND, _) => {
                return Ok(Node::And(self.nodes(arguments)?));
            }
            (operators::OR, _) => {
                return Ok(Node::Or(self.nodes(arguments)?));
            }
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                let condition = self.node(condition)?;
                let then = self.attribute(then)?;
                let otherwise = self.attribute(otherwise)?;
                return Ok(attribute(Attribute {
                    root: Root::Conditional(Box::new((condition, then, otherwise))),
                    qualifiers: Vec::new(),
                    is_test: false,
                }));
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                let is_negated = name == operators::NOT_EQUALS;
                let sides = Box::new((self.node(left)?, self.node(right)?));
                return Ok(Node::Equals {
                    sides,
                    is_negated,
                    cost: Cost::Smaller,
                });
            }
            (
                operators::OPTIONAL_SELECT | operators::INDEX | operators::OPTIONAL_INDEX,
                [operand, key],
            ) => {
                return self.index(name, operand, key, &expr.at);
            }
            (operators::NOT_STRICTLY_FALSE, [argument]) => {
                return Ok(Node::NotStrictlyFalse(Box::new(self.node(argument)?)));
            }
            (operators::ADD | operators::MAP_INSERT, [first, ..]) => {
                if let ExprKind::Ident(name) = &first.kind
                    && name == ACCUMULATOR
                    && let Some(node) = self.grow(arguments)?
                {
                    return Ok(node);
                }
            }
            _ => {}
        }
        let Reference::Function {
            function,
            overloads,
            is_qualified,
        } = &self.checked[expr.id].reference
        else {
            return Err(CompileError::unsupported(
                "this call cannot be evaluated",
                expr.at.clone(),
            ));
        };
        let (function, overloads, is_qualified) = (*function, overloads.clone(), *is_qualified);
        let mut nodes = Vec::new();
        if !is_qualified && let Some(target) = target {
            nodes.push(self.node(target)?);
        }
        nodes.extend(self.nodes(arguments)?);
        if matches!(function.name, "or" | "orValue") {
            let mut nodes = nodes.into_iter();
            if let (Some(left), Some(right)) = (nodes.next(), nodes.next()) {
                return Ok(Node::OptionalOr {
                    sides: Box::new((left, right)),
                    unwraps: function.name == "orValue",
                });
            }
            return Err(CompileError::unsupported(
                "this call cannot be evaluated",
                expr.at.clone(),
            ));
        }
        let single = match overloads.as_slice() {
            [only] => Some(only.id),
            _ => None,
        };
        if single == Some("in_list")
            && let [_, Node::Constant(Value::List(list))] = nodes.as_slice()
        {
            let list = list.clone();
            let is_simple = list.iter().all(|item| {
                matches!(
                    item,
                    Value::Bool(_)
                        | Value::Int(_)
                        | Value::Uint(_)
                        | Value::Double(_)
                        | Value::String(_)
                )
            });
            if list.len() == 0 {
                return Ok(Node::Constant(Value::Bool(false)));
            }
            if is_simple {
                return Ok(Node::Member {
                    value: Box::new(nodes.swap_remove(0)),
                    list,
                });
            }
        }
        let pattern = match nodes.get(1) {
            Some(Node::Constant(Value::String(pattern)))
                if matches!(function.name, "matches" | "find" | "findAll") =>
            {
                let pattern = library::Pattern::compile(pattern).map_err(|error| {
                    error.at(arguments.last().map_or(&expr.at, |last| &last.at))
                })?;
                Some(pattern)
            }
            _ => None,
        };
        let is_conversion = matches!(
            function.name,
            "bool"
                | "bytes"
                | "double"
                | "dyn"
                | "duration"
                | "int"
                | "string"
                | "timestamp"
                | "type"
                | "uint"
        ) && nodes.len() == 1
            && matches!(nodes[0], Node::Constant(_));
        let call = Node::Call(Box::new(Call {
            function,
            cost: function.cost(single),
            overloads: if single.is_some() {
                overloads
            } else {
                function.overloads.iter().collect()
            },
            arguments: nodes,
            pattern,
        }));
        fold_constant(call, is_conversion, &expr.at)
    }

    fn nodes(&mut self, exprs: &[Expr]) -> Result<Vec<Node>, CompileError> {
        exprs.iter().map(|expr| self.node(expr)).collect()
    }

    fn index(
        &mut self,
        name: &str,
        operand: &Expr,
        key: &Expr,
        at: &Range<usize>,
    ) -> Result<Node, CompileError> {
        let is_optional = name != operators::INDEX;
        if name == operators::OPTIONAL_SELECT
            && let ExprKind::Literal(Literal::String(field)) = &key.kind
            && self.lazy(operand, field).is_some()
        {
            return Err(CompileError::unsupported(
                "`variables` can only be used with the name of a variable: `variables.name`",
                key.at.clone(),
            ));
        }
        let mut selected = self.attribute(operand)?;
        let key = match self.node(key)? {
            Node::Constant(Value::String(field)) => QualifierKey::Field(field.to_string()),
            Node::Constant(value) => QualifierKey::Constant(value),
            Node::Attribute(attribute) => QualifierKey::Computed(*attribute),
            other => QualifierKey::Computed(Attribute {
                root: Root::Value(other),
                qualifiers: Vec::new(),
                is_test: false,
            }),
        };
        selected.push(Qualifier {
            key,
            is_optional,
            is_test: false,
        });
        self.known(&selected, at)?;
        Ok(Node::Attribute(Box::new(selected)))
    }

    /// Whether a selection is of something that is known here.
    fn known(&self, selected: &Attribute, at: &Range<usize>) -> Result<(), CompileError> {
        let Root::Variable(root) = &selected.root else {
            return Ok(());
        };
        let asked = |(path, _): &&(Vec<String>, String)| {
            let fields = selected
                .qualifiers
                .iter()
                .map(|qualifier| match &qualifier.key {
                    QualifierKey::Field(field) => Some(field),
                    _ => None,
                });
            path.len() == selected.qualifiers.len() + 1
                && path
                    .iter()
                    .map(Some)
                    .eq(std::iter::once(Some(root)).chain(fields))
        };
        match self.environment.unknown.iter().find(asked) {
            Some((path, why)) => Err(CompileError::unsupported(
                format!("`{}` is not known offline: {why}", path.join(".")),
                at.clone(),
            )),
            None => Ok(()),
        }
    }

    /// The step of a macro that adds to its accumulator.
    fn grow(&mut self, arguments: &[Expr]) -> Result<Option<Node>, CompileError> {
        let Some(&(_, local)) = self
            .scopes
            .iter()
            .rev()
            .find(|(name, _)| name == ACCUMULATOR)
        else {
            return Ok(None);
        };
        match arguments {
            [_, list] if let ExprKind::List(elements) = &list.kind => {
                let [element] = elements.as_slice() else {
                    return Ok(None);
                };
                let value = self.node(&element.value)?;
                let is_constant = matches!(value, Node::Constant(_));
                Ok(Some(Node::Append {
                    local,
                    value: Box::new(value),
                    cost: if is_constant { 0 } else { super::cost::LIST },
                }))
            }
            [_, key, value] => Ok(Some(Node::Insert {
                local,
                key: Some(Box::new(self.node(key)?)),
                value: Box::new(self.node(value)?),
            })),
            // An integer, or the entry of a `transformMapEntry`.
            [_, value] if matches!(self.checked[value.id].ty, Type::Map(..) | Type::Dyn) => {
                Ok(Some(Node::Insert {
                    local,
                    key: None,
                    value: Box::new(self.node(value)?),
                }))
            }
            _ => Ok(None),
        }
    }

    fn fold(&mut self, fold: &Fold) -> Result<Node, CompileError> {
        let range = self.node(&fold.range)?;
        let start = self.node(&fold.start)?;
        let depth = self.scopes.len();
        let accumulator = self.local(&fold.accumulator);
        let variable = self.local(&fold.variable);
        let second_variable = fold.second_variable.as_ref().map(|name| self.local(name));
        let condition = self.node(&fold.condition)?;
        let step = self.node(&fold.step)?;
        self.scopes.truncate(depth + 1);
        let result = self.node(&fold.result)?;
        self.scopes.truncate(depth);
        Ok(Node::Fold(Box::new(Loop {
            range,
            variable,
            second_variable,
            accumulator,
            start,
            condition,
            step,
            result,
        })))
    }
}

impl Attribute {
    /// Selects from this; from both branches, if it is one of two.
    fn push(&mut self, qualifier: Qualifier) {
        match &mut self.root {
            Root::Conditional(branches) => {
                branches.1.push(qualifier.clone());
                branches.2.push(qualifier);
            }
            _ => self.qualifiers.push(qualifier),
        }
    }
}

fn attribute(attribute: Attribute) -> Node {
    Node::Attribute(Box::new(attribute))
}

impl Node {
    /// A presence test of a variable: it is there, if it can be computed.
    fn tested(self, is_test: bool) -> Node {
        match self {
            Node::Attribute(mut attribute) if is_test => {
                attribute.is_test = true;
                Node::Attribute(attribute)
            }
            other => other,
        }
    }
}

fn constant(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Uint(value) => Value::Uint(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::String(text) => Value::String(Text::Shared(text.as_str().into())),
        Literal::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
    }
}

fn type_name(ty: &Type) -> &'static str {
    match ty {
        Type::Null => "null_type",
        Type::Bool => "bool",
        Type::Int => "int",
        Type::Uint => "uint",
        Type::Double => "double",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Duration => "google.protobuf.Duration",
        Type::Timestamp => "google.protobuf.Timestamp",
        Type::List(_) => "list",
        Type::Map(..) => "map",
        Type::Optional(_) => "optional_type",
        Type::Opaque(OpaqueType::Ip) => "net.IP",
        Type::Opaque(OpaqueType::Cidr) => "net.CIDR",
        _ => "type",
    }
}

/// The value of `node`, where it `is_constant`. What cannot be computed is refused, as by the API
/// server.
fn fold_constant(node: Node, is_constant: bool, at: &Range<usize>) -> Result<Node, CompileError> {
    if !is_constant {
        return Ok(node);
    }
    let value = evaluate::evaluate(&node, 0, &Activation::new())
        .value
        .map_err(|error| CompileError::check(error.to_string(), at.clone()))?;
    Ok(match own(value) {
        Some(value) => Node::Constant(value),
        None => node,
    })
}

/// A value that borrows nothing.
fn own(value: Value<'_>) -> Option<Value<'static>> {
    Some(match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(value),
        Value::Int(value) => Value::Int(value),
        Value::Uint(value) => Value::Uint(value),
        Value::Double(value) => Value::Double(value),
        Value::String(text) => Value::String(Text::Shared((&*text).into())),
        Value::Bytes(bytes) => Value::Bytes(bytes),
        Value::Duration(value) => Value::Duration(value),
        Value::Timestamp(value) => Value::Timestamp(value),
        Value::Type(name) => Value::Type(name),
        Value::Optional(None) => Value::Optional(None),
        Value::Optional(Some(value)) => Value::Optional(Some(Arc::new(own((*value).clone())?))),
        Value::Opaque(opaque) => Value::Opaque(opaque),
        Value::List(list) => list
            .iter()
            .map(own)
            .collect::<Option<Vec<_>>>()
            .map(Value::from)?,
        Value::Map(map) => {
            let mut entries = super::value::Entries::default();
            for (key, value) in map.entries() {
                entries.set(own(key)?, own(value)?).ok()?;
            }
            Value::Map(Map::Shared(Arc::new(entries)))
        }
    })
}
