//! Checks of what a provider of autoscalers is told: names as the provider takes them.

use super::Check;
use crate::model::Provider;
use crate::spec::{At, TemplateReference};
use hcb_kubernetes::names;
use hcb_source::diag::codes;

/// AWS limits the names of EKS clusters to this (its API reference, `CreateCluster`).
const EKS_NAME_LIMIT: usize = 100;

/// Checks the section of the provider, which stands at `at`.
pub(super) fn settings(check: &mut Check<'_>, provider: &Provider, at: &At) {
    match provider {
        Provider::ClusterApi(settings) => {
            let at = at.key("clusterApi");
            check.name(&settings.namespace, &at.key("namespace"));
            if let Some(name) = &settings.cluster_name {
                check.name(name, &at.key("clusterName"));
            }
            must(
                check,
                &at.key("version"),
                &settings.version,
                "a full Kubernetes version such as `v1.34.4`",
                |text| text.strip_prefix('v').is_some_and(is_version),
            );
            template(check, &settings.bootstrap, &at.key("bootstrap"));
            template(check, &settings.infrastructure, &at.key("infrastructure"));
        }
        Provider::Karpenter(settings) => {
            let at = at.key("karpenter");
            eks_name(check, settings.cluster_name.as_deref(), &at);
            let class = &settings.node_class;
            let class_at = at.key("nodeClass");
            check.named(
                &class.group,
                &class_at.key("group"),
                names::dns_subdomain(&class.group),
            );
            kind(check, &class.kind, &class_at.key("kind"));
            check.named(
                &class.name,
                &class_at.key("name"),
                names::dns_subdomain(&class.name),
            );
            if let Some(install) = &settings.install {
                let at = at.key("install");
                must(
                    check,
                    &at.key("version"),
                    &install.version,
                    "a version such as `1.14.1`",
                    |text| is_version(text.strip_prefix('v').unwrap_or(text)),
                );
                arn(check, &install.role_arn, &at.key("roleArn"));
                if let Some(queue) = &install.interruption_queue {
                    word(
                        check,
                        queue,
                        &at.key("interruptionQueue"),
                        "the name of an SQS queue",
                    );
                }
            }
        }
        Provider::Gke(settings) => {
            let at = at.key("gke");
            check.name(&settings.namespace, &at.key("namespace"));
            word(
                check,
                &settings.project,
                &at.key("project"),
                "the id of a Google Cloud project",
            );
            word(
                check,
                &settings.location,
                &at.key("location"),
                "a region or zone such as `europe-west1`",
            );
            if let Some(name) = &settings.cluster_name {
                check.name(name, &at.key("clusterName"));
            }
            for (index, zone) in settings.node_locations.iter().enumerate() {
                word(
                    check,
                    zone,
                    &at.key("nodeLocations").index(index),
                    "a zone such as `europe-west1-b`",
                );
            }
            if let Some(account) = &settings.service_account {
                word(
                    check,
                    account,
                    &at.key("serviceAccount"),
                    "the address of a service account",
                );
            }
        }
        Provider::Eks(settings) => {
            let at = at.key("eks");
            check.name(&settings.namespace, &at.key("namespace"));
            eks_name(check, settings.cluster_name.as_deref(), &at);
            word(
                check,
                &settings.region,
                &at.key("region"),
                "a region such as `eu-central-1`",
            );
            arn(check, &settings.node_role_arn, &at.key("nodeRoleArn"));
            arn(
                check,
                &settings.autoscaler_role_arn,
                &at.key("autoscalerRoleArn"),
            );
            for (index, subnet) in settings.subnets.iter().enumerate() {
                word(
                    check,
                    subnet,
                    &at.key("subnets").index(index),
                    "the id of a subnet such as `subnet-0a1b2c3d`",
                );
            }
        }
        Provider::Aks(settings) => {
            let at = at.key("aks");
            check.name(&settings.namespace, &at.key("namespace"));
            arm_id(check, &settings.cluster_arm_id, &at.key("clusterArmId"));
            if let Some(id) = &settings.subnet_arm_id {
                arm_id(check, id, &at.key("subnetArmId"));
            }
        }
        Provider::ClusterAutoscaler(settings) => {
            let at = at.key("clusterAutoscaler");
            word(
                check,
                &settings.cloud_provider,
                &at.key("cloudProvider"),
                "a cloud provider such as `hetzner`",
            );
            word(
                check,
                &settings.node_group,
                &at.key("nodeGroup"),
                "the name of a node group such as `ml-{pool}`",
            );
            for name in settings.env.keys() {
                check.environment_variable(name, &at.key("env"));
            }
        }
    }
}

