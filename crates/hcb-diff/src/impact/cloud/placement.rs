//! Where workloads may run.

use crate::cloud::{Cloud, WorkloadPlacement};
use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::report::Level;
use crate::words::abbreviated;

pub(crate) const RULE: Rule = Rule {
    id: "placement",
    about: "a workload may run in other clusters, may leave the first tier, or fits nowhere any more",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    let Some((before, after)) = context.clouds() else {
        return;
    };
    let old = before.by_name();
    for workload in &after.workloads {
        let Some(was) = old.get(&(workload.namespace.as_str(), workload.name.as_str())) else {
            continue;
        };
        if was.clusters != workload.clusters {
            moved(context, effects, (before, was), (after, workload));
        }
    }
}

fn moved(
    context: &Context<'_>,
    effects: &mut Effects,
    (before, was): (&Cloud, &WorkloadPlacement),
    (after, is): (&Cloud, &WorkloadPlacement),
) {
    let pairs: Vec<_> = context
        .of_kinds(&[kinds::JOB, kinds::CRON_JOB])
        .filter(|(_, pair)| {
            let object = pair.object();
            object.known_as() == is.name && object.namespace() == is.namespace
        })
        .map(|(index, _)| index)
        .collect();
    let pairs = if pairs.is_empty() {
        context.config()
    } else {
        pairs
    };
    let subject = format!("workload {}/{}", is.namespace, is.name);
    if is.clusters.is_empty() {
        effects
            .of(
                subject,
                Level::Danger,
                "fits on no node of any cluster that it may run in: it stays pending",
                pairs,
            )
            .detail(format!("it could run in {}", abbreviated(&was.clusters, 5)));
        return;
    }
    let lost: Vec<_> = was
        .clusters
        .iter()
        .filter(|name| !is.clusters.contains(name) && !context.is_gone(name))
        .cloned()
        .collect();
    let gained: Vec<_> = is
        .clusters
        .iter()
        .filter(|name| !was.clusters.contains(name) && !context.is_new(name))
        .cloned()
        .collect();
    let stays_home = |cloud: &Cloud, placed: &WorkloadPlacement| {
        placed.clusters.iter().all(|name| {
            cloud
                .cluster(name)
                .is_some_and(|cluster| cloud.config.tier(cluster) == 0)
        })
    };
    let leaves = stays_home(before, was) && !stays_home(after, is);
    let comes_home = !stays_home(before, was) && stays_home(after, is);
    let first = after
        .config
        .tiers
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    if leaves {
        effects
            .of(
                subject,
                Level::Danger,
                format!("may leave {first} now"),
                pairs,
            )
            .detail(format!("it may run in {}", abbreviated(&is.clusters, 8)));
        return;
    }
    if !gained.is_empty() {
        effects.of(
            subject.clone(),
            Level::Caution,
            format!("may run in {} now", abbreviated(&gained, 5)),
            pairs.clone(),
        );
    }
    if comes_home {
        effects.of(
            subject,
            Level::Caution,
            format!("never leaves {first} any more: it waits there when that is full"),
            pairs,
        );
    } else if !lost.is_empty() {
        effects.of(
            subject,
            Level::Caution,
            format!("may no longer run in {}", abbreviated(&lost, 5)),
            pairs,
        );
    }
}
