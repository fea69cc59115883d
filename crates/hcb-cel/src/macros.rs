//! The macros: calls that stand for comprehensions and presence tests (cel-go's `parser/macro.go`,
//! `ext/comprehensions.go` and the optional library). Kubernetes has no `cel.bind`.

use super::CompileError;
use super::library::TWO_VARIABLES;
use super::parse::Nodes;
use super::syntax::{Element, Expr, ExprKind, Fold, Literal, operators};
use std::ops::Range;

/// The name of accumulators, which no expression can spell.
pub(super) const ACCUMULATOR: &str = "@result";

/// `name(arguments)`.
pub(super) fn global(
    nodes: &mut Nodes,
    at: Range<usize>,
    name: String,
    mut arguments: Vec<Expr>,
) -> Result<Expr, CompileError> {
    if name != "has" || arguments.len() != 1 {
        return Ok(nodes.node(
            &at,
            ExprKind::Call {
                function: name,
                target: None,
                arguments,
            },
        ));
    }
    let argument = arguments.remove(0);
    match argument.kind {
        ExprKind::Select { operand, field, .. } => Ok(nodes.node(
            &argument.at,
            ExprKind::Select {
                operand,
                field,
                is_test: true,
            },
        )),
        _ => Err(CompileError::syntax(
            "invalid argument to has() macro",
            argument.at,
        )),
    }
}

/// `target.name(arguments)` in the language of Kubernetes 1.`minor`.
pub(super) fn receiver(
    nodes: &mut Nodes,
    minor: u16,
    at: Range<usize>,
    name: String,
    target: Expr,
    arguments: Vec<Expr>,
) -> Result<Expr, CompileError> {
    let count = arguments.len();
    let expanded = match (name.as_str(), count) {
        ("all" | "exists" | "exists_one" | "filter", 2) | ("map", 2 | 3) => true,
        (
            "all" | "exists" | "exists_one" | "existsOne" | "transformList" | "transformMap"
            | "transformMapEntry",
            3,
        )
        | ("transformList" | "transformMap" | "transformMapEntry", 4) => minor >= TWO_VARIABLES,
        ("optMap" | "optFlatMap", 2) => {
            return optional_map(nodes, &at, name == "optMap", target, arguments);
        }
        _ => false,
    };
    if !expanded {
        return Ok(nodes.node(
            &at,
            ExprKind::Call {
                function: name,
                target: Some(Box::new(target)),
                arguments,
            },
        ));
    }
    comprehension(nodes, &at, &name, target, arguments)
}

fn comprehension(
    nodes: &mut Nodes,
    at: &Range<usize>,
    name: &str,
    range: Expr,
    arguments: Vec<Expr>,
) -> Result<Expr, CompileError> {
    let has_two_variables = match name {
        "filter" | "map" => false,
        "transformList" | "transformMap" | "transformMapEntry" => true,
        _ => arguments.len() == 3,
    };
    let mut arguments = arguments.into_iter();
    let mut variable = || -> Result<(String, Range<usize>), CompileError> {
        let Some(argument) = arguments.next() else {
            return Err(CompileError::syntax(
                "argument must be a simple name",
                at.clone(),
            ));
        };
        match argument.kind {
            ExprKind::Ident(name) if name == "__result__" => Err(CompileError::syntax(
                "iteration variable overwrites accumulator variable",
                argument.at,
            )),
            ExprKind::Ident(name) => Ok((name, argument.at)),
            _ => Err(CompileError::syntax(
                "argument must be a simple name",
                argument.at,
            )),
        }
    };
    let (first, _) = variable()?;
    let second = if has_two_variables {
        let (second, place) = variable()?;
        if second == first {
            return Err(CompileError::syntax(
                format!("duplicate variable name: {first}"),
                place,
            ));
        }
        Some(second)
    } else {
        None
    };
    let mut rest: Vec<Expr> = arguments.collect();
    let Some(last) = rest.pop() else {
        return Err(CompileError::syntax(
            "a macro without arguments",
            at.clone(),
        ));
    };
    let condition = rest.pop();

    let literal = |nodes: &mut Nodes, literal| nodes.node(at, ExprKind::Literal(literal));
    let accumulator = |nodes: &mut Nodes| nodes.node(at, ExprKind::Ident(ACCUMULATOR.to_owned()));
    let (start, loop_condition, step, result);
    match name {
        "all" => {
            start = literal(nodes, Literal::Bool(true));
            let so_far = accumulator(nodes);
            loop_condition = nodes.call(at, operators::NOT_STRICTLY_FALSE, vec![so_far]);
            let so_far = accumulator(nodes);
            step = nodes.call(at, operators::AND, vec![so_far, last]);
            result = accumulator(nodes);
        }
        "exists" => {
            start = literal(nodes, Literal::Bool(false));
            let so_far = accumulator(nodes);
            let not = nodes.call(at, operators::NOT, vec![so_far]);
            loop_condition = nodes.call(at, operators::NOT_STRICTLY_FALSE, vec![not]);
            let so_far = accumulator(nodes);
            step = nodes.call(at, operators::OR, vec![so_far, last]);
            result = accumulator(nodes);
        }
        "exists_one" | "existsOne" => {
            start = literal(nodes, Literal::Int(0));
            loop_condition = literal(nodes, Literal::Bool(true));
            let so_far = accumulator(nodes);
            let one = literal(nodes, Literal::Int(1));
            let more = nodes.call(at, operators::ADD, vec![so_far, one]);
            let so_far = accumulator(nodes);
            step = nodes.call(at, operators::CONDITIONAL, vec![last, more, so_far]);
            let so_far = accumulator(nodes);
            let one = literal(nodes, Literal::Int(1));
            result = nodes.call(at, operators::EQUALS, vec![so_far, one]);
        }
        _ => {
            let is_map = matches!(name, "transformMap" | "transformMapEntry");
            start = if is_map {
                nodes.node(at, ExprKind::Map(Vec::new()))
            } else {
                nodes.node(at, ExprKind::List(Vec::new()))
            };
            loop_condition = literal(nodes, Literal::Bool(true));
            let so_far = accumulator(nodes);
            let (condition, value) = if name == "filter" {
                (Some(last), nodes.node(at, ExprKind::Ident(first.clone())))
            } else {
                (condition, last)
            };
            let more = match name {
                "transformMap" => {
                    let key = nodes.node(at, ExprKind::Ident(first.clone()));
                    nodes.call(at, operators::MAP_INSERT, vec![so_far, key, value])
                }
                "transformMapEntry" => nodes.call(at, operators::MAP_INSERT, vec![so_far, value]),
                _ => {
                    let element = Element {
                        is_optional: false,
                        value,
                    };
                    let one = nodes.node(at, ExprKind::List(vec![element]));
                    nodes.call(at, operators::ADD, vec![so_far, one])
                }
            };
            step = match condition {
                Some(condition) => {
                    let so_far = accumulator(nodes);
                    nodes.call(at, operators::CONDITIONAL, vec![condition, more, so_far])
                }
                None => more,
            };
            result = accumulator(nodes);
        }
    }
    let fold = Fold {
        range,
        variable: first,
        second_variable: second,
        accumulator: ACCUMULATOR.to_owned(),
        start,
        condition: loop_condition,
        step,
        result,
    };
    Ok(nodes.node(at, ExprKind::Fold(Box::new(fold))))
}

