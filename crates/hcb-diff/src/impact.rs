//! What a difference does when it is applied.
//!
//! One rule is one file in the folder of what it is about, one line of [`RULES`], and one folder of
//! `tests/diff/`. Several rules share a name where they say the same of the kinds of several projects.
//! What rules know of kinds is data: `Project` of each project, `Engine` of each delivery engine.

mod ack;
mod admiralty;
mod azure_service_operator;
mod cloud;
mod cluster_api;
mod config_connector;
mod external_secrets;
mod generic;
mod gitops;
mod ingress;
mod istio;
mod karpenter;
mod permissions;
mod project;
mod projects;

pub use crate::context::Rule;
use crate::context::{Context, Effect, Effects};

/// All rules, in the order in which they are reported within a level.
pub const RULES: &[Rule] = &[
    cloud::clusters::RULE,
    generic::namespace::RULE,
    admiralty::namespace::RULE,
    generic::refused::RULE,
    gitops::delivery::RULE,
    generic::immutable::RULE,
    generic::job::RULE,
    cloud::submitted::RULE,
    cloud::placement::RULE,
    admiralty::gate::RULE,
    cloud::tiers::RULE,
    cloud::drain::RULE,
    cloud::weights::RULE,
    cloud::node_pool::RULE,
    cloud::capacity::RULE,
    generic::quota::RULE,
    cloud::budget::RULE,
    cloud::monthly_cost::RULE,
    istio::mutual_tls::RULE,
    istio::mesh_identity::RULE,
    istio::authorization::RULE,
    generic::network_policy::RULE,
    generic::rbac::RULE,
    generic::admission::RULE,
    generic::pod_privileges::RULE,
    external_secrets::secret_source::RULE,
    generic::exposure::RULE,
    istio::gateway::RULE,
    gitops::chart::RULE,
    generic::image::RULE,
    generic::pods_restart::RULE,
    generic::replicas::RULE,
    generic::resources::RULE,
    generic::schedule::RULE,
    generic::moved::RULE,
    generic::pruned::RULE,
];

/// What all rules say.
pub(crate) fn effects(context: &Context<'_>) -> Vec<Effect> {
    let mut effects = Effects::default();
    for rule in RULES {
        effects.begin(rule.id);
        (rule.check)(context, &mut effects);
    }
    effects.into_found()
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn rules_that_share_a_name_share_their_description() {
        for rule in RULES {
            let first = RULES.iter().find(|other| other.id == rule.id);
            assert_eq!(
                first.map(|first| first.about),
                Some(rule.about),
                "{}",
                rule.id
            );
        }
    }
}
