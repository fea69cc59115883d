//! Pools of nodes that come, go, grow or shrink.

use crate::context::{Context, Effects, Rule};
use crate::report::Level;
use hcb_api::config::Pool;

pub(crate) const RULE: Rule = Rule {
    id: "node-pool",
    about: "a pool of nodes comes, goes, or has other bounds, sizes or prices",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (was, cluster) in context.kept_clusters() {
        let subject = |pool: &str| format!("pool {}/{pool}", cluster.name);
        for pool in &was.pools {
            if !cluster.pools.iter().any(|other| other.name == pool.name) {
                effects
                    .of(
                        subject(&pool.name),
                        Level::Danger,
                        "removed: its nodes go, with the jobs on them",
                        context.config(),
                    )
                    .detail(nodes(pool));
            }
        }
        for pool in &cluster.pools {
            let Some(old) = was.pools.iter().find(|other| other.name == pool.name) else {
                effects.of(
                    subject(&pool.name),
                    Level::Note,
                    format!("new: {}", nodes(pool)),
                    context.config(),
                );
                continue;
            };
            let there = context
                .in_use
                .get(&format!("{}/{}", cluster.name, pool.name));
            changed(
                context,
                effects,
                &subject(&pool.name),
                old,
                pool,
                there.copied(),
            );
        }
    }
}

fn nodes(pool: &Pool) -> String {
    if pool.min == pool.max {
        format!("{} nodes", pool.min)
    } else {
        format!("{} to {} nodes", pool.min, pool.max)
    }
}

fn changed(
    context: &Context<'_>,
    effects: &mut Effects,
    subject: &str,
    old: &Pool,
    new: &Pool,
    there: Option<u32>,
) {
    if (old.min, old.max) != (new.min, new.max) {
        let text = format!("has {}, not {}", nodes(new), nodes(old));
        if let Some(there) = there.filter(|there| *there > new.max) {
            effects
                .of(subject, Level::Danger, text, context.config())
                .detail(format!(
                    "{there} are there now: nodes go, with the jobs on them"
                ));
        } else if new.max < old.min {
            effects
                .of(subject, Level::Danger, text, context.config())
                .detail("fewer than are always there now: nodes go, with the jobs on them");
        } else if new.max < old.max {
            let effect = effects.of(subject, Level::Caution, text, context.config());
            effect.detail(there.map_or_else(
                || "where more are in use than remain, nodes go when their jobs end".to_owned(),
                |there| format!("{there} are there now"),
            ));
        } else {
            effects.of(subject, Level::Note, text, context.config());
        }
    }
    for (resource, amount) in &old.allocatable {
        if new.amount(resource) < amount.milli() {
            effects.of(
                subject,
                Level::Caution,
                format!("its nodes have less {resource}"),
                context.config(),
            );
        }
    }
    if old.gpu_product != new.gpu_product {
        let name = |pool: &Pool| {
            pool.gpu_product
                .clone()
                .unwrap_or_else(|| "none named".to_owned())
        };
        effects.of(
            subject,
            Level::Caution,
            format!(
                "its nodes have other GPUs: {}, not {}",
                name(new),
                name(old)
            ),
            context.config(),
        );
    }
    if old.price_per_hour != new.price_per_hour {
        let price = |pool: &Pool| {
            pool.price_per_hour
                .map_or("no price".to_owned(), |price| price.to_string())
        };
        effects.of(
            subject,
            Level::Note,
            format!("a node costs {} an hour, not {}", price(new), price(old)),
            context.config(),
        );
    }
    if old.taints != new.taints {
        effects.of(
            subject,
            Level::Caution,
            "has other taints: other pods may run there",
            context.config(),
        );
    }
}
