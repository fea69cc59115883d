//! The controller of AWS for EKS. Source: its documentation.

use crate::impact::project::Project;
use crate::kinds;

pub(crate) const PROJECT: Project = Project {
    immutable: &[(
        kinds::ACK_NODEGROUP,
        &[
            &["spec", "clusterName"],
            &["spec", "clusterRef"],
            &["spec", "name"],
            &["spec", "subnets"],
            &["spec", "nodeRole"],
            &["spec", "instanceTypes"],
            &["spec", "capacityType"],
            &["spec", "diskSize"],
            &["spec", "amiType"],
        ],
    )],
    deleted: &[(
        kinds::ACK_NODEGROUP,
        "deleted: its nodes go, with the jobs on them",
    )],
};
