//! The checker: types of all nodes, and the overloads that calls can mean (cel-go's
//! `checker/checker.go`).

use super::declarations::{self, Function, Overload};
use super::syntax::{Entry, Expr, ExprKind, Fold, Literal, operators};
use super::types::{Bindings, OpaqueType, Type, most_general};
use super::{CompileError, Environment, format};
use std::ops::Range;
use std::sync::Arc;

/// What the checker found out about one node.
#[derive(Clone)]
pub(super) struct Checked {
    pub(super) ty: Type,
    pub(super) reference: Reference,
}

/// What a name or a call stands for.
#[derive(Clone, Default)]
pub(super) enum Reference {
    #[default]
    None,
    /// The variable of this name. A chain of selections may be one: `authorizer.requestResource`.
    Variable(String),
    /// A type.
    Type(Type),
    /// A function. Its target is part of the name, where it `is_qualified`.
    Function {
        function: &'static Function,
        overloads: Vec<&'static Overload>,
        is_qualified: bool,
    },
}

/// Checks `expr`; everything that is known of its nodes is at their numbers. The first error is
/// what the API server would name first.
pub(super) fn check(
    expr: &Expr,
    count: usize,
    environment: &Environment,
) -> Result<Vec<Checked>, CompileError> {
    let unknown = Checked {
        ty: Type::Error,
        reference: Reference::None,
    };
    let mut checker = Checker {
        environment,
        scopes: Vec::new(),
        bindings: Bindings::default(),
        params: 0,
        nodes: vec![unknown; count],
        errors: Vec::new(),
    };
    checker.check(expr);
    for node in &mut checker.nodes {
        node.ty = checker.bindings.substitute(&node.ty, true);
    }
    let Checker { nodes, errors, .. } = checker;
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    format::validate(expr, &nodes)?;
    homogeneous(expr, &nodes)?;
    Ok(nodes)
}

struct Checker<'a> {
    environment: &'a Environment,
    scopes: Vec<(String, Type)>,
    bindings: Bindings,
    params: u32,
    nodes: Vec<Checked>,
    errors: Vec<CompileError>,
}

