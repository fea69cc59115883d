//! Addresses and blocks of addresses (Kubernetes' `cel/library/ip.go` and `cidr.go`, Go's
//! `net/netip`).

use super::{Arguments, Entry, quoted};
use crate::Error;
use crate::value::{OpaqueValue, Value};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub(crate) const FUNCTIONS: &[Entry] = &[
    ("string_to_ip: ip(string) -> IP", |call| {
        parse_ip(call.text(0)?).map(of_ip)
    }),
    ("ip_family: |IP|.family() -> int", |call| {
        Ok(Value::Int(if ip(call, 0)?.is_ipv4() { 4 } else { 6 }))
    }),
    ("ip_is_canonical: ip.isCanonical(string) -> bool", |call| {
        let text = call.text(0)?;
        Ok(Value::Bool(parse_ip(text)?.to_string() == text))
    }),
    ("ip_is_unspecified: |IP|.isUnspecified() -> bool", |call| {
        Ok(Value::Bool(ip(call, 0)?.is_unspecified()))
    }),
    ("ip_is_loopback: |IP|.isLoopback() -> bool", |call| {
        Ok(Value::Bool(ip(call, 0)?.is_loopback()))
    }),
    (
        "ip_is_link_local_multicast: |IP|.isLinkLocalMulticast() -> bool",
        |call| {
            Ok(Value::Bool(match ip(call, 0)? {
                IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
                IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
            }))
        },
    ),
    (
        "ip_is_link_local_unicast: |IP|.isLinkLocalUnicast() -> bool",
        |call| Ok(Value::Bool(is_link_local(ip(call, 0)?))),
    ),
    (
        "ip_is_global_unicast: |IP|.isGlobalUnicast() -> bool",
        |call| {
            let ip = ip(call, 0)?;
            Ok(Value::Bool(
                ip != IpAddr::V4(Ipv4Addr::BROADCAST)
                    && !ip.is_unspecified()
                    && !ip.is_loopback()
                    && !ip.is_multicast()
                    && !is_link_local(ip),
            ))
        },
    ),
    ("is_ip: isIP(string) -> bool", |call| {
        Ok(Value::Bool(parse_ip(call.text(0)?).is_ok()))
    }),
    ("ip_to_string: string(IP) -> string", |call| {
        Ok(ip(call, 0)?.to_string().into())
    }),
    ("string_to_cidr: cidr(string) -> CIDR", |call| {
        to_cidr(call.text(0)?).map(of_cidr)
    }),
    (
        "cidr_contains_ip_string: |CIDR|.containsIP(string) -> bool",
        |call| {
            // What is no address has no such overload, in the words of the API server.
            let ip = parse_ip(call.text(1)?).map_err(|_| Error::no_overload())?;
            Ok(Value::Bool(cidr(call, 0)?.contains(&ip)))
        },
    ),
    (
        "cidr_contains_ip_ip: |CIDR|.containsIP(IP) -> bool",
        |call| Ok(Value::Bool(cidr(call, 0)?.contains(&ip(call, 1)?))),
    ),
    (
        "cidr_contains_cidr_string: |CIDR|.containsCIDR(string) -> bool",
        |call| {
            Ok(Value::Bool(
                cidr(call, 0)?.contains(&to_cidr(call.text(1)?)?),
            ))
        },
    ),
    (
        "cidr_contains_cidr: |CIDR|.containsCIDR(CIDR) -> bool",
        |call| Ok(Value::Bool(cidr(call, 0)?.contains(&cidr(call, 1)?))),
    ),
    ("cidr_ip: |CIDR|.ip() -> IP", |call| {
        Ok(of_ip(cidr(call, 0)?.addr()))
    }),
    ("cidr_prefix_length: |CIDR|.prefixLength() -> int", |call| {
        Ok(Value::Int(cidr(call, 0)?.prefix_len().into()))
    }),
    ("cidr_masked: |CIDR|.masked() -> CIDR", |call| {
        Ok(of_cidr(cidr(call, 0)?.trunc()))
    }),
    ("is_cidr: isCIDR(string) -> bool", |call| {
        Ok(Value::Bool(parse_cidr(call.text(0)?).is_ok()))
    }),
    ("cidr_to_string: string(CIDR) -> string", |call| {
        Ok(cidr(call, 0)?.to_string().into())
    }),
];

