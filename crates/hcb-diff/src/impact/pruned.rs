//! Objects that the engine deletes.

use super::super::read::Area;
use super::super::{Action, Level};
use super::{Context, Effects, Rule};

pub(super) const RULE: Rule = Rule {
    id: "pruned",
    about: "an object is deleted because it is no longer in the tree",
    check,
};

/// Kinds with which data or other objects go.
const HEAVY: &[(&str, &str)] = &[
    (
        "PersistentVolumeClaim",
        "deleted, and unless its class keeps volumes, the data with it",
    ),
    ("PersistentVolume", "deleted: what uses it loses its data"),
    (
        "CustomResourceDefinition",
        "deleted, and with it every object of this kind",
    ),
    ("StatefulSet", "deleted: its pods stop"),
    ("Deployment", "deleted: its pods stop"),
    ("DaemonSet", "deleted: its pods stop"),
    (
        "ClusterTarget",
        "deleted: its virtual node goes, and with it the pods that it stands for",
    ),
    (
        "MachineDeployment",
        "deleted: its machines go, with the jobs on them",
    ),
    ("NodePool", "deleted: its nodes go, with the jobs on them"),
    (
        "ContainerNodePool",
        "deleted: its nodes go, with the jobs on them",
    ),
    ("Nodegroup", "deleted: its nodes go, with the jobs on them"),
    (
        "ManagedClustersAgentPool",
        "deleted: its nodes go, with the jobs on them",
    ),
    ("PriorityClass", "deleted: pods that name it are refused"),
];

fn check(context: &Context<'_>, effects: &mut Effects) {
    let mentioned = effects.mentioned();
    for (index, pair) in context.pairs.iter().enumerate() {
        let Some(object) = pair
            .before
            .as_ref()
            .filter(|_| pair.action == Action::Remove)
        else {
            continue;
        };
        if mentioned.contains(&index) || object.area == Area::Bootstrap {
            continue;
        }
        let is_kept = object
            .annotation("argocd.argoproj.io/sync-options")
            .contains("Prune=false")
            || object.annotation("kustomize.toolkit.fluxcd.io/prune") == "disabled";
        if is_kept {
            effects.of_pair(
                index,
                Level::Note,
                "leaves Git, but its annotation keeps it in the cluster",
            );
            continue;
        }
        let group = object.group();
        let known = HEAVY.iter().find(|(kind, _)| *kind == object.kind());
        match known {
            Some((_, text)) if !(object.kind() == "NodePool" && group != "karpenter.sh") => {
                effects.of_pair(index, Level::Danger, *text);
            }
            _ => {
                effects.of_pair(index, Level::Note, "deleted");
            }
        }
    }
}
