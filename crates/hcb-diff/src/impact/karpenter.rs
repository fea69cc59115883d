//! Karpenter 1. Source: the rules in its definitions.

use crate::impact::project::Project;
use crate::kinds;

pub(crate) const PROJECT: Project = Project {
    immutable: &[(
        kinds::KARPENTER_NODE_POOL,
        &[
            &["spec", "template", "spec", "nodeClassRef", "group"],
            &["spec", "template", "spec", "nodeClassRef", "kind"],
        ],
    )],
    deleted: &[(
        kinds::KARPENTER_NODE_POOL,
        "deleted: its nodes go, with the jobs on them",
    )],
};