impl Checker<'_> {
    fn error(&mut self, message: impl Into<String>, at: &Range<usize>) {
        self.errors.push(CompileError::check(message, at.clone()));
    }

    fn set(&mut self, expr: &Expr, ty: Type) {
        self.nodes[expr.id].ty = ty;
    }

    fn get(&self, expr: &Expr) -> Type {
        self.nodes[expr.id].ty.clone()
    }

    fn new_param(&mut self) -> Type {
        self.params += 1;
        Type::Param(self.params - 1)
    }

    fn check(&mut self, expr: &Expr) {
        super::with_stack(|| self.check_node(expr));
    }

    fn check_node(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Literal(literal) => {
                let ty = match literal {
                    Literal::Null => Type::Null,
                    Literal::Bool(_) => Type::Bool,
                    Literal::Int(_) => Type::Int,
                    Literal::Uint(_) => Type::Uint,
                    Literal::Double(_) => Type::Double,
                    Literal::String(_) => Type::String,
                    Literal::Bytes(_) => Type::Bytes,
                };
                self.set(expr, ty);
            }
            ExprKind::Ident(name) => {
                if !self.resolve(expr, name) {
                    self.undeclared(name, &expr.at);
                }
            }
            ExprKind::Select {
                operand,
                field,
                is_test,
            } => {
                if !is_test
                    && let Some(name) = qualified(expr)
                    && self.resolve(expr, &name)
                {
                    return;
                }
                let ty = self.field(expr, operand, field, false);
                self.set(expr, if *is_test { Type::Bool } else { ty });
            }
            ExprKind::Call {
                function,
                target,
                arguments,
            } => self.call(expr, function, target.as_deref(), arguments),
            ExprKind::List(elements) => {
                let mut joined: Option<Type> = None;
                for element in elements {
                    let value = &element.value;
                    self.check(value);
                    let ty = self.optional_part(value, element.is_optional);
                    joined = Some(self.join(joined, ty));
                }
                let item = joined.unwrap_or_else(|| self.new_param());
                self.set(expr, Type::list(item));
            }
            ExprKind::Map(entries) => self.map(expr, entries),
            ExprKind::Struct(name) if name.starts_with("google.protobuf.") => {
                self.errors.push(CompileError::unsupported(
                    "messages of protocol buffers cannot be made offline",
                    expr.at.clone(),
                ));
            }
            ExprKind::Struct(name) => {
                self.undeclared(name, &expr.at);
            }
            ExprKind::Fold(fold) => self.fold(expr, fold),
        }
    }

    fn undeclared(&mut self, name: &str, at: &Range<usize>) {
        if name == "authorizer" {
            self.errors.push(CompileError::unsupported(
                "`authorizer` asks the API server's authorizer, which is not there offline",
                at.clone(),
            ));
            return;
        }
        let mut known: Vec<&str> = self.scopes.iter().map(|(name, _)| name.as_str()).collect();
        known.extend(self.environment.variables.keys().map(String::as_str));
        for function in declarations::names(self.environment.language) {
            known.push(function);
        }
        let message = format!("undeclared reference to '{name}' (in container '')");
        self.errors
            .push(CompileError::check(message, at.clone()).unknown(name, known));
    }

    /// Whether `name` is a variable or a type; then `expr` is it.
    fn resolve(&mut self, expr: &Expr, name: &str) -> bool {
        let local = self.scopes.iter().rev().find(|(local, _)| local == name);
        let variable = local
            .map(|(_, ty)| ty)
            .or_else(|| self.environment.variables.get(name))
            .cloned();
        if let Some(ty) = variable {
            self.nodes[expr.id] = Checked {
                ty,
                reference: Reference::Variable(name.to_owned()),
            };
            return true;
        }
        let Some(ty) = self.named_type(name) else {
            return false;
        };
        self.nodes[expr.id] = Checked {
            ty: Type::Type(Arc::new(ty.clone())),
            reference: Reference::Type(ty),
        };
        true
    }

    fn named_type(&mut self, name: &str) -> Option<Type> {
        Some(match name {
            "bool" => Type::Bool,
            "bytes" => Type::Bytes,
            "double" => Type::Double,
            "int" => Type::Int,
            "null_type" => Type::Null,
            "string" => Type::String,
            "uint" => Type::Uint,
            "google.protobuf.Duration" => Type::Duration,
            "google.protobuf.Timestamp" => Type::Timestamp,
            "list" => Type::list(self.new_param()),
            "map" => Type::map(self.new_param(), self.new_param()),
            "type" => Type::Type(Arc::new(Type::Dyn)),
            "optional_type" => Type::optional(Type::Dyn),
            "net.IP" => Type::Opaque(OpaqueType::Ip),
            "net.CIDR" => Type::Opaque(OpaqueType::Cidr),
            _ => return None,
        })
    }

    /// The type of `operand.field`.
    fn field(&mut self, expr: &Expr, operand: &Expr, field: &str, is_optional: bool) -> Type {
        self.check(operand);
        let operand_type = self.bindings.substitute(&self.get(operand), false);
        let (target, was_optional) = operand_type.unwrap_optional();
        let ty = match &target {
            Type::Map(_, value) => value.as_ref().clone(),
            Type::Struct(structure) => {
                if let Some(ty) = structure.fields.get(field) {
                    ty.clone()
                } else {
                    let known = structure.fields.keys().map(String::as_str);
                    let error =
                        CompileError::check(format!("undefined field '{field}'"), expr.at.clone());
                    self.errors.push(error.unknown(field, known));
                    Type::Error
                }
            }
            Type::Opaque(_) => {
                self.error(format!("undefined field '{field}'"), &expr.at);
                Type::Error
            }
            Type::Param(_) => {
                self.bindings.assign(&Type::Dyn, &target);
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            other => {
                let message = format!("type '{other}' does not support field selection");
                self.error(message, &expr.at);
                Type::Dyn
            }
        };
        let ty = if was_optional || is_optional {
            Type::optional(ty)
        } else {
            ty
        };
        self.bindings.substitute(&ty, false)
    }

    fn call(&mut self, expr: &Expr, name: &str, target: Option<&Expr>, arguments: &[Expr]) {
        if name == operators::OPTIONAL_SELECT {
            if let [operand, field] = arguments
                && let ExprKind::Literal(Literal::String(field)) = &field.kind
            {
                let ty = self.field(expr, operand, field, true);
                self.set(expr, ty);
            }
            return;
        }
        for argument in arguments {
            self.check(argument);
        }
        if let Some(target) = target {
            if let Some(prefix) = qualified(target)
                && let Some(function) =
                    declarations::find(self.environment.language, &format!("{prefix}.{name}"))
            {
                return self.overload(expr, function, None, arguments, true);
            }
            self.check(target);
        }
        match declarations::find(self.environment.language, name) {
            Some(function) => self.overload(expr, function, target, arguments, false),
            None => self.undeclared(name, &expr.at),
        }
    }

    fn overload(
        &mut self,
        expr: &Expr,
        function: &'static Function,
        target: Option<&Expr>,
        arguments: &[Expr],
        is_qualified: bool,
    ) {
        if matches!(function.name, operators::AND | operators::OR) {
            for argument in arguments {
                let ty = self.get(argument);
                if !self.bindings.assign(&ty, &Type::Bool) {
                    let found = self.bindings.substitute(&ty, true);
                    self.error(
                        format!("expected type 'bool' but found '{found}'"),
                        &argument.at,
                    );
                }
            }
            self.set(expr, Type::Bool);
            return;
        }
        let types: Vec<Type> = target
            .into_iter()
            .chain(arguments)
            .map(|part| self.get(part))
            .collect();
        let mut result: Option<Type> = None;
        let mut fitting = Vec::new();
        for overload in &function.overloads {
            if overload.is_member != target.is_some() {
                continue;
            }
            let first = self.params;
            // No signature has more than two.
            self.params += 2;
            let wanted: Vec<Type> = overload
                .parameters
                .iter()
                .map(|ty| ty.instantiate(first))
                .collect();
            if !self.bindings.assign_all(&types, &wanted) {
                continue;
            }
            fitting.push(overload);
            let ty = self
                .bindings
                .substitute(&overload.result.instantiate(first), false);
            result = Some(match result {
                None => ty,
                Some(before) if before.is_dyn() || before == ty => before,
                Some(_) => Type::Dyn,
            });
        }
        let Some(result) = result else {
            let found: Vec<String> = types
                .iter()
                .map(|ty| self.bindings.substitute(ty, true).to_string())
                .collect();
            let signature = match (target, found.split_first()) {
                (Some(_), Some((first, rest))) => format!("{first}.({})", rest.join(", ")),
                _ => format!("({})", found.join(", ")),
            };
            self.error(
                format!(
                    "found no matching overload for '{}' applied to '{signature}'",
                    function.name
                ),
                &expr.at,
            );
            return self.set(expr, Type::Error);
        };
        self.nodes[expr.id] = Checked {
            ty: result,
            reference: Reference::Function {
                function,
                overloads: fitting,
                is_qualified,
            },
        };
    }

    /// The type of an element; that inside where the element is optional.
    fn optional_part(&mut self, value: &Expr, is_optional: bool) -> Type {
        let ty = self.get(value);
        if !is_optional {
            return ty;
        }
        let (inner, was_optional) = ty.unwrap_optional();
        if !was_optional && !inner.is_dyn() {
            let message = format!("expected type 'optional_type({inner})' but found '{inner}'");
            self.error(message, &value.at);
        }
        inner
    }

    fn map(&mut self, expr: &Expr, entries: &[Entry]) {
        let (mut keys, mut values): (Option<Type>, Option<Type>) = (None, None);
        for entry in entries {
            self.check(&entry.key);
            let key = self.get(&entry.key);
            keys = Some(self.join(keys, key));
            self.check(&entry.value);
            let value = self.optional_part(&entry.value, entry.is_optional);
            values = Some(self.join(values, value));
        }
        let key = keys.unwrap_or_else(|| self.new_param());
        let value = values.unwrap_or_else(|| self.new_param());
        self.set(expr, Type::map(key, value));
    }

    fn join(&mut self, before: Option<Type>, ty: Type) -> Type {
        let Some(before) = before else {
            return ty;
        };
        if self.bindings.assign(&before, &ty) {
            return most_general(&before, &ty);
        }
        // Whether that is allowed is for `homogeneous` to say, at the end.
        Type::Dyn
    }

    fn fold(&mut self, expr: &Expr, fold: &Fold) {
        self.check(&fold.range);
        self.check(&fold.start);
        let range = self.bindings.substitute(&self.get(&fold.range), false);
        let accumulated = self.get(&fold.start);
        let depth = self.scopes.len();
        self.scopes
            .push((fold.accumulator.clone(), accumulated.clone()));
        let (first, second) = match &range {
            Type::List(item) if fold.second_variable.is_some() => {
                (Type::Int, item.as_ref().clone())
            }
            Type::List(item) => (item.as_ref().clone(), Type::Dyn),
            Type::Map(key, value) => (key.as_ref().clone(), value.as_ref().clone()),
            Type::Dyn | Type::Error | Type::Param(_) => {
                self.bindings.assign(&Type::Dyn, &range);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                self.error(
                    format!(
                        "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                    ),
                    &fold.range.at,
                );
                (Type::Error, Type::Error)
            }
        };
        self.scopes.push((fold.variable.clone(), first));
        if let Some(name) = &fold.second_variable {
            self.scopes.push((name.clone(), second));
        }
        self.check(&fold.condition);
        self.assert(&fold.condition, &Type::Bool);
        self.check(&fold.step);
        self.assert(&fold.step, &accumulated);
        self.scopes.truncate(depth + 1);
        self.check(&fold.result);
        self.scopes.truncate(depth);
        let ty = self.bindings.substitute(&self.get(&fold.result), false);
        self.set(expr, ty);
    }

    fn assert(&mut self, expr: &Expr, wanted: &Type) {
        let ty = self.get(expr);
        if !self.bindings.assign(wanted, &ty) {
            let wanted = self.bindings.substitute(wanted, true);
            let found = self.bindings.substitute(&ty, true);
            self.error(
                format!("expected type '{wanted}' but found '{found}'"),
                &expr.at,
            );
        }
    }
}

/// `a.b.c` as one name, where the node is that.
pub(super) fn qualified(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Ident(name) => Some(name.clone()),
        ExprKind::Select {
            operand,
            field,
            is_test: false,
        } => Some(format!("{}.{field}", qualified(operand)?)),
        _ => None,
    }
}

