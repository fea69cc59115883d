//! The service operator of Azure. Source: its documentation.

use crate::impact::project::Project;
use crate::kinds;

pub(crate) const PROJECT: Project = Project {
    immutable: &[(
        kinds::ASO_AGENT_POOL,
        &[
            &["spec", "vmSize"],
            &["spec", "osType"],
            &["spec", "owner"],
            &["spec", "azureName"],
            &["spec", "scaleSetPriority"],
            &["spec", "availabilityZones"],
        ],
    )],
    deleted: &[(
        kinds::ASO_AGENT_POOL,
        "deleted: its nodes go, with the jobs on them",
    )],
};
