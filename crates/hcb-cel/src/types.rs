//! Types as the checker knows them, and how two of them are unified (cel-go's `checker/types.go`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The type of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Known only at run time: everything in `object`, `oldObject` and `params`.
    Dyn,
    /// What an expression with an error has, so that one mistake is one finding.
    Error,
    /// `null`.
    Null,
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `uint`.
    Uint,
    /// `double`.
    Double,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// `google.protobuf.Duration`.
    Duration,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// The type of types.
    Type(Arc<Type>),
    /// A list and the type of its items.
    List(Arc<Type>),
    /// A map, the types of its keys and of its values.
    Map(Arc<Type>, Arc<Type>),
    /// A value that may be absent.
    Optional(Arc<Type>),
    /// A type of a library of Kubernetes.
    Opaque(OpaqueType),
    /// A type with known fields.
    Struct(Arc<Struct>),
    /// A variable of a signature, to be bound.
    Param(u32),
}

/// The types that the libraries of Kubernetes add. They have functions, and no fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpaqueType {
    /// What `quantity()` returns.
    Quantity,
    /// What `ip()` returns.
    Ip,
    /// What `cidr()` returns.
    Cidr,
    /// What `url()` returns.
    Url,
    /// What `semver()` returns.
    Semver,
    /// What `format.named()` and its like return.
    Format,
}

/// A type with fields, such as that of `request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struct {
    /// The name, as messages have it.
    pub name: String,
    /// The fields.
    pub fields: BTreeMap<String, Type>,
}

impl OpaqueType {
    /// The name that messages have.
    pub fn name(self) -> &'static str {
        match self {
            OpaqueType::Quantity => "kubernetes.Quantity",
            OpaqueType::Ip => "net.IP",
            OpaqueType::Cidr => "net.CIDR",
            OpaqueType::Url => "kubernetes.URL",
            OpaqueType::Semver => "kubernetes.Semver",
            OpaqueType::Format => "kubernetes.NamedFormat",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Dyn => out.write_str("dyn"),
            Type::Error => out.write_str("!error!"),
            Type::Null => out.write_str("null"),
            Type::Bool => out.write_str("bool"),
            Type::Int => out.write_str("int"),
            Type::Uint => out.write_str("uint"),
            Type::Double => out.write_str("double"),
            Type::String => out.write_str("string"),
            Type::Bytes => out.write_str("bytes"),
            Type::Duration => out.write_str("google.protobuf.Duration"),
            Type::Timestamp => out.write_str("google.protobuf.Timestamp"),
            Type::Type(inner) => write!(out, "type({inner})"),
            Type::List(item) => write!(out, "list({item})"),
            Type::Map(key, value) => write!(out, "map({key}, {value})"),
            Type::Optional(inner) => write!(out, "optional_type({inner})"),
            Type::Opaque(object) => out.write_str(object.name()),
            Type::Struct(structure) => out.write_str(&structure.name),
            Type::Param(number) => write!(out, "_var{number}"),
        }
    }
}

impl Type {
    /// A list of `item`.
    pub fn list(item: Type) -> Type {
        Type::List(Arc::new(item))
    }

    /// A map of `key` to `value`.
    pub fn map(key: Type, value: Type) -> Type {
        Type::Map(Arc::new(key), Arc::new(value))
    }

    pub(super) fn optional(inner: Type) -> Type {
        Type::Optional(Arc::new(inner))
    }

    pub(super) fn is_dyn(&self) -> bool {
        matches!(self, Type::Dyn)
    }

    fn is_dyn_or_error(&self) -> bool {
        matches!(self, Type::Dyn | Type::Error)
    }

    /// The type inside, where this is an optional.
    pub(super) fn unwrap_optional(&self) -> (Type, bool) {
        match self {
            Type::Optional(inner) => (inner.as_ref().clone(), true),
            other => (other.clone(), false),
        }
    }

    /// Whether `null` may stand where this is expected.
    fn is_nullable(&self) -> bool {
        matches!(
            self,
            Type::Null
                | Type::Optional(_)
                | Type::Opaque(_)
                | Type::Struct(_)
                | Type::Duration
                | Type::Timestamp
        )
    }

    /// Whether this is the same as `other` or matches it with less detail.
    fn is_less_specific(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Dyn | Type::Param(_), _) | (Type::Type(_), Type::Type(_)) => true,
            (_, Type::Dyn | Type::Param(_)) => false,
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => {
                a.is_less_specific(b)
            }
            (Type::Map(a, b), Type::Map(c, d)) => a.is_less_specific(c) && b.is_less_specific(d),
            (a, b) => a == b,
        }
    }

    /// The same type but for the numbers of parameters.
    pub(super) fn is_equivalent(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Param(_), Type::Param(_)) => true,
            (Type::List(a), Type::List(b))
            | (Type::Optional(a), Type::Optional(b))
            | (Type::Type(a), Type::Type(b)) => a.is_equivalent(b),
            (Type::Map(a, b), Type::Map(c, d)) => a.is_equivalent(c) && b.is_equivalent(d),
            (a, b) => a == b,
        }
    }

    /// This with other numbers for its parameters: a signature for one call.
    pub(super) fn instantiate(&self, first: u32) -> Type {
        match self {
            Type::Param(number) => Type::Param(first + number),
            Type::List(item) => Type::list(item.instantiate(first)),
            Type::Map(key, value) => Type::map(key.instantiate(first), value.instantiate(first)),
            Type::Optional(inner) => Type::optional(inner.instantiate(first)),
            Type::Type(inner) => Type::Type(Arc::new(inner.instantiate(first))),
            other => other.clone(),
        }
    }
}

