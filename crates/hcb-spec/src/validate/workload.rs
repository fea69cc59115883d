//! Checks of workloads.

use super::check::Check;
use super::cluster::extended_resource;
use crate::model::{Cluster, Namespace, Quantity, Scheduling, Workload};
use crate::scheduling;
use crate::spec::{self, At, DataReference, MeshEngine, SchedulingEngine};
use hcb_api::gitops::ENGINES;
use hcb_kubernetes::{cron, image, names};
use hcb_source::diag::{codes, suggest};
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// The namespace of workloads that name none.
const DEFAULT_NAMESPACE: &str = "ml";

/// The priority of workloads that name none, where it exists.
const DEFAULT_PRIORITY: &str = "normal";

/// A job's name is in its pods' names, which are host names: 63, less a hash of 8 and a dash.
const JOB_NAME_LIMIT: usize = 54;

/// The controller appends 11 characters to the name of a cron job.
const CRON_JOB_NAME_LIMIT: usize = 52;

/// Namespaces of Kubernetes, and of what hcb installs whatever is chosen.
const RESERVED: [&str; 6] = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    hcb_api::names::SYSTEM_NAMESPACE,
    hcb_api::names::CERT_MANAGER_NAMESPACE,
    hcb_api::names::EXTERNAL_SECRETS_NAMESPACE,
];

/// Whether a namespace belongs to the cluster, or to what hcb installs or may install some day.
fn is_reserved(namespace: &str) -> bool {
    let meshes = MeshEngine::ALL.iter().filter_map(|mesh| mesh.rules());
    let meshes = meshes.flat_map(|rules| rules.namespaces);
    let engines = SchedulingEngine::ALL.iter();
    let scheduling = engines.flat_map(|engine| scheduling::rules(*engine).namespaces);
    RESERVED.contains(&namespace)
        || meshes.chain(scheduling).any(|known| *known == namespace)
        || ENGINES.iter().any(|engine| engine.namespace == namespace)
}

pub(super) fn workloads(
    check: &mut Check<'_>,
    clusters: &[Cluster],
    tiers: &[String],
    scheduling: &Scheduling,
) -> Vec<Workload> {
    let spec = check.spec;
    let names: Vec<_> = spec
        .workloads
        .iter()
        .map(|(document, at)| {
            let namespace = document
                .metadata
                .namespace
                .as_deref()
                .unwrap_or(DEFAULT_NAMESPACE);
            (
                format!("{namespace}/{}", document.metadata.name),
                at.path("metadata.name"),
            )
        })
        .collect();
    check.unique(
        "workloads",
        names.iter().map(|(name, at)| (name.as_str(), at.clone())),
    );
    spec.workloads
        .iter()
        .map(|(document, at)| workload(check, document, at, clusters, tiers, scheduling))
        .collect()
}

fn workload(
    check: &mut Check<'_>,
    document: &spec::WorkloadDocument,
    at: &At,
    clusters: &[Cluster],
    tiers: &[String],
    scheduling: &Scheduling,
) -> Workload {
    let spec = &document.spec;
    let name = &document.metadata.name;
    let name_at = at.path("metadata.name");
    let location = check.locate(&name_at);
    let limit = if spec.schedule.is_some() {
        CRON_JOB_NAME_LIMIT
    } else {
        JOB_NAME_LIMIT
    };
    check.named(name, &name_at, names::dns_label_of_at_most(name, limit));
    let namespace = document.metadata.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    namespace_name(check, &namespace, &at.path("metadata.namespace"));

    let at = at.key("spec");
    run(check, spec, &at);
    let requests = requests(check, &spec.resources, &at.key("resources"));
    data(check, &spec.data, &at.key("data"));
    let (clusters_left, restricted) =
        super::placement::placement(check, name, spec, &at, clusters, tiers);
    let priority = match &spec.priority {
        Some(priority) => {
            if !scheduling.priorities.contains_key(priority) {
                let known = scheduling.priorities.keys().map(String::as_str);
                let diagnostic = check
                    .error(
                        codes::UNKNOWN_PRIORITY,
                        &at.key("priority"),
                        format!("there is no priority `{priority}`"),
                        "not in `spec.scheduling.priorities`",
                    )
                    .maybe_help(suggest(priority, known));
                check.push(diagnostic);
            }
            Some(priority.clone())
        }
        None => scheduling
            .priorities
            .contains_key(DEFAULT_PRIORITY)
            .then(|| DEFAULT_PRIORITY.to_owned()),
    };
    let deadline = check.duration(&spec.deadline, &at.key("deadline"));
    if deadline.seconds() == 0 && crate::model::Seconds::parse(&spec.deadline).is_some() {
        let diagnostic = check.error(
            codes::OUT_OF_BOUNDS,
            &at.key("deadline"),
            "a job with no time fails at once",
            "must be more than zero",
        );
        check.push(diagnostic);
    }
    Workload {
        name: name.clone(),
        namespace,
        spec: spec.clone(),
        requests,
        priority,
        deadline,
        clusters: clusters_left,
        restricted,
        location,
    }
}

