//! Ways into a mesh, and between the clusters of one.

use crate::context::{Context, Effects, Rule};
use crate::impact::ingress;
use crate::kinds;

pub(crate) const RULE: Rule = Rule {
    id: "service-exposed",
    about: "a service is reached from farther away, by other ports, or not at all",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(&[kinds::ISTIO_GATEWAY]) {
        ingress::changed(effects, index, pair);
    }
}
