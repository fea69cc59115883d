//! `hcb submit`.

mod data;
mod record;

use super::access::{Access, ask_many};
use super::follow::{FollowedJob, LogAccess, outcome};
use super::input::Input;
use super::output::{Format, Outcome, OutputStyle};
use super::show;
use super::store::{Bar, StoreAccess, StoreLocation};
use crate::submission::{self, Variables};
use anyhow::{Context, bail};
use data::Data;
use hcb_api::names::SYSTEM_NAMESPACE;

use hcb_spec::model::Workload;
use hcb_transfer::Client as Store;
use hcb_transfer::layout::{Place, human};
use k8s_openapi::api::batch::v1::Job;
use kube::Client;
use kube::api::{Api, PostParams};
use record::Record;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Upload data, run a workload on it, and follow the job until it is done.
///
/// The data goes to a folder of the run's own in the object store, and so does what the job writes: no run
/// overwrites another's. If the upload is cut off, the same command goes on with it; what is there is not
/// sent again. The job is created in the source cluster from what the spec compiles to; no engine manages
/// it. Ctrl-C stops following, not the job.
///
/// Exit 1 where the job fails.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb submit digits.npz --workload train-digits                        upload, run, follow\n  hcb submit images/ -w train --input images --param epochs=20         a folder, and a parameter\n  hcb submit digits.npz -w train-digits --detach                       do not wait for it\n  hcb submit -w train-digits                                           on the data that the spec names\n\nthen: hcb fetch JOB, hcb jobs, hcb logs JOB, hcb cancel JOB"
)]
pub(super) struct Args {
    /// The data: a file or a folder. Without it, the job reads what the spec names.
    data: Option<PathBuf>,
    /// The workload of the spec: NAME, or NAMESPACE/NAME.
    #[arg(long, short, value_name = "NAME")]
    workload: String,
    /// Set an environment variable of the workload's `env`, in any case. May be given several times.
    #[arg(long = "param", short, value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Which input of the workload the data is, where it has several.
    #[arg(long, value_name = "NAME")]
    input: Option<String>,
    /// Create the job and do not wait for it.
    #[arg(long)]
    detach: bool,
    /// The spec: a file or a folder.
    #[arg(long, value_name = "PATH", default_value = "hybrid")]
    spec: PathBuf,
    /// A folder of templates that take the place of the built-in ones of the same path.
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    logs: LogAccess,
    #[command(flatten)]
    store: StoreAccess,
    /// The namespace of the reconciler.
    #[arg(long, value_name = "NAME", default_value = SYSTEM_NAMESPACE)]
    system_namespace: String,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    args.logs.check()?;
    let input = Input {
        spec: args.spec.clone(),
        templates: args.templates.clone(),
        engine: None,
        today: None,
    };
    let run = super::run::run(&input)?;
    run.show_findings(style)?;
    let Some(output) = &run.output else {
        return Ok(Outcome::Findings);
    };
    let workload = submission::workload(output, &args.workload)?;
    let parameters = submission::parameters(workload, &args.parameters)?;
    let compiled = submission::compiled(output, workload)
        .with_context(|| format!("the templates make no Job of `{}`", workload.name))?;
    let data = match &args.data {
        Some(path) => {
            let input = submission::input(workload, args.input.as_deref())?;
            Some((Data::find(path)?, input))
        }
        None if args.input.is_some() => {
            bail!("--input says which input the data is, and there is no data")
        }
        None => None,
    };
    let known = match &output.model.object_store {
        Some(store) if workload.spec.data_is_used() => {
            Some(args.store.of_spec(&output.model, store)?)
        }
        _ => None,
    };
    let submit = Submit {
        args,
        style,
        workload,
        compiled,
        parameters,
        known,
    };
    ask_many(submit.run(data))
}

struct Submit<'a> {
    args: &'a Args,
    style: OutputStyle,
    workload: &'a Workload,
    compiled: Value,
    parameters: Variables,
    known: Option<StoreLocation>,
}

