//! URLs (Kubernetes' `cel/library/urls.go`, Go's `net/url`).

use super::{Arguments, Entry, net, quoted};
use crate::Error;
use crate::value::{Entries, Map, OpaqueValue, Value};
use std::fmt::Write;
use std::sync::Arc;

pub(crate) const FUNCTIONS: &[Entry] = &[
    ("string_to_url: url(string) -> URL", |call| {
        let url = to_url(call.text(0)?).map_err(|error| {
            Error::new(format!(
                "URL parse error during conversion from string: {error}"
            ))
        })?;
        Ok(Value::Opaque(Arc::new(OpaqueValue::Url(url))))
    }),
    ("url_get_scheme: |URL|.getScheme() -> string", |call| {
        Ok(get(call)?.scheme.clone().into())
    }),
    ("url_get_host: |URL|.getHost() -> string", |call| {
        Ok(get(call)?.host.clone().into())
    }),
    ("url_get_hostname: |URL|.getHostname() -> string", |call| {
        Ok(get(call)?.host_and_port().0.to_owned().into())
    }),
    ("url_get_port: |URL|.getPort() -> string", |call| {
        Ok(get(call)?.host_and_port().1.to_owned().into())
    }),
    (
        "url_get_escaped_path: |URL|.getEscapedPath() -> string",
        |call| Ok(get(call)?.path.clone().into()),
    ),
    (
        "url_get_query: |URL|.getQuery() -> map(string, list(string))",
        |call| query(get(call)?),
    ),
    ("is_url_string: isURL(string) -> bool", |call| {
        Ok(Value::Bool(parse(call.text(0)?, true).is_ok()))
    }),
];

/// A URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    /// What stands after the scheme where that is followed by no `/`.
    opaque: String,
    user: Option<String>,
    host: String,
    /// Escaped.
    path: String,
    query: Option<String>,
    fragment: String,
}

impl Url {
    fn host_and_port(&self) -> (&str, &str) {
        let (host, port) = match self.host.rfind(':') {
            Some(colon) if is_port(&self.host[colon..]) => {
                (&self.host[..colon], &self.host[colon + 1..])
            }
            _ => (self.host.as_str(), ""),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        (bare.unwrap_or(host), port)
    }
}

fn get<'s>(call: &'s Arguments<'_, '_>) -> Result<&'s Url, Error> {
    match call.get(0)? {
        Value::Opaque(opaque) => match &**opaque {
            OpaqueValue::Url(url) => Ok(url),
            _ => Err(Error::no_overload()),
        },
        _ => Err(Error::no_overload()),
    }
}

fn to_url(text: &str) -> Result<Url, Error> {
    parse(text, true)?;
    // What comes after `#` is a fragment, which a URI for a request does not have.
    let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
    let mut parsed = parse(url, false)?;
    unescape(fragment, Mode::Other).map_err(|error| wrap(text, &error))?;
    fragment.clone_into(&mut parsed.fragment);
    Ok(parsed)
}

/// Why `text` is no URI for a request, as Go words it.
pub(super) fn validate(text: &str) -> Option<String> {
    parse(text, true).err().map(|error| error.to_string())
}

fn wrap(text: &str, error: &Error) -> Error {
    Error::new(format!("parse {}: {error}", quoted(text)))
}

fn parse(text: &str, is_request: bool) -> Result<Url, Error> {
    parse_parts(text, is_request).map_err(|error| wrap(text, &error))
}

fn parse_parts(text: &str, is_request: bool) -> Result<Url, Error> {
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err(Error::fixed("net/url: invalid control character in URL"));
    }
    if text.is_empty() && is_request {
        return Err(Error::fixed("empty url"));
    }
    let mut url = Url {
        scheme: String::new(),
        opaque: String::new(),
        user: None,
        host: String::new(),
        path: String::new(),
        query: None,
        fragment: String::new(),
    };
    if text == "*" {
        "*".clone_into(&mut url.path);
        return Ok(url);
    }
    let (scheme, rest) = scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let rest = match rest.split_once('?') {
        Some((rest, query)) => {
            url.query = Some(query.to_owned());
            rest
        }
        None => rest,
    };
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if is_request {
            return Err(Error::fixed("invalid URI for request"));
        }
        let segment = rest.split('/').next().unwrap_or_default();
        if segment.contains(':') {
            return Err(Error::fixed(
                "first path segment in URL cannot contain colon",
            ));
        }
    }
    let has_authority = !url.scheme.is_empty() || !is_request && !rest.starts_with("///");
    let mut path = rest;
    if has_authority && let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        path = &after[end..];
        authority(&after[..end], &mut url)?;
    }
    let unescaped = unescape(path, Mode::Other)?;
    url.path = if is_valid_path(path) {
        path.to_owned()
    } else {
        escape_path(&unescaped)
    };
    Ok(url)
}

