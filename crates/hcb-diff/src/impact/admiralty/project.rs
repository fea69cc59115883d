//! The kinds of Admiralty.

use crate::impact::project::Project;
use crate::kinds;

pub(crate) const PROJECT: Project = Project {
    immutable: &[],
    deleted: &[(
        kinds::ADMIRALTY_CLUSTER_TARGET,
        "deleted: its virtual node goes, and with it the pods that it stands for",
    )],
};
