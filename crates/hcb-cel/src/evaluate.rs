//! Evaluation of plans (cel-go's `interpreter/interpretable.go` and `attributes.go`), and what it
//! costs.

use super::cost::{self, Cost};
use super::program::{Attribute, Call, Loop, Node, Qualifier, QualifierKey, Root};
use super::value::{Entries, List, Map, Value, double_to_int};
use super::{COST_EXCEEDED, Error};
use std::cell::Cell;
use std::sync::Arc;

/// What one expression may cost (`PerCallLimit`).
pub const COST_LIMIT: u64 = 1_000_000;

/// The variables of an evaluation.
#[derive(Clone, Copy, Default)]
pub struct Activation<'a, 'v> {
    values: &'v [(&'v str, Value<'a>)],
    variables: Option<&'v dyn Variables<'a>>,
}

/// What computes the fields of `variables` when they are asked for.
pub trait Variables<'a> {
    /// The value of the variable `name`.
    ///
    /// # Errors
    ///
    /// Why it has none.
    fn variable(&self, name: &str) -> Result<Value<'a>, Error>;
}

impl<'a, 'v> Activation<'a, 'v> {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Variables by their names.
    pub fn of(values: &'v [(&'v str, Value<'a>)]) -> Self {
        Self {
            values,
            variables: None,
        }
    }

    /// With the fields of `variables`.
    #[must_use]
    pub fn with_variables(mut self, variables: &'v dyn Variables<'a>) -> Self {
        self.variables = Some(variables);
        self
    }

    fn value(&self, name: &str) -> Option<Value<'a>> {
        self.values
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    }
}

/// What came of an evaluation.
#[derive(Debug, Clone)]
pub struct Evaluation<'a> {
    /// The value, or why there is none.
    pub value: Result<Value<'a>, Error>,
    /// What it cost.
    pub cost: u64,
}

type Outcome<'a> = Result<Value<'a>, Error>;

pub(super) fn evaluate<'a>(
    root: &'a Node,
    locals: usize,
    activation: &Activation<'a, '_>,
) -> Evaluation<'a> {
    let mut evaluator = Evaluator {
        activation,
        locals: vec![Ok(Value::Null); locals],
        cost: Cell::new(0),
    };
    let value = evaluator.node(root);
    let cost = evaluator.cost.get();
    // Beyond the limit there is no value, whatever was made of the error on the way up.
    let value = if cost > COST_LIMIT {
        Err(Error::fixed(COST_EXCEEDED))
    } else {
        value
    };
    Evaluation { value, cost }
}

struct Evaluator<'a, 'v> {
    activation: &'v Activation<'a, 'v>,
    locals: Vec<Outcome<'a>>,
    cost: Cell<u64>,
}

