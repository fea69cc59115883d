//! `hcb logs`.

use super::access::{Access, ask};
use super::follow::{LogAccess, Watched, outcome};
use super::{Look, Outcome, show};
use crate::jobs::cluster_of;
use kube::ResourceExt;

/// Print what a job's pods print, wherever they run.
///
/// The source cluster is asked: Admiralty serves the logs of pods in other clusters through its virtual
/// nodes. Where that does not work, `--target` names a context for the cluster itself.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb logs train-digits-k7m2xq9p                          what there is\n  hcb logs train-digits-k7m2xq9p -f                       and what comes, until the job is over\n  hcb logs train-digits-k7m2xq9p --target public=eks-eu   from the target cluster itself"
)]
pub(super) struct Args {
    /// The Job.
    job: String,
    /// Its namespace. Default: the only one that has a Job of this name.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Go on until the job is over; what becomes of it is told on stderr.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    logs: LogAccess,
    /// The namespace of the reconciler.
    #[arg(long, value_name = "NAME", default_value = hcb_api::names::NAMESPACE)]
    system_namespace: String,
}

pub(super) fn run(args: &Args, look: Look) -> anyhow::Result<Outcome> {
    ask(async {
        let namespace = args.namespace.as_deref();
        let watched = Watched::find(
            &args.access,
            &args.logs,
            &args.job,
            namespace,
            &args.system_namespace,
        )
        .await?;
        if args.follow {
            return Ok(outcome(&watched.follow(look).await?));
        }
        let seen = watched.look().await?;
        if seen.pods.is_empty() {
            show::say(&format!("{} has no pod (any more)", args.job));
        }
        for pod in &seen.pods {
            let cluster = cluster_of(pod, &seen.clusters);
            if cluster.is_none() {
                show::say(&format!(
                    "{} waits and has printed nothing; `hcb explain {}` says why",
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