fn namespace_name(check: &mut Check<'_>, namespace: &str, at: &At) {
    check.name(namespace, at);
    let cloud = &check.spec.cloud.spec;
    let store = cloud
        .object_store
        .as_ref()
        .and_then(|store| store.in_cluster.as_ref());
    let is_reserved = is_reserved(namespace)
        || cloud.gitops.namespace.as_deref() == Some(namespace)
        || store.is_some_and(|store| store.namespace == namespace);
    if is_reserved {
        let diagnostic = check
            .error(
                codes::BAD_NAME,
                at,
                format!("workloads cannot be in the namespace `{namespace}`"),
                "belongs to the platform",
            )
            .help("choose a namespace of the team's own, such as `ml`");
        check.push(diagnostic);
    }
}

/// What is run: image, environment, schedule, counts.
fn run(check: &mut Check<'_>, spec: &spec::Workload, at: &At) {
    if let Some(problem) = image::problem(&spec.image) {
        let diagnostic = check.error(
            codes::BAD_IMAGE,
            &at.key("image"),
            format!("the image `{}` {problem}", spec.image),
            "not an image reference",
        );
        check.push(diagnostic);
    } else if image::floats(&spec.image) {
        let diagnostic = check
            .warning(
                codes::BAD_IMAGE,
                &at.key("image"),
                format!("the image `{}` can change by itself", spec.image),
                "no digest and no fixed tag",
            )
            .help("name a tag that is never moved, or a digest: clusters may otherwise run different programs");
        check.push(diagnostic);
    }
    match (&spec.schedule, &spec.time_zone) {
        (Some(schedule), zone) => {
            if let Some(problem) = cron::problem(schedule) {
                let diagnostic = check
                    .error(
                        codes::BAD_SCHEDULE,
                        &at.key("schedule"),
                        format!("the schedule `{schedule}` {problem}"),
                        "cron cannot read this",
                    )
                    .help("minute, hour, day of month, month, day of week: `30 2 * * 1-5`");
                check.push(diagnostic);
            }
            if let Some(zone) = zone
                && !zone.split('/').all(|part| {
                    !part.is_empty()
                        && part
                            .chars()
                            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-'))
                })
            {
                let diagnostic = check
                    .error(
                        codes::BAD_SCHEDULE,
                        &at.key("timeZone"),
                        format!("`{zone}` is not a time zone"),
                        "not a name of the tz database",
                    )
                    .help("write area and city, such as `Europe/Berlin`, or `Etc/UTC`");
                check.push(diagnostic);
            }
        }
        (None, Some(_)) => check.no_effect(&at.key("timeZone"), "the workload has no `schedule`"),
        (None, None) => {}
    }
    if spec.schedule.is_some() && spec.run == spec::Run::OnSubmit {
        let diagnostic = check
            .error(
                codes::NOT_ALLOWED,
                &at.key("run"),
                "a workload runs by its schedule or when a person submits it, not both",
                "one of them",
            )
            .also(check.locate(&at.key("schedule")), "the other")
            .help("leave `run` out: `hcb submit` can run a cron job at any time besides");
        check.push(diagnostic);
    }
    for key in ["env", "secretEnv"] {
        let names: Vec<&String> = match key {
            "env" => spec.env.keys().collect(),
            _ => spec.secret_env.keys().collect(),
        };
        for name in names {
            let values_at = at.key(key);
            let at = values_at.name_of(name);
            if !check.environment_variable(name, &values_at) {
                continue;
            }
            if name.starts_with("HCB_") || name.starts_with("AWS_") && spec.data_is_used() {
                let diagnostic = check
                    .error(
                        codes::BAD_NAME,
                        &at,
                        format!("the environment variable `{name}` is set by hcb"),
                        "a reserved name",
                    )
                    .help("variables that start with `HCB_`, and with `AWS_` for a workload with data, say where the data is");
                check.push(diagnostic);
            }
        }
    }
    for name in spec
        .env
        .keys()
        .filter(|name| spec.secret_env.contains_key(*name))
    {
        let diagnostic = check
            .error(
                codes::DUPLICATE_NAME,
                &at.key("secretEnv").name_of(name),
                format!("the environment variable `{name}` is set twice"),
                "again here",
            )
            .also(check.locate(&at.key("env").name_of(name)), "first here");
        check.push(diagnostic);
    }
    for (name, secret) in &spec.secret_env {
        let at = at.key("secretEnv").key(name).key("key");
        check.store_key(&secret.key, &at);
    }
    if spec.user == 0 {
        let diagnostic = check
            .warning(
                codes::WEAK_SECURITY,
                &at.key("user"),
                "the program runs as root",
                "root",
            )
            .help("name another user; the program can write to `/tmp` in any case");
        check.push(diagnostic);
    }
    if let Some(completions) = spec.completions
        && completions < spec.parallelism
    {
        check.no_effect(
            &at.key("parallelism"),
            &format!("only {completions} pods are to succeed, so no more run at once"),
        );
    }
}

