//! How commands reach the object store, and how they show what moves.

use super::output::{Format, OutputStyle};
use anyhow::bail;
use hcb_api::labels::OBJECT_STORE;
use hcb_spec::model::{Model, ObjectStore, ObjectStoreKind};
use hcb_spec::spec::Addressing;
use hcb_transfer::layout::human;
use hcb_transfer::{Client, Options, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How the object store is reached. Credentials are those of the usual chain of AWS: environment, profiles
/// in `~/.aws`, web identity, container, machine.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Object store")]
pub(super) struct StoreAccess {
    /// The URL at which this machine reaches the object store. Default: `AWS_ENDPOINT_URL_S3`, then what
    /// the spec says.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The profile of `~/.aws` with the credentials. Default: the usual chain.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Certificates of authorities to trust, in PEM. Default: `AWS_CA_BUNDLE`; those of the machine are
    /// trusted in any case.
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
}

/// Where the store is, for this machine.
#[derive(Debug, Clone, Default)]
pub(super) struct StoreLocation {
    /// Its URL, where anything but the chain says so.
    pub(super) endpoint: Option<String>,
    region: Option<String>,
    is_virtual: bool,
}

impl StoreAccess {
    /// Where the store of a spec is.
    pub(super) fn of_spec(
        &self,
        model: &Model,
        store: &ObjectStore,
    ) -> anyhow::Result<StoreLocation> {
        let (outside, cluster) = match &store.kind {
            ObjectStoreKind::External(url) => (Some(url.as_str().to_owned()), None),
            ObjectStoreKind::InCluster { cluster, service } => (
                service.external_url.clone(),
                Some((&model.clusters[*cluster].name, service)),
            ),
        };
        let endpoint = self.named_endpoint().or(outside);
        if let (None, Some((cluster, service))) = (&endpoint, cluster) {
            let (namespace, name, port) = (&service.namespace, &service.service, service.port);
            bail!(
                "how does this machine reach the object store, which is in the cluster `{cluster}`? Say it with --endpoint, with AWS_ENDPOINT_URL_S3, or for everybody with `objectStore.inCluster.externalUrl` in the spec; to try it: `kubectl --context {cluster} -n {namespace} port-forward svc/{name} {port}` and `--endpoint http://127.0.0.1:{port}`"
            );
        }
        Ok(StoreLocation {
            endpoint,
            region: Some(store.region.clone()),
            is_virtual: store.addressing == Addressing::Virtual,
        })
    }

    /// Where the store of a job is.
    pub(super) fn of_job(&self, job: &Job) -> anyhow::Result<StoreLocation> {
        let variable = |name: &str| variable(job, name);
        let inside = variable("AWS_ENDPOINT_URL_S3");
        let is_local = |url: &String| url.contains(".svc.") || url.contains(".svc:");
        let told = self
            .named_endpoint()
            .or_else(|| job.annotations().get(OBJECT_STORE).cloned());
        let endpoint = told.or_else(|| inside.clone().filter(|url| !is_local(url)));
        if endpoint.is_none()
            && let Some(url) = inside
        {
            bail!(
                "how does this machine reach the object store, which the job reaches at {url}? Say it with --endpoint or with AWS_ENDPOINT_URL_S3"
            );
        }
        Ok(StoreLocation {
            endpoint,
            region: variable("AWS_REGION"),
            is_virtual: variable("HCB_S3_ADDRESSING").as_deref()
                == Some(Addressing::Virtual.name()),
        })
    }

    fn named_endpoint(&self) -> Option<String> {
        let from = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let told = self
            .endpoint
            .clone()
            .or_else(|| from("AWS_ENDPOINT_URL_S3"));
        told.or_else(|| from("AWS_ENDPOINT_URL"))
    }

    /// Connects.
    pub(super) async fn connect(&self, location: &StoreLocation) -> anyhow::Result<Client> {
        let bundle = || std::env::var_os("AWS_CA_BUNDLE").filter(|value| !value.is_empty());
        let options = Options {
            endpoint: location.endpoint.clone(),
            region: location.region.clone(),
            profile: self.profile.clone(),
            is_virtual: location.is_virtual,
            authorities: self
                .ca_bundle
                .clone()
                .or_else(|| bundle().map(PathBuf::from)),
            ..Options::default()
        };
        Ok(Client::connect(options).await?)
    }
}

/// The plain value of a variable of a job's program.
pub(super) fn variable(job: &Job, name: &str) -> Option<String> {
    variables(job)
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

/// The plain variables of a job's program.
pub(super) fn variables(job: &Job) -> impl Iterator<Item = (String, String)> + '_ {
    let pod = job
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let container = pod.and_then(|pod| pod.containers.first());
    container
        .into_iter()
        .flat_map(|container| container.env.iter().flatten())
        .filter_map(|variable| Some((variable.name.clone(), variable.value.clone()?)))
}

/// A bar on a terminal, and the sums for a line when all is done.
pub(super) struct Bar {
    shown: ProgressBar,
    sent: AtomicU64,
    there: AtomicU64,
    start: Instant,
}

impl Bar {
    pub(super) fn new(style: OutputStyle, what: &str, bytes: u64) -> Self {
        let is_shown = style.format == Format::Text && std::io::stderr().is_terminal();
        let target = if is_shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(bytes), target).with_message(what.to_owned());
        let style = ProgressStyle::with_template(
            "{msg} {bar:32} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
        );
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("█▓░"));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            shown: bar,
            sent: AtomicU64::new(0),
            there: AtomicU64::new(0),
            start: Instant::now(),
        }
    }

    /// Takes the bar away, and says what it came to.
    pub(super) fn finish(&self) -> String {
        self.shown.finish_and_clear();
        let (sent, there) = self.moved();
        let seconds = self.start.elapsed().as_secs_f64();
        let there = match there {
            0 => String::new(),
            there => format!("; {} were there already", human(there)),
        };
        format!("{} in {seconds:.1} s{there}", human(sent))
    }

    /// Bytes that went over the network, and bytes that were there.
    pub(super) fn moved(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.sent), load(&self.there))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.shown.finish_and_clear();
    }
}

impl Progress for Bar {
    fn advance(&self, bytes: u64, sent: bool) {
        let counter = if sent { &self.sent } else { &self.there };
        counter.fetch_add(bytes, Ordering::Relaxed);
        self.shown.inc(bytes);
    }
}
