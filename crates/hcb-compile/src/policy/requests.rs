//! Manifests as the API servers are asked to admit them: by whom, in which namespace, and what
//! controllers then create of them.

use super::admission::{Resource, User};
use super::caches::Caches;
use crate::providers::gitops::ACCESS;
use crate::rendered::{Manifest, RenderedUnit};
use crate::unit::{Area, Unit};
use hcb_kubernetes::{Object, group_and_version};
use hcb_spec::model::Model;
use hcb_spec::spec::Delivery;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The namespaces of a cluster as generated.
pub fn namespaces<'a>(
    units: &[&'a RenderedUnit],
    caches: &Caches,
) -> BTreeMap<&'a str, &'a Manifest> {
    let mut found = BTreeMap::new();
    for unit in units {
        let numbers = caches.namespaces.recall(
            || unit.fingerprint(),
            || {
                let manifests = unit.manifests.iter().enumerate();
                let namespaces = manifests.filter(|(_, manifest)| {
                    manifest.kind() == "Namespace" && manifest.group().is_empty()
                });
                namespaces.map(|(number, _)| number).collect()
            },
        );
        let manifests = numbers.iter().map(|number| &unit.manifests[*number]);
        found.extend(manifests.map(|manifest| (manifest.name(), manifest)));
    }
    found
}

/// The same as objects, with the label that the API server gives each.
pub fn namespace_objects<'a>(
    namespaces: &BTreeMap<&'a str, &'a Manifest>,
) -> BTreeMap<&'a str, Json> {
    namespaces
        .iter()
        .map(|(name, manifest)| {
            let mut object = Json::clone(&manifest.value);
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = (*name).into();
            (*name, object)
        })
        .collect()
}

/// Who asks.
#[derive(Debug, Clone, Hash)]
pub struct Account {
    name: String,
    groups: Vec<String>,
}

/// Who applies a unit.
pub fn applier(model: &Model, unit: &Unit) -> Account {
    if unit.area == Area::Bootstrap {
        // A person, with the rights to install operators.
        return Account {
            name: "kubernetes-admin".to_owned(),
            groups: vec![
                "system:masters".to_owned(),
                "system:authenticated".to_owned(),
            ],
        };
    }
    let is_remote = model.gitops.delivery == Delivery::Hub && unit.cluster != model.gitops.hub;
    let gitops = &model.gitops;
    let (namespace, account) = if is_remote {
        (ACCESS.namespace, ACCESS.account)
    } else {
        (gitops.namespace.as_str(), gitops.engine.facts().account)
    };
    Account::of_service(namespace, account)
}

/// A service account with the groups that Kubernetes puts it in.
pub fn account_of(namespace: &str, account: &str) -> (String, Vec<String>) {
    (
        format!("system:serviceaccount:{namespace}:{account}"),
        vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ],
    )
}

impl Account {
    /// The groups as requests take them.
    pub fn groups(&self) -> Vec<&str> {
        self.groups.iter().map(String::as_str).collect()
    }

    /// The user of a request, with the groups that [`Account::groups`] gave.
    pub fn user<'a>(&'a self, groups: &'a [&'a str]) -> User<'a> {
        User {
            username: &self.name,
            groups,
            ..User::default()
        }
    }

    /// A service account with the groups that Kubernetes puts it in.
    pub fn of_service(namespace: &str, account: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{account}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
        }
    }

    /// The account of a user name.
    pub fn named(name: &str) -> Self {
        let account = name.strip_prefix("system:serviceaccount:");
        match account.and_then(|account| account.split_once(':')) {
            Some((namespace, account)) => Self::of_service(namespace, account),
            None => Self {
                name: name.to_owned(),
                groups: vec!["system:authenticated".to_owned()],
            },
        }
    }
}

/// What controllers create of an object: the jobs of a cron job, and the pods of whatever has a
/// template of some. A policy about pods alone is decided here too, and not only in the cluster.
pub fn children(object: &Json) -> Vec<Json> {
    let kind = Object(object).kind();
    let owner = &object["metadata"];
    let name = Object(object).name();
    let made = |api_version: &str, kind: &str, template: &Json, name: &str| {
        let mut metadata = match &template["metadata"] {
            Json::Object(metadata) => Json::Object(metadata.clone()),
            _ => json!({}),
        };
        metadata["name"] = name.into();
        metadata["namespace"] = owner["namespace"].clone();
        json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": metadata,
            "spec": template["spec"],
        })
    };
    match kind {
        "CronJob" => {
            // The minute that the job is for.
            let job = made(
                "batch/v1",
                "Job",
                &object["spec"]["jobTemplate"],
                &format!("{name}-29000000"),
            );
            let pods = children(&job);
            std::iter::once(job).chain(pods).collect()
        }
        "Job"
        | "Deployment"
        | "ReplicaSet"
        | "StatefulSet"
        | "DaemonSet"
        | "ReplicationController" => {
            vec![made(
                "v1",
                "Pod",
                &object["spec"]["template"],
                &format!("{name}-00000"),
            )]
        }
        _ => Vec::new(),
    }
}

/// The resource of an object, by the rules that Kubernetes names resources with.
pub fn resource<'a>(api_version: &'a str, kind: &'a str, plural: &'a str) -> Resource<'a> {
    let (group, version) = group_and_version(api_version);
    Resource {
        group,
        version,
        kind,
        resource: plural,
        subresource: "",
    }
}

/// The plural of a kind, lower case.
pub fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    if lower == "endpoints" {
        return lower;
    }
    match lower.as_bytes() {
        [.., b's' | b'x'] | [.., b'c' | b's', b'h'] => format!("{lower}es"),
        [.., before, b'y'] if !b"aeiou".contains(before) => {
            format!("{}ies", &lower[..lower.len() - 1])
        }
        _ => format!("{lower}s"),
    }
}

/// What an object is called in a finding: `Job train in ml`.
pub fn told(manifest: &Manifest) -> String {
    match manifest.namespace() {
        Some(namespace) => format!("{} `{namespace}/{}`", manifest.kind(), manifest.name()),
        None => format!("{} `{}`", manifest.kind(), manifest.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_as_kubernetes_names_them() {
        for (kind, resource) in [
            ("Pod", "pods"),
            ("NetworkPolicy", "networkpolicies"),
            ("Gateway", "gateways"),
            ("Ingress", "ingresses"),
            ("PriorityClass", "priorityclasses"),
            ("Endpoints", "endpoints"),
            ("DestinationRule", "destinationrules"),
        ] {
            assert_eq!(plural(kind), resource);
        }
    }

    #[test]
    fn a_cron_job_leads_to_a_job_and_its_pod() {
        let cron = json!({"kind": "CronJob", "metadata": {"name": "a", "namespace": "ml"}, "spec": {
            "jobTemplate": {"spec": {"template": {"metadata": {"labels": {"x": "y"}}, "spec": {"containers": []}}}},
        }});
        let made = children(&cron);
        assert_eq!(made[0]["kind"], "Job");
        assert_eq!(made[1]["kind"], "Pod");
        assert_eq!(made[1]["metadata"]["labels"]["x"], "y");
        assert_eq!(made[1]["metadata"]["namespace"], "ml");
    }
}
