//! `hcb cancel`.

use super::access::{Access, ask};
use super::follow::FollowedJob;
use super::output::{Outcome, OutputStyle};
use super::show;
use anyhow::bail;
use hcb_api::gitops::ENGINES;
use hcb_api::labels::CANCELLED_AT;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PropagationPolicy};
use serde_json::json;

/// Stop a job. Its pods end; what they wrote, and the Job with its record, stay.
///
/// With --delete, the Job goes too; what it wrote to the object store stays in any case. A cancelled job can
/// be resumed: `kubectl patch job JOB -p '{"spec":{"suspend":false}}'`; a program that writes checkpoints
/// continues from its last one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb cancel train-digits-k7m2xq9p               stop it\n  hcb cancel train-digits-k7m2xq9p --delete      and remove the Job"
)]
pub(super) struct Args {
    /// The Job.
    job: String,
    /// Its namespace. Default: the only one that has a Job of this name.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Remove the Job as well.
    #[arg(long)]
    delete: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn run(args: &Args, _: OutputStyle) -> anyhow::Result<Outcome> {
    ask(async {
        let namespace = args.namespace.as_deref();
        let (watched, seen, state) =
            FollowedJob::find_with_snapshot(&args.access, &args.job, namespace).await?;
        let jobs: Api<Job> = Api::namespaced(watched.client.clone(), &watched.namespace);
        if args.delete {
            let is_marked = |mark: &&&str| {
                seen.job.labels().contains_key(**mark)
                    || seen.job.annotations().contains_key(**mark)
            };
            let mut marks = ENGINES.iter().flat_map(|engine| engine.marks);
            if let Some(mark) = marks.find(is_marked) {
                bail!(
                    "{} is applied from Git (it has `{mark}`), and would be created and run again; remove its workload from the spec instead, or cancel it without --delete",
                    args.job
                );
            }
            let parameters = DeleteParams {
                propagation_policy: Some(PropagationPolicy::Background),
                ..DeleteParams::default()
            };
            jobs.delete(&args.job, &parameters).await?;
            show::say(&format!(
                "{} is removed; what it wrote to the object store stays",
                args.job
            ));
            return Ok(Outcome::Ok);
        }
        if state.is_final() {
            bail!("{} is {} already", args.job, state.word());
        }
        let patch = json!({
            "metadata": {
                "uid": seen.job.uid(),
                "annotations": {CANCELLED_AT: format!("{:.0}", Timestamp::now())},
            },
            "spec": {"suspend": true},
        });
        jobs.patch(&args.job, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        show::say(&format!(
            "{} is cancelled; its pods end, what they wrote stays",
            args.job
        ));
        Ok(Outcome::Ok)
    })
}
