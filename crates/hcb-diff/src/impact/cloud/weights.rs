//! The shares of clusters within their tiers.

use crate::context::{Context, Effects, Rule};
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "weights",
    about: "a cluster gets another share of the jobs of its tier",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    let Some((before, after)) = context.clouds() else {
        return;
    };
    for (was, cluster) in context.kept_clusters() {
        if was.weight == cluster.weight {
            continue;
        }
        let subject = format!("cluster {}", cluster.name);
        if cluster.weight == 0 {
            effects.of(
                subject,
                Level::Caution,
                format!(
                    "gets no job of tier {} any more: its weight is 0",
                    cluster.tier
                ),
                context.config(),
            );
            continue;
        }
        let share = |cloud: &crate::cloud::Cloud| cloud.share(&cluster.name).unwrap_or_default();
        effects.of(
            subject,
            Level::Note,
            format!(
                "gets {:.0}% of the jobs of tier {}, not {:.0}%: its weight is {}, not {}",
                share(after),
                cluster.tier,
                share(before),
                cluster.weight,
                was.weight
            ),
            context.config(),
        );
    }
    let bounds = |cloud: &crate::cloud::Cloud| {
        let weights = cloud.config.weights;
        (weights.min_factor, weights.max_factor)
    };
    if bounds(before) != bounds(after) {
        let (min, max) = bounds(after);
        effects.of(
            "live weights",
            Level::Note,
            format!("go from {min} to {max} times the spec's"),
            context.config(),
        );
    }
}
