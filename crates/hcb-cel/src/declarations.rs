//! The functions of each version of Kubernetes: what can be called, with what types, and by what it
//! is computed.
//!
//! From `k8s.io/apiserver/pkg/cel/environment/base.go` and the libraries that it names. The list
//! functions that came with 1.34 (`distinct`, `flatten`, `range`, `reverse`, `slice`, `sort`,
//! `sortBy`) are not among them.

use super::cost::Cost;
use super::library::{self, Implementation, NEWEST, OLDEST};
use super::types::{OpaqueType, Type};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// All overloads of one name.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) overloads: Vec<Overload>,
}

/// One signature of a function.
pub(super) struct Overload {
    /// The name that cel-go has for the signature, which costs go by.
    pub(super) id: &'static str,
    pub(super) is_member: bool,
    /// With the target first, where it is a member.
    pub(super) parameters: Vec<Type>,
    pub(super) result: Type,
    pub(super) implementation: Implementation,
}

impl Function {
    /// What a call costs, where `overload` is the only one that fits its types.
    pub(super) fn cost(&self, overload: Option<&'static str>) -> Cost {
        Cost::of(self.name, overload.unwrap_or_default())
    }
}

/// The function of this name in Kubernetes 1.`minor`.
pub(super) fn find(minor: u16, name: &str) -> Option<&'static Function> {
    functions(minor).get(name)
}

/// The names of all functions of Kubernetes 1.`minor` that can be written as calls.
pub(super) fn names(minor: u16) -> impl Iterator<Item = &'static str> + Clone {
    functions(minor)
        .keys()
        .copied()
        .filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.contains('@'))
}

type Functions = BTreeMap<&'static str, Function>;

/// The functions of Kubernetes 1.`minor`; of the nearest version that is known, where that one is not.
fn functions(minor: u16) -> &'static Functions {
    const VERSIONS: usize = (NEWEST - OLDEST) as usize + 1;
    static OF_VERSIONS: [OnceLock<Functions>; VERSIONS] = [const { OnceLock::new() }; VERSIONS];
    let minor = minor.clamp(OLDEST, NEWEST);
    OF_VERSIONS[usize::from(minor - OLDEST)].get_or_init(|| declared(minor))
}

fn declared(minor: u16) -> Functions {
    let mut functions = BTreeMap::new();
    for (signature, implementation) in library::signatures(minor) {
        // The signatures are part of the program; a test reads them all.
        if let Some((name, overload)) = read(signature, implementation) {
            functions
                .entry(name)
                .or_insert_with(|| Function {
                    name,
                    overloads: Vec::new(),
                })
                .overloads
                .push(overload);
        }
    }
    functions
}

/// A signature such as `string_char_at_int: string.charAt(int) -> string`.
fn read(
    signature: &'static str,
    implementation: Implementation,
) -> Option<(&'static str, Overload)> {
    let (id, rest) = signature.split_once(": ")?;
    let (call, result) = rest.rsplit_once(" -> ")?;
    let open = arguments_start(call)?;
    let (head, arguments) = (&call[..open], call[open + 1..].strip_suffix(')')?);
    // The target's type stands before `.`, in `|` so that names with dots can be told from it.
    let (target, name) = match head.strip_prefix('|') {
        Some(rest) => {
            let (target, name) = rest.split_once("|.")?;
            (Some(target), name)
        }
        None => (None, head),
    };
    let mut parameters = Vec::new();
    if let Some(target) = target {
        parameters.push(read_type(target)?);
    }
    for argument in split(arguments) {
        parameters.push(read_type(argument)?);
    }
    Some((
        name,
        Overload {
            id,
            is_member: target.is_some(),
            parameters,
            result: read_type(result)?,
            implementation,
        },
    ))
}

/// Where the list of arguments opens: the `(` that the last `)` closes.
fn arguments_start(call: &str) -> Option<usize> {
    let mut depth = 0;
    for (position, c) in call.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => {
                depth -= 1;
                if depth == 0 {
                    return Some(position);
                }
            }
            _ => {}
        }
    }
    None
}

/// The parts between the commas that are in no brackets.
fn split(list: &'static str) -> Vec<&'static str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (position, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..position].trim());
                start = position + 1;
            }
            _ => {}
        }
    }
    if !list.is_empty() {
        parts.push(list[start..].trim());
    }
    parts
}

fn read_type(text: &'static str) -> Option<Type> {
    if let Some((name, rest)) = text.split_once('(') {
        let inner = split(rest.strip_suffix(')')?)
            .into_iter()
            .map(read_type)
            .collect::<Option<Vec<_>>>()?;
        return match (name, inner.as_slice()) {
            ("list", [item]) => Some(Type::list(item.clone())),
            ("map", [key, value]) => Some(Type::map(key.clone(), value.clone())),
            ("optional", [inner]) => Some(Type::optional(inner.clone())),
            ("type", [inner]) => Some(Type::Type(Arc::new(inner.clone()))),
            _ => None,
        };
    }
    Some(match text {
        "dyn" => Type::Dyn,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "duration" => Type::Duration,
        "timestamp" => Type::Timestamp,
        "Quantity" => Type::Opaque(OpaqueType::Quantity),
        "IP" => Type::Opaque(OpaqueType::Ip),
        "CIDR" => Type::Opaque(OpaqueType::Cidr),
        "URL" => Type::Opaque(OpaqueType::Url),
        "Semver" => Type::Opaque(OpaqueType::Semver),
        "Format" => Type::Opaque(OpaqueType::Format),
        "A" => Type::Param(0),
        "B" => Type::Param(1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_can_be_read() {
        for (signature, implementation) in library::signatures(NEWEST) {
            assert!(read(signature, implementation).is_some(), "{signature}");
        }
    }

    #[test]
    fn a_function_is_there_from_the_version_that_introduced_it() {
        for (name, since) in [("cidr", 30), ("format.named", 31), ("semver", 33)] {
            assert!(find(since - 1, name).is_none(), "{name} before 1.{since}");
            assert!(find(since, name).is_some(), "{name} in 1.{since}");
        }
        // An older name gets more overloads.
        let overloads = |minor| find(minor, "compareTo").map(|function| function.overloads.len());
        assert_eq!((overloads(32), overloads(33)), (Some(1), Some(2)));
    }
}