fn template(check: &mut Check<'_>, template: &TemplateReference, at: &At) {
    check.named(
        &template.api_group,
        &at.key("apiGroup"),
        names::dns_subdomain(&template.api_group),
    );
    kind(check, &template.kind, &at.key("kind"));
    // Whatever the pool is called, its name is one that fits in here.
    let name = template.name.replace("{pool}", "pool");
    check.named(&template.name, &at.key("name"), names::dns_subdomain(&name));
}

fn kind(check: &mut Check<'_>, kind: &str, at: &At) {
    must(check, at, kind, "a kind such as `EC2NodeClass`", |text| {
        text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric())
    });
}

fn eks_name(check: &mut Check<'_>, name: Option<&str>, at: &At) {
    let Some(name) = name else { return };
    must(
        check,
        &at.key("clusterName"),
        name,
        "the name of an EKS cluster",
        |text| {
            text.len() <= EKS_NAME_LIMIT
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        },
    );
}

fn arn(check: &mut Check<'_>, arn: &str, at: &At) {
    must(
        check,
        at,
        arn,
        "an ARN such as `arn:aws:iam::123456789012:role/nodes`",
        |text| text.starts_with("arn:") && text.split(':').count() >= 6 && is_word(text),
    );
}

/// Azure Resource Manager's ids: `/subscriptions/ID/resourceGroups/GROUP/providers/NAMESPACE/TYPE/NAME...`.
fn arm_id(check: &mut Check<'_>, id: &str, at: &At) {
    let wanted =
        "an ARM id such as `/subscriptions/ID/resourceGroups/GROUP/providers/NAMESPACE/TYPE/NAME`";
    must(check, at, id, wanted, |text| {
        let segments: Vec<_> = text.split('/').collect();
        let is = |index: usize, name: &str| segments[index].eq_ignore_ascii_case(name);
        // A type and a name each follow the namespace of the provider.
        segments.len() >= 9
            && segments.len() % 2 == 1
            && segments[0].is_empty()
            && segments[1..].iter().all(|segment| !segment.is_empty())
            && is(1, "subscriptions")
            && is(3, "resourceGroups")
            && is(5, "providers")
            && is_word(text)
    });
}

fn word(check: &mut Check<'_>, text: &str, at: &At, wanted: &str) {
    must(check, at, text, wanted, is_word);
}

/// Not empty, and nothing that no name of any provider has.
fn is_word(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

/// `MAJOR.MINOR.PATCH`, with whatever semantic versioning lets follow.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').collect();
    let is_number = |part: &&str| {
        !part.is_empty() && part.len() < 10 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.len() <= 128 && is_word(text) && numbers.len() == 3 && numbers.iter().all(is_number)
}

fn must(check: &mut Check<'_>, at: &At, text: &str, wanted: &str, is_fine: impl Fn(&str) -> bool) {
    if !is_fine(text) {
        let diagnostic = check
            .error(
                codes::AUTOSCALER_SETTINGS,
                at,
                format!("`{text}` is not {wanted}"),
                "the provider takes no such value",
            )
            .help("`hcb explain-code HCB406` shows the settings of each provider");
        check.push(diagnostic);
    }
}
