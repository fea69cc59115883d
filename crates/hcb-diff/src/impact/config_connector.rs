//! Config Connector of Google Cloud. Source: the fields that its documentation marks immutable.

use crate::impact::project::Project;
use crate::kinds;

pub(crate) const PROJECT: Project = Project {
    immutable: &[(
        kinds::CONFIG_CONNECTOR_NODE_POOL,
        &[
            &["spec", "location"],
            &["spec", "clusterRef"],
            &["spec", "resourceID"],
            &["spec", "nodeConfig", "machineType"],
            &["spec", "nodeConfig", "spot"],
        ],
    )],
    deleted: &[(
        kinds::CONFIG_CONNECTOR_NODE_POOL,
        "deleted: its nodes go, with the jobs on them",
    )],
};