fn requests(check: &mut Check<'_>, spec: &spec::Resources, at: &At) -> BTreeMap<String, Quantity> {
    let mut requests = BTreeMap::new();
    let quantities = [
        ("cpu", "cpu", Some(&spec.cpu)),
        ("memory", "memory", Some(&spec.memory)),
        (
            "ephemeral-storage",
            "ephemeralStorage",
            spec.ephemeral_storage.as_ref(),
        ),
    ];
    for (resource, key, text) in quantities {
        let Some(text) = text else { continue };
        let quantity = check.quantity(text, &at.key(key));
        if quantity.is_zero() && Quantity::parse(&text.0).is_some() {
            let diagnostic = check.error(
                codes::OUT_OF_BOUNDS,
                &at.key(key),
                format!("a pod that requests no {resource} cannot be placed by need"),
                "must be more than zero",
            );
            check.push(diagnostic);
        }
        if key == "memory" && !quantity.is_zero() && quantity.units() < 4 << 20 {
            let diagnostic = check
                .error(
                    codes::OUT_OF_BOUNDS,
                    &at.key(key),
                    format!(
                        "a pod with {} bytes of memory runs nothing",
                        quantity.units()
                    ),
                    "in bytes",
                )
                .help(format!("did you mean `{}Gi`?", text.0));
            check.push(diagnostic);
        }
        requests.insert(resource.to_owned(), quantity);
    }
    if let Some(gpu) = &spec.gpu {
        // What was refused here is not looked for on nodes.
        if extended_resource(check, &gpu.resource, &at.path("gpu.resource")) {
            requests.insert(gpu.resource.clone(), Quantity::whole(gpu.count.into()));
        }
    }
    requests
}

