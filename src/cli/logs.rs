//! `hcb logs`.

use super::access::{Access, ask};
use super::follow::{FollowedJob, LogAccess, outcome};
use super::output::{Outcome, OutputStyle};
use super::show;
use crate::jobs::cluster_of;
use hcb_api::names::SYSTEM_NAMESPACE;

use kube::ResourceExt;

/// Print what a job's pods print, wherever they run.
///
/// The source cluster is asked: Admiralty serves the logs of pods in other clusters through its virtual
/// nodes. Where that does not work, `--target` names a context for the cluster itself.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb logs train-digits-k7m2xq9p                          the logs so far\n  hcb logs train-digits-k7m2xq9p -f                       and follow until the job ends\n  hcb logs train-digits-k7m2xq9p --target public=eks-eu   from the target cluster itself"
)]
pub(super) struct Args {
    /// The Job.
    job: String,
    /// Its namespace. Default: the only one that has a Job of this name.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Follow until the job ends; its progress is printed on stderr.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    logs: LogAccess,
    /// The namespace of the reconciler.
    #[arg(long, value_name = "NAME", default_value = SYSTEM_NAMESPACE)]
    system_namespace: String,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    ask(async {
        let namespace = args.namespace.as_deref();
        let watched = FollowedJob::find(
            &args.access,
            &args.logs,
            &args.job,
            namespace,
            &args.system_namespace,
        )
        .await?;
        if args.follow {
            return Ok(outcome(&watched.follow(style).await?));
        }
        let seen = watched.snapshot().await?;
        if seen.pods.is_empty() {
            show::say(&format!("{} has no pods", args.job));
        }
        for pod in &seen.pods {
            let cluster = cluster_of(pod, &seen.clusters);
            if cluster.is_none() {
                show::say(&format!(
                    "{} is pending and has no logs yet; `hcb explain {}` says why",
                    pod.name_any(),
                    args.job
                ));
                continue;
            }
            watched.stream(pod, cluster, false).await?;
        }
        Ok(Outcome::Ok)
    })
}