fn of_ip<'a>(ip: IpAddr) -> Value<'a> {
    Value::Opaque(Arc::new(OpaqueValue::Ip(ip)))
}

fn of_cidr<'a>(net: IpNet) -> Value<'a> {
    Value::Opaque(Arc::new(OpaqueValue::Cidr(net)))
}

fn ip(call: &Arguments<'_, '_>, index: usize) -> Result<IpAddr, Error> {
    match call.get(index)? {
        Value::Opaque(opaque) => match **opaque {
            OpaqueValue::Ip(ip) => Ok(ip),
            _ => Err(Error::no_overload()),
        },
        _ => Err(Error::no_overload()),
    }
}

fn cidr(call: &Arguments<'_, '_>, index: usize) -> Result<IpNet, Error> {
    match call.get(index)? {
        Value::Opaque(opaque) => match **opaque {
            OpaqueValue::Cidr(net) => Ok(net),
            _ => Err(Error::no_overload()),
        },
        _ => Err(Error::no_overload()),
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, Error> {
    let (address, zone) = address(text).map_err(|error| {
        Error::new(format!(
            "IP Address {} parse error during conversion from string: {error}",
            quoted(text)
        ))
    })?;
    if zone {
        return Err(Error::new(format!(
            "IP address {} with zone value is not allowed",
            quoted(text)
        )));
    }
    not_mapped(text, address)?;
    Ok(address)
}

fn not_mapped(text: &str, address: IpAddr) -> Result<(), Error> {
    match address {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => Err(Error::new(format!(
            "IPv4-mapped IPv6 address {} is not allowed",
            quoted(text)
        ))),
        _ => Ok(()),
    }
}

fn to_cidr(text: &str) -> Result<IpNet, Error> {
    parse_cidr(text).map_err(|error| {
        Error::new(format!(
            "network address parse error during conversion from string: {error}"
        ))
    })
}

fn parse_cidr(text: &str) -> Result<IpNet, Error> {
    let failed = |message: &str| {
        Error::new(format!(
            "network address parse error during conversion from string: netip.ParsePrefix({}): {message}",
            quoted(text)
        ))
    };
    let (ip, bits) = text.rsplit_once('/').ok_or_else(|| failed("no '/'"))?;
    let (address, has_zone) = address(ip).map_err(|error| failed(&error.to_string()))?;
    if has_zone {
        return Err(failed("IPv6 zones cannot be present in a prefix"));
    }
    let is_number = !bits.is_empty()
        && bits.bytes().all(|byte| byte.is_ascii_digit())
        && (bits.len() == 1 || !bits.starts_with('0'));
    if !is_number {
        return Err(failed(&format!("bad bits after slash: {}", quoted(bits))));
    }
    let net = bits
        .parse::<u8>()
        .ok()
        .and_then(|bits| IpNet::new(address, bits).ok())
        .ok_or_else(|| failed("prefix length out of range"))?;
    not_mapped(text, address)?;
    Ok(net)
}

/// An address as `netip.ParseAddr` reads it, and whether it has a zone; the error is in its words.
fn address(text: &str) -> Result<(IpAddr, bool), Error> {
    let failed = |message: &str| failed_at(text, message, "");
    match text.find(['.', ':', '%']).map(|at| text.as_bytes()[at]) {
        Some(b'.') => ipv4(text, text).map(|ip| (IpAddr::V4(ip), false)),
        Some(b':') => ipv6(text),
        Some(_) => Err(failed("missing IPv6 address")),
        None => Err(failed("unable to parse IP")),
    }
}

fn failed_at(text: &str, message: &str, at: &str) -> Error {
    Error::new(if at.is_empty() {
        format!("ParseAddr({}): {message}", quoted(text))
    } else {
        format!("ParseAddr({}): {message} (at {})", quoted(text), quoted(at))
    })
}

/// The four fields in `part` of `text`.
fn ipv4(text: &str, part: &str) -> Result<Ipv4Addr, Error> {
    let mut fields = Vec::with_capacity(4);
    let (mut value, mut digits) = (0u32, 0);
    let bytes = part.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && value == 0 {
                    return Err(failed_at(
                        text,
                        "IPv4 field has octet with leading zero",
                        "",
                    ));
                }
                value = value * 10 + u32::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return Err(failed_at(text, "IPv4 field has value >255", ""));
                }
            }
            b'.' => {
                if index == 0 || index == bytes.len() - 1 || bytes[index - 1] == b'.' {
                    let message = "IPv4 field must have at least one digit";
                    return Err(failed_at(text, message, &part[index..]));
                }
                if fields.len() == 3 {
                    return Err(failed_at(text, "IPv4 address too long", ""));
                }
                fields.push(value);
                (value, digits) = (0, 0);
            }
            _ => {
                let at = part.get(index..).unwrap_or_default();
                return Err(failed_at(text, "unexpected character", at));
            }
        }
    }
    fields.push(value);
    let mut octets = [0u8; 4];
    if fields.len() < 4 {
        return Err(failed_at(text, "IPv4 address too short", ""));
    }
    for (octet, field) in octets.iter_mut().zip(fields) {
        *octet = u8::try_from(field).unwrap_or(u8::MAX);
    }
    Ok(octets.into())
}