fn data(check: &mut Check<'_>, data: &spec::Data, at: &At) {
    for (key, references) in [("in", &data.inputs), ("out", &data.outputs)] {
        let at = at.key(key);
        check.unique(
            "data references",
            references
                .iter()
                .enumerate()
                .map(|(index, reference)| (reference.name.as_str(), at.index(index).key("name"))),
        );
        for (index, DataReference { name, url }) in references.iter().enumerate() {
            check.name(name, &at.index(index).key("name"));
            s3_url(check, url, &at.index(index).key("url"));
        }
    }
    if let Some(url) = &data.checkpoints {
        s3_url(check, url, &at.key("checkpoints"));
        if !url.ends_with('/') {
            let diagnostic = check
                .error(
                    codes::BAD_URL,
                    &at.key("checkpoints"),
                    format!("`{url}` is not a folder in an object store"),
                    "a folder ends in `/`",
                )
                .help(format!("write `{url}/`"));
            check.push(diagnostic);
        }
    }
    let first = |references: &[DataReference], key| references.first().map(|_| key);
    let used = first(&data.inputs, "in")
        .or(first(&data.outputs, "out"))
        .or(data.checkpoints.as_ref().map(|_| "checkpoints"));
    if let Some(key) = used
        && check.spec.cloud.spec.object_store.is_none()
        && !check.spec.incomplete.cloud
    {
        let diagnostic = check
            .error(
                codes::NO_OBJECT_STORE,
                &at.key(key),
                "this workload has data, but there is no object store",
                "where is it?",
            )
            .help("add `spec.objectStore` to the HybridCloud");
        check.push(diagnostic);
    }
}

fn s3_url(check: &mut Check<'_>, text: &str, at: &At) {
    let bucket = Url::parse(text)
        .ok()
        .filter(|url| {
            url.scheme() == "s3"
                && url.query().is_none()
                && url.username().is_empty()
                && url.port().is_none()
        })
        .and_then(|url| url.host_str().map(str::to_owned));
    let good = bucket.as_deref().is_some_and(|bucket| {
        (3..=63).contains(&bucket.len()) && names::dns_subdomain(bucket).is_none()
    });
    if !good {
        let mut diagnostic = check.error(
            codes::BAD_URL,
            at,
            format!("`{text}` is not a place in an object store"),
            "expected `s3://BUCKET/KEY`",
        );
        if let Some(bucket) = bucket {
            diagnostic = diagnostic.note(format!(
                "`{bucket}` is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and dashes"
            ));
        }
        check.push(diagnostic);
    }
}

/// Every namespace that is listed or used, by name.
pub(super) fn namespaces(
    check: &mut Check<'_>,
    clusters: &[Cluster],
    workloads: &[Workload],
) -> Vec<Namespace> {
    let gpus: BTreeSet<_> = clusters
        .iter()
        .flat_map(|cluster| &cluster.pools)
        .filter_map(|pool| Some(pool.gpu.as_ref()?.resource.clone()))
        .collect();
    let specs = &check.spec.cloud.spec.namespaces;
    let at = check.cloud().key("namespaces");
    check.unique(
        "namespaces",
        specs
            .iter()
            .enumerate()
            .map(|(index, namespace)| (namespace.name.as_str(), at.index(index).key("name"))),
    );
    let mut namespaces: BTreeMap<String, Namespace> = BTreeMap::new();
    for (index, spec) in specs.iter().enumerate() {
        let at = at.index(index);
        namespace_name(check, &spec.name, &at.key("name"));
        let mut quota = BTreeMap::new();
        if let Some(spec) = &spec.quota {
            for (key, text) in [("cpu", &spec.cpu), ("memory", &spec.memory)] {
                if let Some(text) = text {
                    let quantity = check.quantity(text, &at.key("quota").key(key));
                    quota.insert(format!("requests.{key}"), quantity);
                }
            }
            for resource in gpus.iter().filter(|_| spec.gpus.is_some()) {
                let most = Quantity::whole(spec.gpus.unwrap_or_default().into());
                quota.insert(format!("requests.{resource}"), most);
            }
            if let Some(pods) = spec.pods {
                quota.insert("pods".into(), Quantity::whole(pods.into()));
            }
        }
        let location = check.locate(&at.key("name"));
        let name = spec.name.clone();
        namespaces.insert(
            name.clone(),
            Namespace {
                name,
                quota,
                location,
            },
        );
    }
    for workload in workloads {
        namespaces
            .entry(workload.namespace.clone())
            .or_insert_with(|| Namespace {
                name: workload.namespace.clone(),
                quota: BTreeMap::new(),
                location: workload.location,
            });
    }
    namespaces.into_values().collect()
}
