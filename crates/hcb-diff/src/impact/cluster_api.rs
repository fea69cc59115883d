//! Cluster API. Source: its documentation of `clusterName` and `selector`.

use crate::impact::project::Project;
use crate::kinds;

pub(crate) const PROJECT: Project = Project {
    immutable: &[(
        kinds::CAPI_MACHINE_DEPLOYMENT,
        &[&["spec", "clusterName"], &["spec", "selector"]],
    )],
    deleted: &[(
        kinds::CAPI_MACHINE_DEPLOYMENT,
        "deleted: its machines go, with the jobs on them",
    )],
};