fn scheme(text: &str) -> Result<(&str, &str), Error> {
    for (index, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if index > 0 => {}
            ':' if index == 0 => return Err(Error::fixed("missing protocol scheme")),
            ':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn authority(text: &str, url: &mut Url) -> Result<(), Error> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    url.host = parse_host(&url.scheme, host)?;
    if let Some(user) = user {
        let is_valid = user
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c));
        if !is_valid {
            return Err(Error::fixed("net/url: invalid userinfo"));
        }
        unescape(user, Mode::Other)?;
        url.user = Some(user.to_owned());
    }
    Ok(())
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn parse_host(scheme: &str, host: &str) -> Result<String, Error> {
    let invalid_port = |port: &str| Error::new(format!("invalid port {} after host", quoted(port)));
    match host.rfind('[') {
        Some(0) => {
            let Some(close) = host.rfind(']') else {
                return Err(Error::fixed("missing ']' in host"));
            };
            let port = &host[close + 1..];
            if !is_port(port) {
                return Err(invalid_port(port));
            }
            let name = &host[1..close];
            let unescaped = match name.find("%25") {
                Some(zone) => format!(
                    "{}{}",
                    unescape(&name[..zone], Mode::Host)?,
                    unescape(&name[zone..], Mode::Zone)?
                ),
                None => unescape(name, Mode::Host)?,
            };
            if net::is_ipv4(&unescaped)
                .map_err(|error| Error::new(format!("invalid host: {error}")))?
            {
                return Err(Error::fixed("invalid IP-literal"));
            }
            return Ok(format!("[{unescaped}]{port}"));
        }
        Some(_) => return Err(Error::fixed("invalid IP-literal")),
        None => {}
    }
    if let Some(first) = host.find(':') {
        let last = host.rfind(':').unwrap_or(first);
        let at = if matches!(scheme, "http" | "https") {
            first
        } else {
            last
        };
        if !is_port(&host[at..]) {
            return Err(invalid_port(&host[at..]));
        }
    }
    unescape(host, Mode::Host)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Host,
    Zone,
    Query,
    Other,
}

fn may_be_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!\"$&'()*+,-.:;<=>[]_~".contains(&byte)
}

fn unescape(text: &str, mode: Mode) -> Result<String, Error> {
    let invalid = |part: &str| Error::new(format!("invalid URL escape {}", quoted(part)));
    let bytes = text.as_bytes();
    let mut unescaped = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        if byte == b'%' {
            let end = (index + 3).min(text.len());
            let part = text.get(index..end).unwrap_or("%");
            let hex = part
                .get(1..3)
                .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let Some(hex) = hex else {
                return Err(invalid(part));
            };
            let value = u8::from_str_radix(hex, 16).unwrap_or_default();
            let is_refused = match mode {
                Mode::Host => value < 0x80 && part != "%25",
                Mode::Zone => part != "%25" && value != b' ' && !may_be_in_host(value),
                Mode::Query | Mode::Other => false,
            };
            if is_refused {
                return Err(invalid(part));
            }
            unescaped.push(value);
            index += 3;
            continue;
        }
        if matches!(mode, Mode::Host | Mode::Zone) && byte < 0x80 && !may_be_in_host(byte) {
            return Err(Error::new(format!(
                "invalid character {} in host name",
                quoted(&char::from(byte).to_string())
            )));
        }
        unescaped.push(if byte == b'+' && mode == Mode::Query {
            b' '
        } else {
            byte
        });
        index += 1;
    }
    Ok(String::from_utf8_lossy(&unescaped).into_owned())
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"$&+,-./:;=@_~".contains(&byte)
}

/// Whether a path is escaped so that it can stay as it is.
fn is_valid_path(path: &str) -> bool {
    path.bytes()
        .all(|byte| is_path_byte(byte) || b"!'()*[]%".contains(&byte))
}

fn escape_path(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        if is_path_byte(byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The query as a map of lists. What cannot be read of it is left out, as Go does.
fn query<'a>(url: &Url) -> Result<Value<'a>, Error> {
    let mut names: Vec<(String, Vec<Value<'a>>)> = Vec::new();
    for pair in url.query.as_deref().unwrap_or_default().split('&') {
        if pair.is_empty() || pair.contains(';') {
            continue;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Ok(name), Ok(value)) = (unescape(name, Mode::Query), unescape(value, Mode::Query))
        else {
            continue;
        };
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.into()),
            None => names.push((name, vec![value.into()])),
        }
    }
    let mut entries = Entries::default();
    for (name, values) in names {
        entries.set(name.into(), values.into())?;
    }
    Ok(Value::Map(Map::Shared(Arc::new(entries))))
}
