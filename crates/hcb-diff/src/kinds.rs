//! The kinds that rules know, by group and kind.

use hcb_kubernetes::GroupKind;

macro_rules! kinds {
    ($($name:ident = $group:literal $kind:literal;)*) => {
        $(pub(crate) const $name: GroupKind<'static> = GroupKind::new($group, $kind);)*

        /// All of them.
        const ALL: &[GroupKind<'static>] = &[$($name),*];
    };
}

kinds! {
    CONFIG_MAP = "" "ConfigMap";
    NAMESPACE = "" "Namespace";
    NODE = "" "Node";
    PERSISTENT_VOLUME = "" "PersistentVolume";
    PERSISTENT_VOLUME_CLAIM = "" "PersistentVolumeClaim";
    RESOURCE_QUOTA = "" "ResourceQuota";
    SECRET = "" "Secret";
    SERVICE = "" "Service";

    DAEMON_SET = "apps" "DaemonSet";
    DEPLOYMENT = "apps" "Deployment";
    REPLICA_SET = "apps" "ReplicaSet";
    STATEFUL_SET = "apps" "StatefulSet";

    CRON_JOB = "batch" "CronJob";
    JOB = "batch" "Job";

    HORIZONTAL_POD_AUTOSCALER = "autoscaling" "HorizontalPodAutoscaler";
    POD_DISRUPTION_BUDGET = "policy" "PodDisruptionBudget";
    PRIORITY_CLASS = "scheduling.k8s.io" "PriorityClass";
    RUNTIME_CLASS = "node.k8s.io" "RuntimeClass";
    CUSTOM_RESOURCE_DEFINITION = "apiextensions.k8s.io" "CustomResourceDefinition";

    CSI_DRIVER = "storage.k8s.io" "CSIDriver";
    STORAGE_CLASS = "storage.k8s.io" "StorageClass";

    INGRESS = "networking.k8s.io" "Ingress";
    INGRESS_CLASS = "networking.k8s.io" "IngressClass";
    NETWORK_POLICY = "networking.k8s.io" "NetworkPolicy";

    GATEWAY = "gateway.networking.k8s.io" "Gateway";
    HTTP_ROUTE = "gateway.networking.k8s.io" "HTTPRoute";

    CLUSTER_ROLE = "rbac.authorization.k8s.io" "ClusterRole";
    CLUSTER_ROLE_BINDING = "rbac.authorization.k8s.io" "ClusterRoleBinding";
    ROLE = "rbac.authorization.k8s.io" "Role";
    ROLE_BINDING = "rbac.authorization.k8s.io" "RoleBinding";

    MUTATING_ADMISSION_POLICY = "admissionregistration.k8s.io" "MutatingAdmissionPolicy";
    MUTATING_ADMISSION_POLICY_BINDING = "admissionregistration.k8s.io" "MutatingAdmissionPolicyBinding";
    MUTATING_WEBHOOK_CONFIGURATION = "admissionregistration.k8s.io" "MutatingWebhookConfiguration";
    VALIDATING_ADMISSION_POLICY = "admissionregistration.k8s.io" "ValidatingAdmissionPolicy";
    VALIDATING_ADMISSION_POLICY_BINDING = "admissionregistration.k8s.io" "ValidatingAdmissionPolicyBinding";
    VALIDATING_WEBHOOK_CONFIGURATION = "admissionregistration.k8s.io" "ValidatingWebhookConfiguration";

    ISTIO_AUTHORIZATION_POLICY = "security.istio.io" "AuthorizationPolicy";
    ISTIO_DESTINATION_RULE = "networking.istio.io" "DestinationRule";
    ISTIO_GATEWAY = "networking.istio.io" "Gateway";
    ISTIO_PEER_AUTHENTICATION = "security.istio.io" "PeerAuthentication";

    ADMIRALTY_CLUSTER_TARGET = "multicluster.admiralty.io" "ClusterTarget";

    ARGOCD_APPLICATION = "argoproj.io" "Application";
    ARGOCD_APPLICATION_SET = "argoproj.io" "ApplicationSet";

    FLUX_GIT_REPOSITORY = "source.toolkit.fluxcd.io" "GitRepository";
    FLUX_HELM_CHART = "source.toolkit.fluxcd.io" "HelmChart";
    FLUX_HELM_RELEASE = "helm.toolkit.fluxcd.io" "HelmRelease";
    FLUX_KUSTOMIZATION = "kustomize.toolkit.fluxcd.io" "Kustomization";
    FLUX_OCI_REPOSITORY = "source.toolkit.fluxcd.io" "OCIRepository";

    EXTERNAL_SECRET = "external-secrets.io" "ExternalSecret";
    PUSH_SECRET = "external-secrets.io" "PushSecret";

    KARPENTER_NODE_POOL = "karpenter.sh" "NodePool";
    CAPI_MACHINE_DEPLOYMENT = "cluster.x-k8s.io" "MachineDeployment";
    CONFIG_CONNECTOR_NODE_POOL = "container.cnrm.cloud.google.com" "ContainerNodePool";
    ACK_NODEGROUP = "eks.services.k8s.aws" "Nodegroup";
    ASO_AGENT_POOL = "containerservice.azure.com" "ManagedClustersAgentPool";
}

/// What a reader calls a kind: the kind alone, with its group where a known kind has the same name.
/// So a Knative `Service` is a `Service.serving.knative.dev`.
pub(crate) fn display_name(kind: GroupKind<'_>) -> String {
    let has_namesake = ALL.iter().any(|known| known.kind == kind.kind);
    if has_namesake && !ALL.contains(&kind) {
        kind.to_string()
    } else {
        kind.kind.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_shares_its_name_with_a_known_one_is_shown_with_its_group() {
        for (group, kind, expected) in [
            ("", "Service", "Service"),
            (
                "serving.knative.dev",
                "Service",
                "Service.serving.knative.dev",
            ),
            (
                "security.istio.io",
                "AuthorizationPolicy",
                "AuthorizationPolicy",
            ),
            (
                "policy.linkerd.io",
                "AuthorizationPolicy",
                "AuthorizationPolicy.policy.linkerd.io",
            ),
            ("example.com", "Widget", "Widget"),
        ] {
            assert_eq!(display_name(GroupKind::new(group, kind)), expected);
        }
    }
}
