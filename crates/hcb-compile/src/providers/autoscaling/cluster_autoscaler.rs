//! The cluster-autoscaler's chart: on node groups that exist, and for providers that use it.

use super::scaling::Scaling;
use crate::unit::{Chart, Item};
use hcb_spec::spec::ClusterAutoscaler;
use serde_json::{Value, json};

/// The version of the chart; it runs cluster-autoscaler 1.35.
const VERSION: &str = "9.59.0";
const CHARTS: &str = "https://kubernetes.github.io/autoscaler";

pub(super) fn plan(scaling: &mut Scaling<'_>, settings: &ClusterAutoscaler) {
    let group =
        |pool: &hcb_spec::model::NodePool| settings.node_group.replace("{pool}", &pool.name);
    let groups: Vec<_> = scaling
        .pools()
        .iter()
        .map(|pool| json!({ "name": group(pool), "minSize": pool.min, "maxSize": pool.max }))
        .collect();
    let mut values = json!({
        "cloudProvider": settings.cloud_provider,
        "extraEnv": settings.env,
        "extraArgs": scaling.cluster_autoscaler_arguments(),
        "expanderPriorities": scaling.expander_priorities(group),
        "rbac": { "serviceAccount": { "annotations": settings.service_account_annotations } },
    });
    // Google's groups are named by prefix, in a list of their own.
    let key = match settings.cloud_provider.as_str() {
        "gce" => "autoscalingGroupsnamePrefix",
        _ => "autoscalingGroups",
    };
    values[key] = json!(groups);
    if let Some(region) = settings.env.get("AWS_REGION") {
        values["awsRegion"] = region.as_str().into();
    }
    chart(scaling, "cluster-autoscaler", "kube-system", &values);
}

/// Adds the chart with the values that every provider shares.
pub(super) fn chart(scaling: &mut Scaling<'_>, release: &str, namespace: &str, values: &Value) {
    let origin = scaling.autoscaler.location;
    scaling.unit.charts.push(Chart {
        release: release.to_owned(),
        name: "cluster-autoscaler",
        repository: CHARTS.to_owned(),
        version: VERSION.to_owned(),
        namespace: namespace.to_owned(),
        values: Item {
            template: "autoscaling/cluster-autoscaler/values.yaml",
            context: json!({ "release": release, "values": values }),
            origin,
        },
        live_fields: Vec::new(),
    });
}
