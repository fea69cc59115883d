//! Checks of the object store.

use super::check::Check;
use crate::model::{Cluster, ObjectStore, ObjectStoreKind, Secrets};
use crate::spec::At;
use hcb_source::diag::codes;
use url::Url;

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
            if let Some(url) = &service.external_url {
                store_url(check, url, &place.key("externalUrl"));
            }
            ObjectStoreKind::InCluster {
                cluster: cluster?,
                service: service.clone(),
            }
        }
        (None, Some(endpoint)) => {
            let url = store_url(check, endpoint, &at.key("endpoint"))?;
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
                .also(check.locate(&at.key("inCluster")), "the other");
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
        addressing: spec.addressing,
        credentials_key: secrets.key(&spec.credentials),
        location: check.locate(&at),
    })
}

/// The URL of an object store.
fn store_url(check: &mut Check<'_>, text: &str, at: &At) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.host().is_some()
            && matches!(url.path(), "" | "/")
    });
    check.no_password(url.as_ref(), at);
    let Some(url) = url else {
        let diagnostic = check
            .error(
                codes::BAD_URL,
                at,
                format!("`{text}` is not the URL of an object store"),
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
                at,
                "data and requests to this object store are not encrypted",
                "plain HTTP, outside of the mesh",
            )
            .help("use `https://`");
        check.push(diagnostic);
    }
    Some(url)
}