impl Submit<'_> {
    async fn run(
        self,
        data: Option<(Data, &hcb_spec::spec::DataReference)>,
    ) -> anyhow::Result<Outcome> {
        let client = self.args.access.client().await?;
        let url = data.as_ref().map(|(_, input)| input.url.as_str());
        let mut record = Record::open(
            &json!({
                "endpoint": self.known.as_ref().and_then(|known| known.endpoint.clone()),
                "workload": [self.workload.namespace, self.workload.name],
                "parameters": self.parameters,
                "data": data.as_ref().map(|(data, _)| &data.path),
                "input": url,
            }),
            &self.workload.name,
        )?;
        let name = record.run().to_owned();
        let mut variables = self.parameters.clone();
        variables.extend(submission::outputs(self.workload, &name));
        let target = match (&data, url) {
            (Some((data, input)), Some(url)) => {
                let place = Place::parse(url).with_context(|| format!("`{url}` is no place"))?;
                let folder = place.below(&format!("{name}/"));
                let target = data.target(&folder);
                variables.insert(input.variable("INPUT"), target.to_string());
                Some((data, folder, target))
            }
            _ => None,
        };
        let endpoint = self
            .known
            .as_ref()
            .and_then(|known| known.endpoint.as_deref());
        let job = submission::job(&self.compiled, &name, &variables, endpoint);
        let job: Job = serde_json::from_value(job)?;
        // What the cluster refuses, it refuses before hours of upload.
        self.create(&client, &job, true).await?;
        if let Some(known) = &self.known {
            let store = self.args.store.connect(known).await?;
            buckets_are_there(&store, &variables).await?;
            if let Some((data, folder, target)) = &target {
                self.upload(&store, data, folder, target, &mut record)
                    .await?;
            }
        }
        self.create(&client, &job, false).await?;
        record.forget();
        self.end(client, &name, &variables).await
    }

    async fn upload(
        &self,
        store: &Store,
        data: &Data,
        folder: &Place,
        target: &Place,
        record: &mut Record,
    ) -> anyhow::Result<()> {
        if record.goes_on() {
            show::say(&format!("resuming the upload of {}", record.run()));
        }
        let bar = Bar::new(self.style, "uploading", data.bytes());
        let result = data.upload(store, folder, record, &bar).await;
        let said = bar.finish();
        if let Err(error) = result {
            let (sent, there) = bar.moved();
            let all = human(data.bytes());
            return Err(error.context(format!(
                "the upload is incomplete: {} of {all} are uploaded; run the same command again to resume it",
                human(sent + there)
            )));
        }
        show::say(&format!(
            "uploaded {} to {target}: {said}; the store has confirmed the checksums",
            show::count(data.files.len(), "file"),
        ));
        Ok(())
    }

    async fn create(&self, client: &Client, job: &Job, is_dry: bool) -> anyhow::Result<()> {
        let namespace = &self.workload.namespace;
        let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
        let parameters = PostParams {
            dry_run: is_dry,
            field_manager: Some(hcb_api::names::SUBMITTER.to_owned()),
        };
        match jobs.create(&parameters, job).await {
            Ok(_) => Ok(()),
            // It was created just before hcb was ended.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(kube::Error::Api(status)) => {
                let hint = match status.code {
                    404 => format!(
                        "; is the namespace `{namespace}` there? The engine makes it from what `hcb compile` writes"
                    ),
                    403 if status.message.contains("quota") => {
                        "; the namespace's quota is used up: wait for jobs to end".to_owned()
                    }
                    403 => "; ask the platform team for the right to create Jobs there".to_owned(),
                    _ => String::new(),
                };
                bail!("the cluster refuses the Job: {}{hint}", status.message)
            }
            Err(error) => Err(error).context("creating the Job"),
        }
    }

    async fn end(
        &self,
        client: Client,
        name: &str,
        variables: &Variables,
    ) -> anyhow::Result<Outcome> {
        let namespace = &self.workload.namespace;
        show::say(&format!("submitted {name} in {namespace}"));
        let described = json!({
            "namespace": namespace,
            "job": name,
            "workload": self.workload.name,
            "variables": variables,
        });
        if self.args.detach {
            match self.style.format {
                Format::Json => show::json_data(&described)?,
                // The name alone, for scripts.
                Format::Text => show::data(&format!("{name}\n"))?,
            }
            return Ok(Outcome::Ok);
        }
        let watched = FollowedJob {
            client,
            access: self.args.access.clone(),
            logs: self.args.logs.clone(),
            namespace: namespace.clone(),
            name: name.to_owned(),
            system_namespace: self.args.system_namespace.clone(),
        };
        let seen = tokio::select! {
            seen = watched.follow(self.style) => seen?,
            _ = tokio::signal::ctrl_c() => {
                show::say(&format!("no longer following; the job goes on: `hcb logs {name} -n {namespace} -f`, `hcb cancel {name} -n {namespace}`"));
                return Ok(Outcome::Ok);
            }
        };
        let outcome = outcome(&seen);
        if outcome == Outcome::Ok && !self.workload.spec.data.outputs.is_empty() {
            show::say(&format!("its results: `hcb fetch {name} -n {namespace}`"));
        }
        if self.style.format == Format::Json {
            let mut described = described;
            let pods: Vec<_> = seen.pods.iter().collect();
            described["state"] = crate::jobs::state(&seen.job, &pods).0.word().into();
            show::json_data(&described)?;
        }
        Ok(outcome)
    }
}

/// Reports all missing buckets at once, before anything is uploaded or run.
async fn buckets_are_there(store: &Store, variables: &Variables) -> anyhow::Result<()> {
    let places = variables
        .iter()
        .filter(|(name, _)| name.starts_with("HCB_"));
    let buckets: BTreeSet<_> = places
        .filter_map(|(_, url)| Some(Place::parse(url)?.bucket))
        .collect();
    let mut missing = Vec::new();
    for bucket in buckets {
        if !store.has_bucket(&bucket).await? {
            missing.push(bucket);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let make: Vec<_> = missing
        .iter()
        .map(|bucket| format!("aws s3 mb s3://{bucket}"))
        .collect();
    bail!(
        "the object store has no bucket `{}`; nothing was uploaded. Make it: `{}`",
        missing.join("`, `"),
        make.join("; ")
    )
}
