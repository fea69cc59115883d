//! Checks of the delivery, and of URLs.

use super::Check;
use crate::model::{Cluster, ClusterIndex, GitOps};
use crate::spec::{At, Delivery, GitOpsEngine};
use hcb_kubernetes::names;
use hcb_source::diag::codes;
use url::Url;

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

/// A password in a URL would stand in Git for everyone. So would a token, which is often written in
/// place of a user; only for SSH a user is no secret.
pub(super) fn no_password(check: &mut Check<'_>, url: Option<&Url>, at: &At) {
    let has_secret =
        |url: &Url| url.password().is_some() || url.scheme() != "ssh" && !url.username().is_empty();
    if url.is_some_and(has_secret) {
        let diagnostic = check
            .error(
                codes::SECRET_VALUE,
                at,
                "a password or a token in a URL would be written to Git",
                "has credentials",
            )
            .help("remove them from the URL and give them to the engine as a secret");
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
