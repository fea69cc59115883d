//! Named formats (Kubernetes' `cel/library/format.go` and `apimachinery/pkg/util/validation`).

use super::{Entry, url};
use crate::Error;
use crate::value::{OpaqueValue, Value};
use std::sync::{Arc, LazyLock};

/// A format that texts can be checked against.
pub struct Format {
    /// The name as it is called: `dns1123Label`.
    name: &'static str,
    /// What costs go by.
    pub(crate) pattern_size: u64,
    validate: fn(&str) -> Vec<String>,
}

impl std::fmt::Debug for Format {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name)
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

macro_rules! constants {
    ($($signature:literal => $name:literal),* $(,)?) => {
        &[
            $(($signature, |_| named($name).ok_or_else(Error::no_overload)),)*
            ("format-validate: |Format|.validate(string) -> optional(list(string))", |call| {
                let Value::Opaque(opaque) = call.get(0)? else {
                    return Err(Error::no_overload());
                };
                let OpaqueValue::Format(format) = &**opaque else {
                    return Err(Error::no_overload());
                };
                let wrong = (format.validate)(call.text(1)?);
                if wrong.is_empty() {
                    return Ok(Value::Optional(None));
                }
                let list: Vec<Value<'_>> = wrong.into_iter().map(Value::from).collect();
                Ok(Value::Optional(Some(Arc::new(list.into()))))
            }),
            ("format-named: format.named(string) -> optional(Format)", |call| {
                Ok(Value::Optional(named(call.text(0)?).map(Arc::new)))
            }),
        ]
    };
}

pub(crate) const FUNCTIONS: &[Entry] = constants! {
    "format.dns1123Label: format.dns1123Label() -> Format" => "dns1123Label",
    "format.dns1123Subdomain: format.dns1123Subdomain() -> Format" => "dns1123Subdomain",
    "format.dns1035Label: format.dns1035Label() -> Format" => "dns1035Label",
    "format.qualifiedName: format.qualifiedName() -> Format" => "qualifiedName",
    "format.dns1123LabelPrefix: format.dns1123LabelPrefix() -> Format" => "dns1123LabelPrefix",
    "format.dns1123SubdomainPrefix: format.dns1123SubdomainPrefix() -> Format" => "dns1123SubdomainPrefix",
    "format.dns1035LabelPrefix: format.dns1035LabelPrefix() -> Format" => "dns1035LabelPrefix",
    "format.labelValue: format.labelValue() -> Format" => "labelValue",
    "format.uri: format.uri() -> Format" => "uri",
    "format.uuid: format.uuid() -> Format" => "uuid",
    "format.byte: format.byte() -> Format" => "byte",
    "format.date: format.date() -> Format" => "date",
    "format.datetime: format.datetime() -> Format" => "datetime",
};

static FORMATS: [Format; 13] = [
    Format {
        name: "dns1123Label",
        pattern_size: 30,
        validate: dns_label,
    },
    Format {
        name: "dns1123Subdomain",
        pattern_size: 60,
        validate: dns_subdomain,
    },
    Format {
        name: "dns1035Label",
        pattern_size: 30,
        validate: dns_1035_label,
    },
    Format {
        name: "qualifiedName",
        pattern_size: 60,
        validate: qualified_name,
    },
    Format {
        name: "dns1123LabelPrefix",
        pattern_size: 30,
        validate: |text| dns_label(&masked(text)),
    },
    Format {
        name: "dns1123SubdomainPrefix",
        pattern_size: 60,
        validate: |text| dns_subdomain(&masked(text)),
    },
    Format {
        name: "dns1035LabelPrefix",
        pattern_size: 30,
        validate: |text| dns_1035_label(&masked(text)),
    },
    Format {
        name: "labelValue",
        pattern_size: 40,
        validate: label_value,
    },
    Format {
        name: "uri",
        pattern_size: 1103,
        validate: |text| url::validate(text).into_iter().collect(),
    },
    Format {
        name: "uuid",
        pattern_size: 84,
        validate: |text| single(UUID.is_match(text), "does not match the UUID format"),
    },
    Format {
        name: "byte",
        pattern_size: 84,
        validate: |text| single(BASE64.is_match(text), "invalid base64"),
    },
    Format {
        name: "date",
        pattern_size: 72,
        validate: |text| single(is_date(text), "invalid date"),
    },
    Format {
        name: "datetime",
        pattern_size: 72,
        validate: |text| single(is_datetime(text), "invalid datetime"),
    },
];

