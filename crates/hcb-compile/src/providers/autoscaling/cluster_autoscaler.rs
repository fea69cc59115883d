//! The cluster-autoscaler's chart: on node groups that exist, and for providers that use it.

use super::interface::{Autoscaling, Scaling};
use crate::unit::{Chart, Item};
use hcb_spec::spec::ClusterAutoscaler;
use serde_json::{Value, json};

/// The version of the chart; it runs cluster-autoscaler 1.35.
const VERSION: &str = "9.59.0";
const CHARTS: &str = "https://kubernetes.github.io/autoscaler";

impl Autoscaling for ClusterAutoscaler {
    fn add_objects(&self, scaling: &mut Scaling<'_>) {
        let group =
            |pool: &hcb_spec::model::NodePool| self.node_group.replace("{pool}", &pool.name);
        let groups: Vec<_> = scaling
            .pools()
            .iter()
            .map(|pool| json!({ "name": group(pool), "minSize": pool.min, "maxSize": pool.max }))
            .collect();
        let mut values = json!({
            "cloudProvider": self.cloud_provider,
            "extraEnv": self.env,
            "extraArgs": scaling.cluster_autoscaler_arguments(),
            "expanderPriorities": scaling.expander_priorities(group),
            "rbac": { "serviceAccount": { "annotations": self.service_account_annotations } },
        });
        // Google's groups are named by prefix, in a list of their own.
        let key = match self.cloud_provider.as_str() {
            "gce" => "autoscalingGroupsnamePrefix",
            _ => "autoscalingGroups",
        };
        values[key] = json!(groups);
        if let Some(region) = self.env.get("AWS_REGION") {
            values["awsRegion"] = region.as_str().into();
        }
        chart(scaling, "cluster-autoscaler", "kube-system", &values);
    }
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