/// The more general of two types that unify.
pub(super) fn most_general(a: &Type, b: &Type) -> Type {
    if a.is_less_specific(b) { a } else { b }.clone()
}

/// What the parameters of signatures are bound to so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Bindings {
    bound: BTreeMap<u32, Type>,
}

impl Bindings {
    fn find(&self, ty: &Type) -> Option<&Type> {
        match ty {
            Type::Param(number) => self.bound.get(number),
            _ => None,
        }
    }

    fn bind(&mut self, ty: &Type, to: Type) {
        if let Type::Param(number) = ty {
            self.bound.insert(*number, to);
        }
    }

    /// `ty` with every bound parameter replaced; those that are not bound become `dyn` if
    /// `to_dyn`.
    pub(super) fn substitute(&self, ty: &Type, to_dyn: bool) -> Type {
        if let Some(bound) = self.find(ty) {
            return self.substitute(bound, to_dyn);
        }
        match ty {
            Type::Param(_) if to_dyn => Type::Dyn,
            Type::List(item) => Type::list(self.substitute(item, to_dyn)),
            Type::Map(key, value) => {
                Type::map(self.substitute(key, to_dyn), self.substitute(value, to_dyn))
            }
            Type::Optional(inner) => Type::optional(self.substitute(inner, to_dyn)),
            Type::Type(inner) => Type::Type(Arc::new(self.substitute(inner, to_dyn))),
            other => other.clone(),
        }
    }

    /// Binds parameters so that `from` may stand where `to` is expected. Nothing is bound if it
    /// may not.
    pub(super) fn assign(&mut self, from: &Type, to: &Type) -> bool {
        let before = self.clone();
        let fits = self.try_assign(from, to);
        if !fits {
            *self = before;
        }
        fits
    }

    /// As [`assign`](Self::assign), for several at once.
    pub(super) fn assign_all(&mut self, from: &[Type], to: &[Type]) -> bool {
        if from.len() != to.len() {
            return false;
        }
        let before = self.clone();
        let fits = from
            .iter()
            .zip(to)
            .all(|(from, to)| self.try_assign(from, to));
        if !fits {
            *self = before;
        }
        fits
    }

    fn try_assign(&mut self, a: &Type, b: &Type) -> bool {
        if matches!(b, Type::Param(_)) {
            let (is_valid, is_bound) = self.is_substitution(a, b);
            if is_valid {
                return true;
            }
            if is_bound {
                return false;
            }
        }
        if matches!(a, Type::Param(_)) {
            return self.is_substitution(b, a).0;
        }
        if a.is_dyn_or_error() || b.is_dyn_or_error() {
            return true;
        }
        match (a, b) {
            (Type::Null, other) | (other, Type::Null) => other.is_nullable(),
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => {
                self.try_assign(a, b)
            }
            (Type::Map(a, b), Type::Map(c, d)) => self.try_assign(a, c) && self.try_assign(b, d),
            (Type::Type(_), Type::Type(_)) => true,
            (Type::Struct(a), Type::Struct(b)) => a.name == b.name,
            (a, b) => a == b,
        }
    }

    /// Whether `ty` may be bound to `param`, and whether that was bound before.
    fn is_substitution(&mut self, ty: &Type, param: &Type) -> (bool, bool) {
        if ty == param {
            return (true, true);
        }
        if let Some(bound) = self.find(param).cloned() {
            if *ty == bound {
                return (true, true);
            }
            if self.try_assign(ty, &bound) {
                let general = most_general(ty, &bound);
                if self.is_not_within(param, &general) {
                    self.bind(param, general);
                }
                return (true, true);
            }
            return (false, true);
        }
        if self.is_not_within(param, ty) {
            self.bind(param, ty.clone());
            return (true, false);
        }
        (false, false)
    }

    fn is_not_within(&self, param: &Type, ty: &Type) -> bool {
        if param == ty {
            return false;
        }
        match ty {
            Type::Param(_) => self
                .find(ty)
                .is_none_or(|bound| self.is_not_within(param, bound)),
            Type::List(inner) | Type::Optional(inner) | Type::Type(inner) => {
                self.is_not_within(param, inner)
            }
            Type::Map(key, value) => {
                self.is_not_within(param, key) && self.is_not_within(param, value)
            }
            _ => true,
        }
    }
}