/// `target.optMap(name, value)`: `target.hasValue() ? optional.of(value) : optional.none()`, where
/// `name` is the value of the target.
fn optional_map(
    nodes: &mut Nodes,
    at: &Range<usize>,
    wraps: bool,
    target: Expr,
    arguments: Vec<Expr>,
) -> Result<Expr, CompileError> {
    let function = if wraps { "optMap" } else { "optFlatMap" };
    let mut arguments = arguments.into_iter();
    let (Some(name), Some(value)) = (arguments.next(), arguments.next()) else {
        return Err(CompileError::syntax(
            "two arguments are expected",
            at.clone(),
        ));
    };
    let ExprKind::Ident(variable) = name.kind else {
        return Err(CompileError::syntax(
            format!("{function}() variable name must be a simple identifier"),
            name.at,
        ));
    };
    let member = |nodes: &mut Nodes, function: &str, target: Expr| {
        nodes.node(
            at,
            ExprKind::Call {
                function: function.to_owned(),
                target: Some(Box::new(target)),
                arguments: Vec::new(),
            },
        )
    };
    let mut copy = target.clone();
    renumber(nodes, &mut copy);
    let has_value = member(nodes, "hasValue", target);
    let start = member(nodes, "value", copy);
    let fold = Fold {
        range: nodes.node(at, ExprKind::List(Vec::new())),
        variable: "#unused".to_owned(),
        second_variable: None,
        accumulator: variable.clone(),
        start,
        condition: nodes.node(at, ExprKind::Literal(Literal::Bool(false))),
        step: nodes.node(at, ExprKind::Ident(variable)),
        result: value,
    };
    let mut then = nodes.node(at, ExprKind::Fold(Box::new(fold)));
    if wraps {
        then = nodes.call(at, "optional.of", vec![then]);
    }
    let none = nodes.call(at, "optional.none", Vec::new());
    Ok(nodes.call(at, operators::CONDITIONAL, vec![has_value, then, none]))
}

/// Gives every node of a copy a number of its own.
fn renumber(nodes: &mut Nodes, expr: &mut Expr) {
    expr.id = nodes.count;
    nodes.count += 1;
    match &mut expr.kind {
        ExprKind::Literal(_) | ExprKind::Ident(_) | ExprKind::Struct(_) => {}
        ExprKind::Select { operand, .. } => renumber(nodes, operand),
        ExprKind::Call {
            target, arguments, ..
        } => {
            for part in target.iter_mut().map(AsMut::as_mut).chain(arguments) {
                renumber(nodes, part);
            }
        }
        ExprKind::List(elements) => {
            for element in elements {
                renumber(nodes, &mut element.value);
            }
        }
        ExprKind::Map(entries) => {
            for entry in entries {
                renumber(nodes, &mut entry.key);
                renumber(nodes, &mut entry.value);
            }
        }
        ExprKind::Fold(fold) => {
            for part in [
                &mut fold.range,
                &mut fold.start,
                &mut fold.condition,
                &mut fold.step,
                &mut fold.result,
            ] {
                renumber(nodes, part);
            }
        }
    }
}
