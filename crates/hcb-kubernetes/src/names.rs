//! The rules of names: what Kubernetes and Istio accept, and what is wrong with what they do not.
//!
//! Each function returns what is wrong as half a sentence, or `None`. Sources: the Kubernetes
//! documentation on object names and on labels, k8s.io/apimachinery's `validation` package.

/// A path below a folder: relative, with `/` between segments, none of which leads up.
pub fn path_below(path: &str) -> Option<String> {
    if path.starts_with('/') {
        return Some("is absolute".into());
    }
    let leads_elsewhere = |segment: &str| {
        matches!(segment, "" | "." | "..")
            || segment.contains('\\')
            || segment.contains(char::is_control)
    };
    path.trim_end_matches('/')
        .split('/')
        .any(leads_elsewhere)
        .then(|| "leads out of its folder, or is not written as plainly as it can be".into())
}

/// A DNS label (RFC 1123): namespaces, services, most names. At most 63 characters.
pub fn dns_label(name: &str) -> Option<String> {
    dns_label_of_at_most(name, 63)
}

/// A DNS label of at most `most` characters.
pub fn dns_label_of_at_most(name: &str, most: usize) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".into());
    }
    if let Some(bad) = name
        .chars()
        .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'))
    {
        return Some(match bad {
            'A'..='Z' => {
                "has an upper-case letter; only lower-case letters, digits and dashes are allowed"
                    .into()
            }
            _ => format!(
                "has the character {bad:?}; only lower-case letters, digits and dashes are allowed"
            ),
        });
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Some("starts or ends with a dash".into());
    }
    if name.len() > most {
        return Some(format!(
            "has {} characters; at most {most} are allowed",
            name.len()
        ));
    }
    None
}

/// A DNS subdomain (RFC 1123): the names of most cluster-scoped objects. At most 253 characters.
pub fn dns_subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some(format!(
            "has {} characters; at most 253 are allowed",
            name.len()
        ));
    }
    name.split('.')
        .find_map(|label| dns_label_of_at_most(label, 253))
}

/// The key of a label, an annotation or a taint: `[prefix/]name`.
pub fn label_key(key: &str) -> Option<String> {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            if let Some(problem) = dns_subdomain(prefix) {
                return Some(format!("has a prefix that {problem}"));
            }
            name
        }
        None => key,
    };
    match qualified(name) {
        None if name.is_empty() => Some("has no name".into()),
        problem => problem,
    }
}

/// The value of a label or a taint. May be empty.
pub fn label_value(value: &str) -> Option<String> {
    qualified(value)
}

fn qualified(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(format!(
            "has {} characters; at most 63 are allowed",
            text.len()
        ));
    }
    if let Some(bad) = text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return Some(format!(
            "has the character {bad:?}; only letters, digits, dashes, dots and underscores are allowed"
        ));
    }
    let edge = |c: char| !c.is_ascii_alphanumeric();
    (text.starts_with(edge) || text.ends_with(edge))
        .then(|| "starts or ends with something else than a letter or a digit".into())
}

/// The name of an environment variable. Kubernetes takes nearly anything; shells do not.
pub fn environment_variable(name: &str) -> Option<String> {
    let bad = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || *c == '_'));
    match bad {
        _ if name.is_empty() => Some("is empty".into()),
        Some(bad) => Some(format!(
            "has the character {bad:?}; only letters, digits and underscores are allowed"
        )),
        None if name.starts_with(|c: char| c.is_ascii_digit()) => {
            Some("starts with a digit".into())
        }
        // The keys of Secrets have this limit, and such a key holds each secret variable.
        None if name.len() > 253 => Some(format!(
            "has {} characters; at most 253 are allowed",
            name.len()
        )),
        None => None,
    }
}

/// A key in a secret store: path segments of letters, digits and `-_.`.
pub fn store_key(key: &str) -> Option<String> {
    if key.is_empty() {
        return Some("is empty".into());
    }
    if key
        .split('/')
        .any(|segment| segment.is_empty() || segment == "." || segment == "..")
    {
        return Some("has an empty segment, `.` or `..`".into());
    }
    key.chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.')))
        .map(|bad| format!("has the character {bad:?}"))
}