fn ipv6(text: &str) -> Result<(IpAddr, bool), Error> {
    let (mut rest, zone) = match text.split_once('%') {
        Some((_, "")) => return Err(failed_at(text, "zone must be a non-empty string", "")),
        Some((address, _)) => (address, true),
        None => (text, false),
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(16);
    let mut ellipsis = None;
    if let Some(after) = rest.strip_prefix("::") {
        ellipsis = Some(0);
        rest = after;
        if rest.is_empty() {
            return Ok((IpAddr::V6(Ipv6Addr::UNSPECIFIED), zone));
        }
    }
    while bytes.len() < 16 {
        let length = rest
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(rest.len());
        if length > 4 {
            return Err(failed_at(
                text,
                "each group must have 4 or less digits",
                rest,
            ));
        }
        if length == 0 {
            let message = "each colon-separated field must have at least one digit";
            return Err(failed_at(text, message, rest));
        }
        if rest[length..].starts_with('.') {
            if ellipsis.is_none() && bytes.len() != 12 {
                let message =
                    "embedded IPv4 address must replace the final 2 fields of the address";
                return Err(failed_at(text, message, rest));
            }
            if bytes.len() + 4 > 16 {
                let message =
                    "too many hex fields to fit an embedded IPv4 at the end of the address";
                return Err(failed_at(text, message, rest));
            }
            bytes.extend(ipv4(text, rest)?.octets());
            rest = "";
            break;
        }
        let group = u16::from_str_radix(&rest[..length], 16).unwrap_or_default();
        bytes.extend(group.to_be_bytes());
        rest = &rest[length..];
        if rest.is_empty() {
            break;
        }
        let Some(after) = rest.strip_prefix(':') else {
            return Err(failed_at(text, "unexpected character, want colon", rest));
        };
        if after.is_empty() {
            return Err(failed_at(
                text,
                "colon must be followed by more characters",
                rest,
            ));
        }
        rest = after;
        if let Some(after) = rest.strip_prefix(':') {
            if ellipsis.is_some() {
                return Err(failed_at(text, "multiple :: in address", rest));
            }
            ellipsis = Some(bytes.len());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }
    if !rest.is_empty() {
        return Err(failed_at(text, "trailing garbage after address", rest));
    }
    let missing = 16 - bytes.len();
    match ellipsis {
        None if missing > 0 => return Err(failed_at(text, "address string too short", "")),
        Some(_) if missing == 0 => {
            let message = "the :: must expand to at least one field of zeros";
            return Err(failed_at(text, message, ""));
        }
        Some(at) => {
            bytes.splice(at..at, std::iter::repeat_n(0, missing));
        }
        None => {}
    }
    let octets: [u8; 16] = bytes.try_into().unwrap_or_default();
    Ok((IpAddr::V6(octets.into()), zone))
}

/// Whether the text is an address of version 4, for URLs.
pub(super) fn is_ipv4(text: &str) -> Result<bool, Error> {
    address(text).map(|(ip, _)| ip.is_ipv4())
}
