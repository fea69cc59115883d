//! Clusters that come and go.

use crate::context::{Context, Effects, Rule};
use crate::impact::gitops::ENGINES;
use crate::read::Area;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "cluster",
    about: "a cluster is new, or is no longer delivered to",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    let pairs = |name: &str| -> Vec<usize> {
        let pairs = context.pairs.iter().enumerate();
        pairs
            .filter(|(_, pair)| {
                let object = pair.object();
                object.cluster == name || object.target.as_deref() == Some(name)
            })
            .map(|(index, _)| index)
            .collect()
    };
    for name in context
        .clusters_before
        .iter()
        .filter(|name| context.is_gone(name))
    {
        let effect = effects.of(
            format!("cluster {name}"),
            Level::Danger,
            "no longer delivered to; what it has stays there and runs on until somebody deletes it",
            pairs(name),
        );
        effect.detail("no job goes there any more, and nothing follows the jobs that run there");
        let is_drained = context.before.and_then(|cloud| cloud.cluster(name));
        if let Some(cluster) = is_drained {
            effect.detail(if cluster.drain {
                "it was drained before: `hcb status` shows whether a job still runs there"
            } else {
                "it was not drained before: jobs that run there begin anew elsewhere; set `drain: true` first and wait until none runs"
            });
        }
        if context.config().is_empty() {
            continue;
        }
        let by_hand = context
            .pairs
            .iter()
            .filter_map(|pair| pair.before.as_ref())
            .find(|object| {
                object.area == Area::Bootstrap
                    && ENGINES
                        .iter()
                        .any(|engine| engine.unit == object.group_kind())
                    && object.name().ends_with(name.as_str())
            });
        if let Some(object) = by_hand {
            effect.detail(format!(
                "{} {} was applied by hand in {}: delete it by hand, or it reports that its path is gone",
                object.kind(),
                object.name(),
                object.cluster
            ));
        }
    }
    for name in context
        .clusters_after
        .iter()
        .filter(|name| context.is_new(name))
    {
        let pairs = pairs(name);
        let objects = pairs.len();
        let effect = effects.of(
            format!("cluster {name}"),
            Level::Caution,
            format!("new: {objects} objects"),
            pairs,
        );
        effect.detail(format!("somebody applies bootstrap/{name}/ once"));
        let Some(cloud) = context.after else { continue };
        if let Some(cluster) = cloud.cluster(name) {
            effect.detail(format!(
                "it is in tier {}, with {:.0}% of that tier's weights",
                cluster.tier,
                cloud.share(name).unwrap_or_default()
            ));
        }
        let may: Vec<_> = cloud
            .workloads
            .iter()
            .filter(|workload| workload.clusters.contains(name))
            .map(|workload| format!("{}/{}", workload.namespace, workload.name))
            .collect();
        if !may.is_empty() {
            effect.detail(format!(
                "may run there: {}",
                crate::words::abbreviated(&may, 5)
            ));
        }
    }
}
