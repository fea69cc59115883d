//! Checks of what joins the clusters: engine, mesh, scheduling, object store, secrets.

use super::Check;
use crate::diag::codes;
use crate::model::{
    Cluster, ClusterIndex, GitOps, Mesh, ObjectStore, ObjectStoreKind, Scheduling, Secrets, image,
    names,
};
use crate::spec::{At, Delivery, GitOpsEngine, MeshEngine, MutualTls};
use std::collections::BTreeSet;
use url::Url;

/// Istio's minor versions with the Kubernetes minor versions that they support. Source: the table
/// of supported releases on istio.io and those of its distributors, November 2026.
const ISTIO: [(u16, std::ops::RangeInclusive<u16>); 3] =
    [(29, 31..=35), (30, 32..=36), (31, 32..=36)];

/// The oldest Kubernetes minor version whose kubelet runs native sidecars by default.
const NATIVE_SIDECARS: u16 = 29;

pub(super) fn tiers(check: &mut Check<'_>) -> Vec<String> {
    let tiers = &check.spec.cloud.spec.scheduling.tiers;
    let at = check.cloud().path("scheduling.tiers");
    for (index, tier) in tiers.iter().enumerate() {
        check.name(tier, &at.index(index));
    }
    check.unique(
        "tiers",
        tiers
            .iter()
            .enumerate()
            .map(|(index, tier)| (tier.as_str(), at.index(index))),
    );
    tiers.clone()
}

pub(super) fn source(check: &mut Check<'_>, clusters: &[Cluster]) -> ClusterIndex {
    let first = clusters
        .iter()
        .enumerate()
        .min_by_key(|(_, cluster)| cluster.tier)
        .map_or(0, |(index, _)| index);
    let at = check.cloud().path("scheduling.source");
    match check.spec.cloud.spec.scheduling.source.clone() {
        Some(name) => check.cluster(&name, clusters, &at).unwrap_or(first),
        None => first,
    }
}

pub(super) fn secrets(check: &mut Check<'_>) -> Secrets {
    let spec = &check.spec.cloud.spec.secrets;
    let at = check.cloud().key("secrets");
    check.named(
        &spec.store,
        &at.key("store"),
        names::dns_subdomain(&spec.store),
    );
    let prefix = spec
        .prefix
        .clone()
        .unwrap_or_else(|| check.spec.cloud.metadata.name.clone());
    let prefix = prefix.trim_matches('/').to_owned();
    if spec.prefix.is_some() {
        check.store_key(&prefix, &at.key("prefix"));
    }
    Secrets {
        store: spec.store.clone(),
        prefix,
        refresh_interval: check.duration(&spec.refresh_interval, &at.key("refreshInterval")),
        exchange: spec.exchange,
        location: check.spec.locate(&at),
    }
}

