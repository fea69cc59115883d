//! Identities of the mesh.

use crate::context::{Context, Effects, Rule};
use crate::fields::plain;
use crate::impact::gitops::chart_values;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "mesh-identity",
    about: "the trust domain, the mesh's id, or a cluster's network changes",
    check,
};

const VALUES: [(&str, Level, &str); 4] = [
    (
        "/meshConfig/trustDomain",
        Level::Danger,
        "every identity of the mesh changes: policies by principal no longer match, and old and new proxies refuse each other until all have restarted",
    ),
    (
        "/global/meshID",
        Level::Danger,
        "the mesh gets another id: clusters with the old one are not part of it",
    ),
    (
        "/global/network",
        Level::Danger,
        "the cluster is in another network: its pods are reached another way",
    ),
    (
        "/meshConfig/enableAutoMtls",
        Level::Danger,
        "whether proxies use mutual TLS by themselves changes",
    ),
];

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.pairs.iter().enumerate() {
        let Some((before, after)) = pair.both().filter(|_| pair.stays()) else {
            continue;
        };
        let (Some(before), Some(after)) = (chart_values(before), chart_values(after)) else {
            continue;
        };
        for (pointer, level, text) in VALUES {
            let (old, new) = (before.pointer(pointer), after.pointer(pointer));
            if let (Some(old), Some(new)) = (old, new)
                && old != new
            {
                effects.of_pair(index, level, text).detail(format!(
                    "{} becomes {}",
                    plain(old),
                    plain(new)
                ));
            }
        }
    }
}
