//! The projects whose kinds the rules know. Adding one is a file and a line here.

use super::project::Project;
use super::{
    ack, admiralty, azure_service_operator, cluster_api, config_connector, generic, karpenter,
};

pub(super) const PROJECTS: &[Project] = &[
    generic::project::PROJECT,
    admiralty::project::PROJECT,
    karpenter::PROJECT,
    cluster_api::PROJECT,
    config_connector::PROJECT,
    ack::PROJECT,
    azure_service_operator::PROJECT,
];
