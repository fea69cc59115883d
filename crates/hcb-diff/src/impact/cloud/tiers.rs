//! The order of tiers, and when the next one opens.

use crate::cloud::Cloud;
use crate::context::{Context, Effects, Rule};
use crate::report::Level;
use hcb_spec::spec::WhenReconcilerDown;

pub(crate) const RULE: Rule = Rule {
    id: "gates",
    about: "the gate of a cluster, the order of tiers, or the time at which a tier opens changes",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    if let Some((before, after)) = context.clouds() {
        order(context, effects, before, after);
        times(context, effects, before, after);
    }
}

fn order(context: &Context<'_>, effects: &mut Effects, before: &Cloud, after: &Cloud) {
    for cluster in &after.config.clusters {
        let Some(was) = before.cluster(&cluster.name) else {
            continue;
        };
        let (old, new) = (before.config.tier(was), after.config.tier(cluster));
        if was.tier == cluster.tier {
            continue;
        }
        let level = if new == 0 {
            Level::Danger
        } else {
            Level::Caution
        };
        effects.of(
            format!("cluster {}", cluster.name),
            level,
            format!(
                "moves from tier {} to tier {}: it is filled {}",
                was.tier,
                cluster.tier,
                if new < old { "earlier" } else { "later" }
            ),
            context.config(),
        );
    }
    let kept = |of: &Cloud, other: &Cloud| -> Vec<String> {
        let tiers = of.config.tiers.iter();
        tiers
            .filter(|tier| other.config.tiers.contains(tier))
            .cloned()
            .collect()
    };
    if kept(before, after) != kept(after, before) {
        effects.of(
            "tiers",
            Level::Danger,
            format!(
                "are filled in another order: {} (before: {})",
                after.config.tiers.join(", "),
                before.config.tiers.join(", ")
            ),
            context.config(),
        );
    }
}

fn times(context: &Context<'_>, effects: &mut Effects, before: &Cloud, after: &Cloud) {
    let (old, new) = (&before.config, &after.config);
    if old.burst.after != new.burst.after {
        effects.of(
            "burst.after",
            Level::Note,
            format!(
                "a job waits {} s for room before it may burst, not {} s",
                new.burst.after.as_secs(),
                old.burst.after.as_secs()
            ),
            context.config(),
        );
    }
    if old.fall_back.after != new.fall_back.after {
        effects.of(
            "fallBack.after",
            Level::Note,
            format!(
                "a tier counts as closed after {} s without a job that waits, not {} s",
                new.fall_back.after.as_secs(),
                old.fall_back.after.as_secs()
            ),
            context.config(),
        );
    }
    match (old.when_down, new.when_down) {
        (WhenReconcilerDown::Hold, WhenReconcilerDown::Open) => {
            effects
                .of(
                    "whenReconcilerDown",
                    Level::Caution,
                    "gates open when no reconciler runs, whatever that costs",
                    context.config(),
                )
                .detail("the budget does not hold while none runs");
        }
        (WhenReconcilerDown::Open, WhenReconcilerDown::Hold) => {
            effects.of(
                "whenReconcilerDown",
                Level::Note,
                "gates stay closed when no reconciler runs: jobs wait in the first tier",
                context.config(),
            );
        }
        _ => {}
    }
}
