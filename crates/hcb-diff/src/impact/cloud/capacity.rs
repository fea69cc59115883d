//! Limits of autoscalers, against what is always there and what the workloads need.

use crate::context::{Context, Effects, Rule};
use crate::report::Level;
use hcb_api::config::{Cluster, Limits};

pub(crate) const RULE: Rule = Rule {
    id: "capacity-limit",
    about: "the limits of an autoscaler change, or are below what is always there",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (was, cluster) in context.kept_clusters() {
        let subject = format!("autoscaler of {}", cluster.name);
        match (&was.limits, &cluster.limits) {
            (Some(old), Some(new)) => {
                limits(context, effects, &subject, (was, old), (cluster, new));
            }
            (Some(_), None) => {
                effects.of(
                    subject,
                    Level::Caution,
                    "removed: nothing adds nodes any more",
                    context.config(),
                );
            }
            (None, Some(new)) => {
                effects.of(
                    subject,
                    Level::Caution,
                    format!("new: up to {} nodes", new.nodes),
                    context.config(),
                );
            }
            (None, None) => {}
        }
    }
}

fn limits(
    context: &Context<'_>,
    effects: &mut Effects,
    subject: &str,
    (was, old): (&Cluster, &Limits),
    (cluster, new): (&Cluster, &Limits),
) {
    let always: u32 = was.pools.iter().map(|pool| pool.min).sum();
    let bounds = |limits: &Limits| {
        [
            ("nodes", i128::from(limits.nodes) * 1000),
            ("CPUs", limits.cpu.milli()),
            ("memory", limits.memory.milli()),
            ("GPUs", i128::from(limits.gpus) * 1000),
        ]
    };
    let less: Vec<_> = bounds(old)
        .into_iter()
        .zip(bounds(new))
        .filter(|((_, old), (_, new))| new < old)
        .map(|((name, _), _)| name)
        .collect();
    if less.is_empty() {
        if old.nodes < new.nodes {
            effects.of(
                subject,
                Level::Note,
                format!("may make up to {} nodes, not {}", new.nodes, old.nodes),
                context.config(),
            );
        }
        return;
    }
    let needed: u32 = cluster.pools.iter().map(|pool| pool.min).sum();
    let effect = format!(
        "gets lower limits ({}): up to {} nodes, not {}",
        less.join(", "),
        new.nodes,
        old.nodes
    );
    let of_cluster = format!("{}/", cluster.name);
    let there: u32 = context
        .in_use
        .iter()
        .filter(|(pool, _)| pool.starts_with(&of_cluster))
        .map(|(_, nodes)| nodes)
        .sum();
    if new.nodes < there {
        effects
            .of(subject, Level::Danger, effect, context.config())
            .detail(format!(
                "{there} nodes are there now: nodes go, with the jobs on them"
            ));
    } else if new.nodes < always {
        effects
            .of(subject, Level::Danger, effect, context.config())
            .detail(format!("{always} nodes were always there"));
    } else if new.nodes < needed {
        effects
            .of(subject, Level::Danger, effect, context.config())
            .detail(format!("its pools want {needed} nodes at least"));
    } else {
        effects.of(subject, Level::Caution, effect, context.config());
    }
}