fn named<'a>(name: &str) -> Option<Value<'a>> {
    let format = FORMATS.iter().find(|format| format.name == name)?;
    Some(Value::Opaque(Arc::new(OpaqueValue::Format(format))))
}

type Pattern = LazyLock<regex::Regex>;

/// A pattern of this file, which a test compiles.
fn pattern(text: &str) -> regex::Regex {
    match regex::Regex::new(text) {
        Ok(pattern) => pattern,
        Err(error) => unreachable!("a pattern that cannot be read: {error}"),
    }
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";

static LABEL_PATTERN: Pattern = LazyLock::new(|| pattern(&format!("^{LABEL}$")));
static LABEL_1035_PATTERN: Pattern = LazyLock::new(|| pattern(&format!("^{LABEL_1035}$")));
static SUBDOMAIN_PATTERN: Pattern = LazyLock::new(|| pattern(&format!("^{SUBDOMAIN}$")));
static NAME_PATTERN: Pattern = LazyLock::new(|| pattern(&format!("^{NAME}$")));
static VALUE_PATTERN: Pattern = LazyLock::new(|| pattern(&format!("^{VALUE}$")));
static UUID: Pattern = LazyLock::new(|| {
    pattern("(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$")
});
static BASE64: Pattern = LazyLock::new(|| {
    pattern(
        "^(?:[A-Za-z0-9+\\/]{4})*(?:[A-Za-z0-9+\\/]{2}==|[A-Za-z0-9+\\/]{3}=|[A-Za-z0-9+\\/]{4})$",
    )
});
static TIME: Pattern = LazyLock::new(|| {
    pattern("^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$")
});

fn single(is_valid: bool, message: &str) -> Vec<String> {
    if is_valid {
        Vec::new()
    } else {
        vec![message.to_owned()]
    }
}

fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} characters")
}

/// What Kubernetes says of a text that does not match.
fn mismatch(message: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<_> = examples
        .iter()
        .map(|example| format!("'{example}', "))
        .collect();
    format!(
        "{message} (e.g. {}regex used for validation is '{pattern}')",
        examples.join(" or ")
    )
}

/// A text to which more will be added may end with a dash. (Kubernetes puts an `a` in the place of
/// its last two characters.)
fn masked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let end = rest.len() - rest.chars().next_back().map_or(0, char::len_utf8);
            format!("{}a", &rest[..end])
        }
        _ => text.to_owned(),
    }
}

fn dns_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_long(63));
    }
    if !LABEL_PATTERN.is_match(text) {
        wrong.push(if SUBDOMAIN_PATTERN.is_match(text) {
            "must not contain dots".to_owned()
        } else {
            mismatch(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                LABEL,
                &["my-name", "123-abc"],
            )
        });
    }
    wrong
}

fn dns_subdomain(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(too_long(253));
    }
    if !SUBDOMAIN_PATTERN.is_match(text) {
        wrong.push(mismatch(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN,
            &["example.com"],
        ));
    }
    wrong
}

fn dns_1035_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_long(63));
    }
    if !LABEL_1035_PATTERN.is_match(text) {
        wrong.push(mismatch(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            LABEL_1035,
            &["my-name", "abc-123"],
        ));
    }
    wrong
}

fn qualified_name(text: &str) -> Vec<String> {
    let of_name = || {
        mismatch(
            "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            NAME,
            &["MyName", "my.name", "123-abc"],
        )
    };
    let mut wrong = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(
                    dns_subdomain(prefix)
                        .into_iter()
                        .map(|message| format!("prefix part {message}")),
                );
            }
            *name
        }
        _ => {
            return vec![format!(
                "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                of_name()
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push(format!("name part {}", too_long(63)));
    }
    if !NAME_PATTERN.is_match(name) {
        wrong.push(format!("name part {}", of_name()));
    }
    wrong
}

fn label_value(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_long(63));
    }
    if !VALUE_PATTERN.is_match(text) {
        wrong.push(mismatch(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            VALUE,
            &["MyValue", "my_value", "12345"],
        ));
    }
    wrong
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_datetime(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else {
        return false;
    };
    is_date(date)
        && TIME
            .captures(time)
            .is_some_and(|found| &found[1] <= "23" && &found[2] <= "59" && &found[3] <= "59")
}
