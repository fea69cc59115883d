//! What simulated nodes go through.

use crate::apply::documents;
use anyhow::{Context, Result};
use serde_json::json;

/// A node that an autoscaler bought is there for so long before it is ready. A real one has yet to start its
/// network and to be told of its cluster; when it is ready, schedulers have long looked at it in vain and
/// waited for their next look, as they do here.
const READY_AFTER: &str = "10s";

/// KWOK's stage in which nodes become ready, such that nodes of Karpenter take their time.
///
/// # Errors
/// Where the text is no stage.
pub(crate) fn ready_late(stage: &str) -> Result<String> {
    let mut stage = documents(stage)?.into_iter().next().context("a stage")?;
    let late = format!(
        r#"if .metadata.labels["karpenter.sh/nodepool"] then "{READY_AFTER}" else "0s" end"#
    );
    stage["spec"]["delay"] = json!({"durationFrom": {"expressionFrom": late}});
    Ok(hcb::yaml::to_string(&stage))
}