pub(super) fn mesh(check: &mut Check<'_>, clusters: &[Cluster]) -> Option<Mesh> {
    let spec = &check.spec.cloud.spec.mesh;
    let at = check.cloud().key("mesh");
    if spec.engine == MeshEngine::None {
        return None;
    }
    let minor = spec
        .version
        .strip_prefix("1.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|minor| minor.parse::<u16>().ok());
    let full = spec.version.split('.').count() == 3
        && spec
            .version
            .split('.')
            .all(|part| part.parse::<u16>().is_ok());
    let known = minor.and_then(|minor| ISTIO.iter().find(|(known, _)| *known == minor));
    match (full, known) {
        (false, _) => {
            let diagnostic = check
                .error(
                    codes::BAD_FORMAT,
                    &at.key("version"),
                    format!("`{}` is not a full version of Istio", spec.version),
                    "not a version of a chart",
                )
                .help("write major, minor and patch, such as `1.30.4`: what runs must not change by itself");
            check.push(diagnostic);
        }
        (true, None) => {
            let diagnostic = check
                .error(
                    codes::VERSION_MISMATCH,
                    &at.key("version"),
                    format!("this hcb does not know Istio {}", spec.version),
                    "not among the versions it can configure",
                )
                .help("it knows 1.29, 1.30 and 1.31");
            check.push(diagnostic);
        }
        (true, Some((istio, kubernetes))) => {
            for (index, cluster) in clusters.iter().enumerate() {
                if kubernetes.contains(&cluster.kubernetes.minor) {
                    continue;
                }
                let place = check.cloud().key("clusters").index(index).key("kubernetes");
                let diagnostic = check
                    .error(
                        codes::VERSION_MISMATCH,
                        &place,
                        format!(
                            "Istio 1.{istio} does not support Kubernetes {}",
                            cluster.kubernetes
                        ),
                        format!("`{}` has this version", cluster.name),
                    )
                    .also(
                        check.spec.locate(&at.key("version")),
                        "the version of Istio",
                    )
                    .help(format!(
                        "it supports 1.{} to 1.{}; change `mesh.version` or upgrade the cluster",
                        kubernetes.start(),
                        kubernetes.end()
                    ));
                check.push(diagnostic);
            }
        }
    }
    if let Some(cluster) = clusters
        .iter()
        .find(|c| c.kubernetes.minor < NATIVE_SIDECARS)
    {
        let diagnostic = check.error(
            codes::VERSION_MISMATCH,
            &at.key("version"),
            format!(
                "jobs never end on Kubernetes {}: it has no native sidecars",
                cluster.kubernetes
            ),
            "sidecars in jobs need 1.29",
        );
        check.push(diagnostic);
    }
    check.named(
        &spec.trust_domain,
        &at.key("trustDomain"),
        names::dns_subdomain(&spec.trust_domain),
    );
    if let Some(id) = &spec.mesh_id {
        check.name(id, &at.key("meshId"));
    }
    if spec.mtls == MutualTls::Permissive {
        let diagnostic = check
            .warning(
                codes::WEAK_SECURITY,
                &at.key("mtls"),
                "traffic without mutual TLS is let through",
                "only while moving into the mesh",
            )
            .help("write `mtls: strict` once every client has a sidecar");
        check.push(diagnostic);
    }
    let retired = [
        "gcr.io/istio-release",
        "registry.istio.io",
        "storage.googleapis.com",
    ];
    for (key, value) in [("hub", &spec.hub), ("charts", &spec.charts)] {
        if retired.iter().any(|host| value.contains(host)) {
            let diagnostic = check
                .error(
                    codes::VERSION_MISMATCH,
                    &at.key(key),
                    format!("`{value}` is switched off in December 2026"),
                    "a retired registry",
                )
                .note("https://github.com/istio/istio/issues/61467")
                .help("leave the field out: images come from `docker.io/istio`, charts from `ghcr.io/istio/release/charts`");
            check.push(diagnostic);
        }
    }
    let gateway = &spec.gateway;
    if gateway.min_replicas > gateway.max_replicas {
        let diagnostic = check
            .error(
                codes::MIN_OVER_MAX,
                &at.path("gateway.minReplicas"),
                format!(
                    "the gateway has at least {} replicas but at most {}",
                    gateway.min_replicas, gateway.max_replicas
                ),
                "more than the maximum",
            )
            .help("swap them, or raise `maxReplicas`");
        check.push(diagnostic);
    }
    for name in gateway.service_annotations.keys() {
        check.cluster(
            name,
            clusters,
            &at.path("gateway.serviceAnnotations").name_of(name),
        );
    }
    Some(Mesh {
        settings: spec.clone(),
        id: spec
            .mesh_id
            .clone()
            .unwrap_or_else(|| check.spec.cloud.metadata.name.clone()),
        location: check.spec.locate(&at.key("engine")),
    })
}

pub(super) fn gitops(check: &mut Check<'_>, clusters: &[Cluster], source: ClusterIndex) -> GitOps {
    let spec = &check.spec.cloud.spec.gitops;
    let at = check.cloud().key("gitops");
    repository(check, &spec.repository, &at.key("repository"));
    if spec.revision.is_empty()
        || spec.revision.contains(char::is_whitespace)
        || spec.revision.starts_with('-')
    {
        let diagnostic = check.error(
            codes::BAD_FORMAT,
            &at.key("revision"),
            format!("`{}` is not a branch, tag or commit", spec.revision),
            "Git refuses this name",
        );
        check.push(diagnostic);
    }
    let engine = match spec.engine {
        GitOpsEngine::Argocd => "argocd",
        GitOpsEngine::Flux => "flux",
    };
    let path = spec.path.replace("{engine}", engine);
    let path = path
        .trim_start_matches("./")
        .trim_end_matches('/')
        .to_owned();
    let segment = |segment: &str| {
        segment.is_empty()
            || segment == "."
            || segment == ".."
            || segment.contains(['\\', '\0'])
            || segment.contains(char::is_control)
    };
    if path.split('/').any(segment) {
        let diagnostic = check
            .error(
                codes::BAD_PATH,
                &at.key("path"),
                format!("`{}` is not a folder below the root of the repository", spec.path),
                "must be a relative path without `..`",
            )
            .help("write a folder of its own, such as `generated`: hcb removes what it does not generate there");
        check.push(diagnostic);
    }
    let hub = match spec.hub.clone() {
        Some(name) => {
            if spec.delivery == Delivery::PerCluster {
                check.no_effect(
                    &at.key("hub"),
                    "with `delivery: per-cluster` there is no hub",
                );
            }
            check
                .cluster(&name, clusters, &at.key("hub"))
                .unwrap_or(source)
        }
        None => source,
    };
    if let Some(namespace) = &spec.namespace {
        check.name(namespace, &at.key("namespace"));
    }
    if let Some(secret) = &spec.credentials_secret {
        check.named(
            secret,
            &at.key("credentialsSecret"),
            names::dns_subdomain(secret),
        );
        if spec.engine == GitOpsEngine::Argocd {
            check.no_effect(
                &at.key("credentialsSecret"),
                "Argo CD finds credentials by the repository's URL",
            );
        }
    }
    GitOps {
        engine: spec.engine,
        repository: spec.repository.clone(),
        revision: spec.revision.clone(),
        path,
        delivery: spec.delivery,
        hub,
        namespace: spec.namespace.clone().unwrap_or_else(|| {
            match spec.engine {
                GitOpsEngine::Argocd => "argocd",
                GitOpsEngine::Flux => "flux-system",
            }
            .to_owned()
        }),
        interval: check.duration(&spec.interval, &at.key("interval")),
        credentials_secret: spec.credentials_secret.clone(),
        location: check.spec.locate(&at.key("engine")),
    }
}

fn repository(check: &mut Check<'_>, repository: &str, at: &At) {
    let url = Url::parse(repository);
    let good = url
        .as_ref()
        .is_ok_and(|url| matches!(url.scheme(), "https" | "http" | "ssh") && url.host().is_some());
    if !good {
        let mut diagnostic = check.error(
            codes::BAD_URL,
            at,
            format!("`{repository}` is not the URL of a Git repository"),
            "expected `https://…` or `ssh://…`",
        );
        // Git's short form, which Flux refuses.
        if let Some((host, path)) = repository
            .split_once(':')
            .filter(|(host, _)| host.contains('@'))
        {
            diagnostic = diagnostic.help(format!("did you mean `ssh://{host}/{path}`?"));
        }
        check.push(diagnostic);
    }
    no_password(check, url.ok().as_ref(), at);
}

/// A password in a URL would stand in Git for everyone.
fn no_password(check: &mut Check<'_>, url: Option<&Url>, at: &At) {
    if url.is_some_and(|url| url.password().is_some()) {
        let diagnostic = check
            .error(
                codes::SECRET_VALUE,
                at,
                "a password in a URL would be written to Git",
                "has a password",
            )
            .help("remove it from the URL and give it to the engine as a secret");
        check.push(diagnostic);
    }
}

/// An `https` URL of a server.
pub(super) fn https_url(check: &mut Check<'_>, text: &str, at: &At, what: &str) {
    let url = Url::parse(text);
    let good = url.as_ref().is_ok_and(|url| {
        url.scheme() == "https"
            && url.host().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if !good {
        let mut diagnostic = check.error(
            codes::BAD_URL,
            at,
            format!("`{text}` is not the URL of {what}"),
            "expected `https://HOST:PORT`",
        );
        if !text.contains("://") && Url::parse(&format!("https://{text}")).is_ok() {
            diagnostic = diagnostic.help(format!("did you mean `https://{text}`?"));
        }
        check.push(diagnostic);
    } else if url
        .as_ref()
        .is_ok_and(|url| matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")))
    {
        let diagnostic = check
            .warning(
                codes::API_UNKNOWN,
                at,
                format!("`{text}` is reachable from its own machine only"),
                "a loopback address",
            )
            .help("give the address that the other clusters see");
        check.push(diagnostic);
    }
    no_password(check, url.ok().as_ref(), at);
}

pub(super) fn scheduling(
    check: &mut Check<'_>,
    clusters: &[Cluster],
    tiers: &[String],
) -> Scheduling {
    let spec = &check.spec.cloud.spec.scheduling;
    let at = check.cloud().key("scheduling");
    for (name, value) in &spec.priorities {
        let place = at.key("priorities").key(name);
        check.name(name, &at.key("priorities").name_of(name));
        // Kubernetes keeps what is above for itself.
        if *value > 1_000_000_000 {
            let diagnostic = check.error(
                codes::OUT_OF_BOUNDS,
                &place,
                format!("the priority `{name}` is {value}"),
                "at most 1000000000 is allowed",
            );
            check.push(diagnostic);
        }
    }
    bursting(check, clusters, tiers);
    budget(check, clusters);
    if let Some(problem) = image::problem(&spec.reconciler.image) {
        let diagnostic = check.error(
            codes::BAD_IMAGE,
            &at.path("reconciler.image"),
            format!("the image `{}` {problem}", spec.reconciler.image),
            "not an image reference",
        );
        check.push(diagnostic);
    }
    Scheduling {
        version: spec.version.clone(),
        burst_after: check.duration(&spec.burst.after, &at.path("burst.after")),
        fall_back_after: check.duration(&spec.fall_back.after, &at.path("fallBack.after")),
        when_reconciler_down: spec.when_reconciler_down,
        budget: spec.budget.clone(),
        weights: spec.weights.clone(),
        priorities: spec.priorities.clone(),
        reconciler: spec.reconciler.clone(),
        location: check.spec.locate(&at),
    }
}

/// Tiers must have clusters, and weights must leave somewhere to go.
fn bursting(check: &mut Check<'_>, clusters: &[Cluster], tiers: &[String]) {
    let specs = &check.spec.cloud.spec.clusters;
    // A tier that is not known was said, and where its cluster belongs is anyone's guess.
    if check.spec.incomplete.clusters || specs.iter().any(|cluster| !tiers.contains(&cluster.tier))
    {
        return;
    }
    let at = check.cloud().key("clusters");
    let used: BTreeSet<usize> = clusters.iter().map(|cluster| cluster.tier).collect();
    if used.len() < 2 {
        let only = clusters.first().map_or(0, |cluster| cluster.tier);
        let message = match only {
            0 => "no cluster to burst to: every cluster is in the first tier".to_owned(),
            _ => format!(
                "no cluster to fill first: every cluster is in the tier `{}`",
                tiers[only]
            ),
        };
        let diagnostic = check
            .error(codes::NO_BURST_TIER, &at, message, "all in one tier")
            .help(format!(
                "give a cluster `tier: {}`",
                tiers
                    .get(usize::from(only == 0))
                    .or(tiers.first())
                    .map_or("public", String::as_str)
            ));
        check.push(diagnostic);
        return;
    }
    for (tier, name) in tiers.iter().enumerate() {
        let members: Vec<_> = clusters
            .iter()
            .enumerate()
            .filter(|(_, c)| c.tier == tier)
            .collect();
        if !members.is_empty() && members.iter().all(|(_, cluster)| cluster.weight == 0) {
            let diagnostic = check
                .error(
                    codes::BAD_WEIGHTS,
                    &at.index(members[0].0).key("weight"),
                    format!("no cluster of the tier `{name}` has a weight, so none of its clusters would get a job"),
                    "zero",
                )
                .help("give at least one of them a weight over 0; to take a cluster out, use 0 for it alone");
            check.push(diagnostic);
        }
        if let [(index, cluster)] = members.as_slice()
            && check.spec.cloud.spec.clusters[*index].weight != 100
            && cluster.weight != 0
        {
            check.no_effect(
                &at.index(*index).key("weight"),
                &format!(
                    "`{}` is alone in its tier, so it gets all of it",
                    cluster.name
                ),
            );
        }
    }
}

fn budget(check: &mut Check<'_>, clusters: &[Cluster]) {
    let Some(budget) = &check.spec.cloud.spec.scheduling.budget else {
        return;
    };
    let at = check.cloud().path("scheduling.budget");
    let currency = &budget.currency;
    if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_uppercase()) {
        let diagnostic = check
            .error(
                codes::BUDGET,
                &at.key("currency"),
                format!("`{currency}` is not a currency"),
                "three upper-case letters, by ISO 4217",
            )
            .maybe_help(
                (currency.len() == 3)
                    .then(|| format!("did you mean `{}`?", currency.to_uppercase())),
            );
        check.push(diagnostic);
    }
    if budget.per_hour.is_none() && budget.per_month.is_none() {
        check.no_effect(&at, "it says neither `perHour` nor `perMonth`");
        return;
    }
    for cluster in clusters.iter().filter(|cluster| cluster.is_gated()) {
        for pool in cluster
            .pools
            .iter()
            .filter(|pool| pool.price_per_hour.is_none())
        {
            let diagnostic = crate::diag::Diagnostic::error(
                codes::BUDGET,
                format!(
                    "the budget cannot count nodes of `{}` in `{}`: they have no price",
                    pool.name, cluster.name
                ),
            )
            .at(pool.location, "`pricePerHour` is missing")
            .also(check.spec.locate(&at), "the budget")
            .help("add `pricePerHour`, 0 for nodes that cost nothing more");
            check.push(diagnostic);
        }
    }
    let cheapest = clusters
        .iter()
        .filter(|cluster| cluster.is_gated())
        .flat_map(|cluster| &cluster.pools)
        .filter_map(|pool| pool.price_per_hour)
        .filter(|price| *price > 0.0)
        .min_by(f64::total_cmp);
    if let (Some(budget), Some(cheapest)) = (budget.per_hour, cheapest)
        && budget < cheapest
    {
        let diagnostic = check
            .error(
                codes::BUDGET,
                &at.key("perHour"),
                format!(
                    "the budget pays for no node: the cheapest costs {cheapest} {currency} an hour"
                ),
                "less than one node",
            )
            .help("raise it, or remove the burst tiers if nothing may burst");
        check.push(diagnostic);
    }
}

pub(super) fn object_store(
    check: &mut Check<'_>,
    clusters: &[Cluster],
    secrets: &Secrets,
    has_mesh: bool,
) -> Option<ObjectStore> {
    let spec = check.spec.cloud.spec.object_store.as_ref()?;
    let at = check.cloud().key("objectStore");
    check.store_key(&spec.credentials, &at.key("credentials"));
    let kind = match (&spec.in_cluster, &spec.endpoint) {
        (Some(service), None) => {
            let place = at.key("inCluster");
            let cluster = check.cluster(&service.cluster, clusters, &place.key("cluster"));
            check.name(&service.namespace, &place.key("namespace"));
            check.name(&service.service, &place.key("service"));
            check.labels(&service.pod_labels, &place.key("podLabels"));
            if service.pod_labels.is_empty() {
                let diagnostic = check
                    .error(
                        codes::OUT_OF_BOUNDS,
                        &place.key("podLabels"),
                        "the object store's pods are not said",
                        "at least one label is needed",
                    )
                    .help("without them, the rules that protect the store would apply to nothing or to everything");
                check.push(diagnostic);
            }
            if !has_mesh && clusters.len() > 1 {
                let diagnostic = check
                    .error(
                        codes::NO_OBJECT_STORE,
                        &place,
                        "without a mesh, other clusters cannot reach an object store in a cluster",
                        "reachable in its own cluster only",
                    )
                    .help("use `mesh.engine: istio`, or give an `endpoint` that every cluster reaches");
                check.push(diagnostic);
            }
            ObjectStoreKind::InCluster {
                cluster: cluster?,
                service: service.clone(),
            }
        }
        (None, Some(endpoint)) => {
            let place = at.key("endpoint");
            let url = Url::parse(endpoint).ok().filter(|url| {
                matches!(url.scheme(), "https" | "http")
                    && url.host().is_some()
                    && matches!(url.path(), "" | "/")
            });
            no_password(check, url.as_ref(), &place);
            let Some(url) = url else {
                let diagnostic = check
                    .error(
                        codes::BAD_URL,
                        &place,
                        format!("`{endpoint}` is not the URL of an object store"),
                        "expected `https://HOST[:PORT]`",
                    )
                    .help("buckets and keys belong into the URLs of the data: `s3://bucket/key`");
                check.push(diagnostic);
                return None;
            };
            if url.scheme() == "http" {
                let diagnostic = check
                    .warning(
                        codes::WEAK_SECURITY,
                        &place,
                        "data and requests to this object store are not encrypted",
                        "plain HTTP, outside of the mesh",
                    )
                    .help("use `https://`");
                check.push(diagnostic);
            }
            ObjectStoreKind::External(url)
        }
        (Some(_), Some(_)) => {
            let diagnostic = check
                .error(
                    codes::NOT_ALLOWED,
                    &at.key("endpoint"),
                    "an object store is in a cluster or has an endpoint, not both",
                    "one of them",
                )
                .also(check.spec.locate(&at.key("inCluster")), "the other");
            check.push(diagnostic);
            return None;
        }
        (None, None) => {
            if !check.spec.incomplete.cloud {
                let diagnostic = check
                    .error(
                        codes::MISSING_FIELD,
                        &at,
                        "the object store does not say where it is",
                        "`inCluster` or `endpoint` is missing",
                    )
                    .help("write `inCluster: {cluster: …, namespace: …, service: …, podLabels: …}` or `endpoint: https://…`");
                check.push(diagnostic);
            }
            return None;
        }
    };
    Some(ObjectStore {
        kind,
        region: spec.region.clone(),
        credentials_key: secrets.key(&spec.credentials),
        location: check.spec.locate(&at),
    })
}
