//! Networks of the clusters' own: a machine inside of the machine, where pods have their addresses.

use crate::istiod::Options;
use std::net::{IpAddr, Ipv4Addr};

/// Set where a test runs on networks of its own.
const VARIABLE: &str = "HCB_TESTBED_NETWORK";

/// Whether this process is on networks of its own, which nothing else is on.
pub fn is_inside() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// How istiod runs here. On networks of its own, pods have addresses, and their proxies are Envoy as its
/// project releases it, without the filters that Istio's build adds.
pub fn istiod_options() -> Options {
    if !is_inside() {
        return Options {
            address: IpAddr::from(Ipv4Addr::LOCALHOST),
            environment: Vec::new(),
        };
    }
    let without = ["PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER"];
    Options {
        address: IpAddr::from(Ipv4Addr::UNSPECIFIED),
        environment: without
            .map(|name| (name.to_owned(), "false".to_owned()))
            .to_vec(),
    }
}