/// All items of a literal must have one type, but for the arguments of `format`.
fn homogeneous(expr: &Expr, nodes: &[Checked]) -> Result<(), CompileError> {
    let part = |expr: &Expr, is_optional: bool| {
        let ty = nodes[expr.id].ty.clone();
        if is_optional {
            ty.unwrap_optional().0
        } else {
            ty
        }
    };
    // The API server of 1.34 itself fails on it, without an answer.
    let is_known = |expr: &Expr, is_optional: bool| {
        if is_optional && !matches!(nodes[expr.id].ty, Type::Optional(_)) {
            return Err(CompileError::check(
                "an optional item must be of an optional type, and this is known only at run time",
                expr.at.clone(),
            ));
        }
        Ok(())
    };
    let same = |first: &mut Option<Type>, ty: Type, at: &Range<usize>| match first {
        Some(first) if !first.is_equivalent(&ty) => Err(CompileError::check(
            format!("expected type '{first}' but found '{ty}'"),
            at.clone(),
        )
        .help("all items of a literal have one type; `dyn()` around each makes them alike")),
        Some(_) => Ok(()),
        None => {
            *first = Some(ty);
            Ok(())
        }
    };
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Ident(_) | ExprKind::Struct(_) => Ok(()),
        ExprKind::Select { operand, .. } => homogeneous(operand, nodes),
        ExprKind::Call { function, .. } if function == "format" => Ok(()),
        ExprKind::Call {
            target, arguments, ..
        } => target
            .as_deref()
            .into_iter()
            .chain(arguments)
            .try_for_each(|part| homogeneous(part, nodes)),
        ExprKind::List(elements) => {
            let mut first = None;
            for element in elements {
                is_known(&element.value, element.is_optional)?;
                let ty = part(&element.value, element.is_optional);
                same(&mut first, ty, &element.value.at)?;
                homogeneous(&element.value, nodes)?;
            }
            Ok(())
        }
        ExprKind::Map(entries) => {
            let (mut keys, mut values) = (None, None);
            for entry in entries {
                same(&mut keys, part(&entry.key, false), &entry.key.at)?;
                is_known(&entry.value, entry.is_optional)?;
                let ty = part(&entry.value, entry.is_optional);
                same(&mut values, ty, &entry.value.at)?;
                homogeneous(&entry.key, nodes)?;
                homogeneous(&entry.value, nodes)?;
            }
            Ok(())
        }
        ExprKind::Fold(fold) => [
            &fold.range,
            &fold.start,
            &fold.condition,
            &fold.step,
            &fold.result,
        ]
        .into_iter()
        .try_for_each(|part| homogeneous(part, nodes)),
    }
}
