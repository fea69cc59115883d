//! Clusters that are emptied, or take jobs again.

use crate::context::{Context, Effects, Rule};
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "drain",
    about: "a cluster is drained, or takes jobs again",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    let Some((before, after)) = context.clouds() else {
        return;
    };
    for cluster in &after.config.clusters {
        let was = before.cluster(&cluster.name);
        let subject = format!("cluster {}", cluster.name);
        match (was.is_some_and(|was| was.drain), cluster.drain) {
            (false, true) => {
                let effect = effects.of(
                    subject,
                    Level::Caution,
                    "is drained: no further job goes there; running jobs finish there",
                    context.config(),
                );
                let only: Vec<_> = after
                    .workloads
                    .iter()
                    .filter(|workload| {
                        let mut clusters = workload.clusters.iter();
                        clusters.all(|name| after.cluster(name).is_some_and(|other| other.drain))
                    })
                    .map(|workload| format!("{}/{}", workload.namespace, workload.name))
                    .collect();
                if !only.is_empty() {
                    effect.detail(format!(
                        "may run nowhere meanwhile and stay pending: {}",
                        crate::words::abbreviated(&only, 5)
                    ));
                }
            }
            (true, false) => {
                effects.of(
                    subject,
                    Level::Note,
                    "is not drained any more: it takes jobs again",
                    context.config(),
                );
            }
            _ => {}
        }
    }
}
