//! What evaluating costs, in the units of the API server, which stops what costs too much
//! (cel-go's `interpreter/runtimecost.go`, Kubernetes' `cel/library/cost.go`).

use super::value::{OpaqueValue, Value};

/// The cost of one call, from its arguments and its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// 1.
    One,
    /// A tenth of the size of the first argument, times the factor.
    Traverse(u64),
    /// A tenth of twice the size of the result.
    Result,
    /// All that is in the first argument.
    Deep,
    /// The size of the first argument times that of a pattern.
    Pattern,
    /// The size of the first argument times that of what is looked for.
    Contains,
    /// A tenth of the smaller of both sizes.
    Smaller,
    /// A tenth of both sizes.
    Both,
    /// The size of the list that is the second argument.
    Items,
    /// The product of both sizes, times the factor, and 1.
    Product(u64),
    /// Of a named format.
    Format,
    /// Of an address in a block; whether it has to be read first.
    ContainsIp(bool),
    /// Of a block in a block; whether it has to be read first.
    ContainsCidr(bool),
}

/// Making a list, and making a map, that is not constant.
pub(super) const LIST: u64 = 10;
pub(super) const MAP: u64 = 30;

fn tenth(size: u64) -> u64 {
    size.div_ceil(10)
}

impl Cost {
    /// The cost of a function; `overload` is empty where the types leave several.
    pub(super) fn of(function: &str, overload: &str) -> Cost {
        match overload {
            "list_sets_contains_list" | "list_sets_intersects_list" => return Cost::Product(1),
            "list_sets_equivalent_list" => return Cost::Product(2),
            _ => {}
        }
        match function {
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => return Cost::Deep,
            "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "cidr" | "isIP"
            | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver" => {
                return Cost::Traverse(1);
            }
            "ip" if overload == "cidr_ip" => return Cost::One,
            "ip" => return Cost::Traverse(1),
            "replace" | "split" | "ip.isCanonical" => return Cost::Traverse(2),
            "join" => return Cost::Result,
            "find" | "findAll" => return Cost::Pattern,
            "validate" => return Cost::Format,
            "containsIP" => return Cost::ContainsIp(overload == "cidr_contains_ip_string"),
            "containsCIDR" => return Cost::ContainsCidr(overload == "cidr_contains_cidr_string"),
            _ => {}
        }
        match overload {
            "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string"
            | "strings_quote" | "string_format" => Cost::Traverse(1),
            "in_list" => Cost::Items,
            "less_string"
            | "greater_string"
            | "less_equals_string"
            | "greater_equals_string"
            | "less_bytes"
            | "greater_bytes"
            | "less_equals_bytes"
            | "greater_equals_bytes"
            | "equals"
            | "not_equals" => Cost::Smaller,
            "add_string" | "add_bytes" => Cost::Both,
            "matches_string" => Cost::Pattern,
            "contains_string" => Cost::Contains,
            _ => Cost::One,
        }
    }

    pub(super) fn units(self, arguments: &[Value<'_>], result: Option<&Value<'_>>) -> u64 {
        let size = |index: usize| arguments.get(index).map_or(1, Value::cost_size);
        match self {
            Cost::One => 1,
            Cost::Traverse(factor) => tenth(size(0) * factor),
            Cost::Result => tenth(2 * result.map_or(1, Value::cost_size)),
            Cost::Deep => arguments.first().map_or(0, deep),
            Cost::Pattern => tenth(size(0) + 1).saturating_mul(size(1).div_ceil(4)),
            Cost::Contains => tenth(size(0)).saturating_mul(tenth(size(1))),
            Cost::Smaller => tenth(size(0).min(size(1))),
            Cost::Both => tenth(size(0) + size(1)),
            Cost::Items => size(1),
            Cost::Product(factor) => 1 + size(0).saturating_mul(size(1)).saturating_mul(factor),
            Cost::Format => match arguments.first() {
                Some(Value::Opaque(opaque)) => match &**opaque {
                    OpaqueValue::Format(format) => {
                        tenth(size(1) + 1).saturating_mul(format.pattern_size.div_ceil(4))
                    }
                    _ => 1,
                },
                _ => 1,
            },
            Cost::ContainsIp(reads) => tenth(2 * size(0)) + if reads { tenth(size(1)) } else { 0 },
            Cost::ContainsCidr(reads) => {
                tenth(2 * size(0)) + tenth(size(0)) + 1 + if reads { tenth(size(1)) } else { 0 }
            }
        }
    }
}

/// All of a value: a tenth of the bytes of texts, 1 for everything else that is not a collection.
fn deep(value: &Value<'_>) -> u64 {
    match value {
        Value::String(text) => text.len() as u64 / 10,
        Value::Bytes(bytes) => bytes.len() as u64 / 10,
        Value::List(list) => list.iter().map(|item| deep(&item)).sum(),
        Value::Map(map) => map
            .entries()
            .iter()
            .map(|(key, value)| deep(key) + deep(value))
            .sum(),
        _ => 1,
    }
}