impl<'a> Evaluator<'a, '_> {
    fn spend(&self, units: u64) {
        self.cost.set(self.cost.get().saturating_add(units));
    }

    fn is_spent(&self) -> bool {
        self.cost.get() > COST_LIMIT
    }

    fn node(&mut self, node: &'a Node) -> Outcome<'a> {
        if self.is_spent() {
            return Err(Error::fixed(COST_EXCEEDED));
        }
        match node {
            Node::Constant(value) => Ok(value.clone()),
            _ => super::with_stack(|| self.step_into(node)),
        }
    }

    fn step_into(&mut self, node: &'a Node) -> Outcome<'a> {
        match node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Attribute(attribute) => {
                let value = self.resolve(attribute);
                // Of a choice, only the branches cost.
                if !matches!(attribute.root, Root::Conditional(_)) && !attribute.is_test {
                    self.spend(1);
                }
                let value = value?;
                Ok(match value {
                    Value::Optional(inner) if attribute.is_test => Value::Bool(inner.is_some()),
                    _ if attribute.is_test && attribute.qualifiers.is_empty() => {
                        match attribute.root {
                            Root::Lazy(_) => Value::Bool(true),
                            _ => value,
                        }
                    }
                    value => value,
                })
            }
            Node::And(terms) => self.logical(terms, false),
            Node::Or(terms) => self.logical(terms, true),
            Node::Equals {
                sides,
                is_negated,
                cost,
            } => self.equals(&sides.0, &sides.1, *is_negated, *cost),
            Node::Member { value, list } => {
                let value = self.node(value)?;
                Ok(Value::Bool(list.contains(&value)))
            }
            Node::NotStrictlyFalse(argument) => {
                let value = self.node(argument);
                self.spend(1);
                Ok(match value {
                    Ok(Value::Bool(value)) => Value::Bool(value),
                    _ => Value::Bool(true),
                })
            }
            Node::Call(call) => self.call(call),
            Node::List { elements } => {
                let mut items = Vec::with_capacity(elements.len());
                let mut failed = None;
                for (element, is_optional) in elements {
                    match self.node(element) {
                        Err(error) => {
                            failed = Some(error);
                            break;
                        }
                        Ok(Value::Optional(inner)) if *is_optional => {
                            items.extend(inner.map(|inner| (*inner).clone()));
                        }
                        Ok(other) if *is_optional => {
                            failed = Some(Error::new(format!(
                                "cannot initialize optional list element from non-optional value {other}"
                            )));
                            break;
                        }
                        Ok(value) => items.push(value),
                    }
                }
                self.spend(cost::LIST);
                failed.map_or_else(|| Ok(items.into()), Err)
            }
            Node::Map { entries } => {
                let made = self.map(entries);
                self.spend(cost::MAP);
                made
            }
            Node::Fold(fold) => self.fold(fold),
            Node::Append { local, value, cost } => {
                let so_far = std::mem::replace(&mut self.locals[*local], Ok(Value::Null));
                self.spend(1);
                let value = self.node(value);
                self.spend(*cost + 1);
                let Value::List(list) = so_far? else {
                    return Err(Error::no_overload());
                };
                let value = value?;
                let mut items = match list {
                    List::Shared(items) => items,
                    List::Json(_) => Arc::new(list.iter().collect()),
                };
                Arc::make_mut(&mut items).push(value);
                Ok(Value::List(List::Shared(items)))
            }
            Node::Insert { local, key, value } => self.insert(*local, key.as_deref(), value),
            Node::OptionalOr { sides, unwraps } => match self.node(&sides.0)? {
                Value::Optional(Some(inner)) if *unwraps => Ok((*inner).clone()),
                Value::Optional(None) => self.node(&sides.1),
                other => Ok(other),
            },
        }
    }

    /// `&&` and `||`: one term can decide, whatever errors the others have.
    fn logical(&mut self, terms: &'a [Node], decides: bool) -> Outcome<'a> {
        let mut failed = None;
        for term in terms {
            match self.node(term) {
                Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(value)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => {
                    failed.get_or_insert_with(Error::no_overload);
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn equals(
        &mut self,
        left: &'a Node,
        right: &'a Node,
        is_negated: bool,
        cost: Cost,
    ) -> Outcome<'a> {
        let left = self.node(left);
        let right = self.node(right);
        let units = match (&left, &right) {
            (Ok(Value::Opaque(_)), _) | (Err(_), Err(_)) => 1,
            (Ok(left), Ok(right)) => cost.units(&[left.clone(), right.clone()], None),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => one.cost_size().min(1),
        };
        self.spend(units);
        let (left, right) = (left?, right?);
        // The types of Kubernetes refuse to be compared with others.
        if let Value::Opaque(opaque) = &left
            && !matches!(&right, Value::Opaque(other) if other.ty() == opaque.ty())
            && !matches!(right, Value::Null)
        {
            return if is_negated {
                Ok(Value::Bool(true))
            } else {
                Err(Error::no_overload())
            };
        }
        Ok(Value::Bool(left.is_equal(&right) != is_negated))
    }

    fn call(&mut self, call: &'a Call) -> Outcome<'a> {
        let mut arguments = Vec::with_capacity(call.arguments.len());
        let mut failed = None;
        for node in &call.arguments {
            match self.node(node) {
                Ok(value) => arguments.push(value),
                Err(error) => {
                    failed.get_or_insert(error);
                    // Calls of more than two arguments end at the first that has no value.
                    if call.arguments.len() > 2 {
                        return failed.map_or_else(|| Err(Error::no_overload()), Err);
                    }
                }
            }
        }
        if let Some(error) = failed {
            self.spend(1);
            return Err(error);
        }
        let result = super::library::dispatch(call, &arguments);
        self.spend(call.cost.units(&arguments, result.as_ref().ok()));
        result
    }

    fn map(&mut self, entries: &'a [(Node, Node, bool)]) -> Outcome<'a> {
        let mut made = Entries::default();
        for (key, value, is_optional) in entries {
            let key = self.node(key)?;
            let value = self.node(value)?;
            match value {
                Value::Optional(inner) if *is_optional => match inner {
                    Some(inner) => made.set(key, (*inner).clone())?,
                    None => made.remove(&key),
                },
                other if *is_optional => {
                    return Err(Error::new(format!(
                        "cannot initialize optional entry '{key}' from non-optional value {other}"
                    )));
                }
                value => made.set(key, value)?,
            }
        }
        Ok(Value::Map(Map::Shared(Arc::new(made))))
    }

    fn insert(&mut self, local: usize, key: Option<&'a Node>, value: &'a Node) -> Outcome<'a> {
        let so_far = std::mem::replace(&mut self.locals[local], Ok(Value::Null));
        self.spend(1);
        let key = key.map(|key| self.node(key)).transpose();
        let value = self.node(value);
        self.spend(1);
        let Value::Map(map) = so_far? else {
            return Err(Error::no_overload());
        };
        let (key, value) = (key?, value?);
        let mut entries = match map {
            Map::Shared(entries) => entries,
            Map::Json(_) => return Err(Error::no_overload()),
        };
        let target = Arc::make_mut(&mut entries);
        match (key, value) {
            (Some(key), value) => target.insert(key, value)?,
            (None, Value::Map(more)) => {
                for (key, value) in more.entries() {
                    target.insert(key, value)?;
                }
            }
            (None, _) => return Err(Error::no_overload()),
        }
        Ok(Value::Map(Map::Shared(entries)))
    }

    fn fold(&mut self, fold: &'a Loop) -> Outcome<'a> {
        let range = self.node(&fold.range)?;
        // The start costs nothing where it is a constant, and is asked for once.
        let start = self.node(&fold.start);
        self.locals[fold.accumulator] = start;
        match (range, fold.second_variable) {
            (Value::List(list), second) => {
                for (index, item) in list.iter().enumerate() {
                    match second {
                        Some(second) => {
                            let index = i64::try_from(index).unwrap_or(i64::MAX);
                            self.locals[fold.variable] = Ok(Value::Int(index));
                            self.locals[second] = Ok(item);
                        }
                        None => self.locals[fold.variable] = Ok(item),
                    }
                    if !self.step(fold)? {
                        break;
                    }
                }
            }
            (Value::Map(map), Some(second)) => {
                for (key, value) in map.entries() {
                    self.locals[fold.variable] = Ok(key);
                    self.locals[second] = Ok(value);
                    if !self.step(fold)? {
                        break;
                    }
                }
            }
            (Value::Map(map), None) => {
                for key in map.keys() {
                    self.locals[fold.variable] = Ok(key);
                    if !self.step(fold)? {
                        break;
                    }
                }
            }
            (other, Some(_)) => {
                return Err(Error::new(format!(
                    "unsupported comprehension range type: {}",
                    other.go_type_name()
                )));
            }
            (other, None) => {
                return Err(Error::new(format!(
                    "got '{}', expected iterable type",
                    other.go_type_name()
                )));
            }
        }
        self.node(&fold.result)
    }

    /// One turn; whether there may be another.
    fn step(&mut self, fold: &'a Loop) -> Result<bool, Error> {
        if self.is_spent() {
            return Err(Error::fixed(COST_EXCEEDED));
        }
        if matches!(self.node(&fold.condition), Ok(Value::Bool(false))) {
            return Ok(false);
        }
        let value = self.node(&fold.step);
        self.locals[fold.accumulator] = value;
        Ok(true)
    }

    fn resolve(&mut self, attribute: &'a Attribute) -> Outcome<'a> {
        let value = match &attribute.root {
            Root::Variable(name) => self
                .activation
                .value(name)
                .ok_or_else(|| Error::new(format!("no such attribute(s): {name}")))?,
            Root::Local(local) => self.locals[*local].clone()?,
            Root::Lazy(name) => {
                let found = self
                    .activation
                    .variables
                    .ok_or_else(|| Error::new(format!("no such key: {name}")))
                    .and_then(|variables| variables.variable(name));
                // The field costs as any other.
                self.spend(1);
                found?
            }
            Root::Value(node) => self.node(node)?,
            Root::Conditional(branches) => match self.node(&branches.0)? {
                Value::Bool(true) => return self.resolve(&branches.1),
                Value::Bool(false) => return self.resolve(&branches.2),
                _ => return Err(Error::no_overload()),
            },
        };
        self.qualify(value, &attribute.qualifiers)
    }

    fn qualify(&mut self, value: Value<'a>, qualifiers: &'a [Qualifier]) -> Outcome<'a> {
        let mut is_optional = false;
        let mut value = match value {
            Value::Optional(None) => return Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) if !qualifiers.is_empty() => {
                is_optional = true;
                (*inner).clone()
            }
            other => other,
        };
        for qualifier in qualifiers {
            is_optional |= qualifier.is_optional;
            let computed;
            let key = match &qualifier.key {
                QualifierKey::Field(field) => {
                    computed = Value::from(field.as_str());
                    &computed
                }
                QualifierKey::Constant(value) => value,
                QualifierKey::Computed(attribute) => {
                    match self.resolve(attribute) {
                        Ok(found) => computed = found,
                        Err(error) => {
                            self.spend(1);
                            return Err(error);
                        }
                    }
                    &computed
                }
            };
            let found = select(&value, key, is_optional || qualifier.is_test);
            match found {
                Ok(Some(found)) => {
                    self.spend(1);
                    value = if qualifier.is_test && !is_optional {
                        Value::Bool(true)
                    } else {
                        found
                    };
                }
                Ok(None) if qualifier.is_test && !is_optional => {
                    self.spend(1);
                    value = Value::Bool(false);
                }
                Ok(None) => {
                    if qualifier.is_test {
                        self.spend(1);
                    }
                    return Ok(Value::Optional(None));
                }
                Err(error) => {
                    self.spend(1);
                    return Err(error);
                }
            }
        }
        Ok(if is_optional {
            Value::Optional(Some(Arc::new(value)))
        } else {
            value
        })
    }
}

/// What is at `key` in `value`; nothing if it `may_miss` and does.
fn select<'a>(
    value: &Value<'a>,
    key: &Value<'_>,
    may_miss: bool,
) -> Result<Option<Value<'a>>, Error> {
    let found = match value {
        Value::Map(map) => match key {
            Value::String(field) => map.get_field(field),
            other => map.get(other),
        },
        Value::List(list) => {
            let index = index(key)?;
            let found = usize::try_from(index)
                .ok()
                .and_then(|index| list.get(index));
            if found.is_none() && !may_miss {
                return Err(Error::new(format!("index out of bounds: {key}")));
            }
            found
        }
        _ => None,
    };
    if found.is_none() && !may_miss {
        return Err(Error::new(format!("no such key: {key}")));
    }
    Ok(found)
}

/// A key as the index of a list.
pub(super) fn index(key: &Value<'_>) -> Result<i64, Error> {
    match key {
        Value::Int(index) => Ok(*index),
        Value::Double(double) => double_to_int(*double)
            .ok_or_else(|| Error::new(format!("unsupported index value {key} in list"))),
        Value::Uint(uint) => i64::try_from(*uint)
            .map_err(|_| Error::new(format!("unsupported index value {key} in list"))),
        other => Err(Error::new(format!(
            "unsupported index type '{}' in list",
            other.type_name()
        ))),
    }
}
