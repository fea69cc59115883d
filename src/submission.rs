//! A Job that a person submits: what was compiled, with a name, with parameters and with places for its
//! data of its own. Pure; `cli::submit` uploads and creates.

mod error;

pub use error::{ParameterError, SubmissionError};

use hcb_api::labels::{OBJECT_STORE, WORKLOAD};
use hcb_compile::compile::Output;
use hcb_compile::plan::workloads::CHECKPOINTS;
use hcb_source::diag::suggest;
use hcb_spec::model::Workload;
use hcb_transfer::layout::Place;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many characters a run's name has after that of the workload, with the dash.
const SUFFIX: usize = 8;

/// Environment variables by name.
pub type Variables = BTreeMap<String, String>;

/// The workload of a name, `NAME` or `NAMESPACE/NAME`.
///
/// # Errors
///
/// There is none, or there are several.
pub fn workload<'a>(output: &'a Output, name: &str) -> Result<&'a Workload, SubmissionError> {
    let all = &output.model.workloads;
    let full = |workload: &Workload| format!("{}/{}", workload.namespace, workload.name);
    let found: Vec<_> = all
        .iter()
        .filter(|workload| workload.name == name || full(workload) == name)
        .collect();
    match &found[..] {
        [workload] => Ok(workload),
        [] => {
            let hint = suggest(name, all.iter().map(|workload| workload.name.as_str()));
            Err(SubmissionError::UnknownWorkload {
                name: name.to_owned(),
                hint,
            })
        }
        several => Err(SubmissionError::AmbiguousWorkload {
            name: name.to_owned(),
            candidates: several.iter().map(|workload| full(workload)).collect(),
        }),
    }
}

/// The Job that was compiled of a workload; of a cron job, what each run would be.
pub fn compiled(output: &Output, workload: &Workload) -> Option<Value> {
    let manifests = output.units.iter().flat_map(|unit| &unit.manifests);
    let mut own = manifests.filter(|manifest| {
        matches!(manifest.kind(), "Job" | "CronJob")
            && manifest.object().label(WORKLOAD) == Some(&workload.name)
            && manifest.namespace() == Some(&workload.namespace)
    });
    let manifest = own.next()?;
    if manifest.kind() == "Job" {
        return Some(Value::clone(&manifest.value));
    }
    let template = manifest.value.pointer("/spec/jobTemplate")?;
    Some(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": workload.namespace,
            "labels": manifest.object().labels(),
        },
        "spec": template["spec"],
    }))
}

/// The name of a run: that of the workload and a random suffix, so that two runs hardly ever share a name.
pub fn run_name(workload: &str, random: u64) -> String {
    // No vowel and no digit that looks like one, so that no word comes of it.
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let base = LETTERS.len() as u64;
    let suffix = (0..SUFFIX).scan(random, |rest, _| {
        let letter = LETTERS[usize::try_from(*rest % base).unwrap_or_default()];
        *rest /= base;
        Some(char::from(letter))
    });
    format!("{workload}-{}", suffix.collect::<String>())
}

/// Parameters `NAME=VALUE` as environment variables. A name is that of a variable in `env` of the
/// workload, in any case, with dashes or underscores.
///
/// # Errors
///
/// Every parameter that is wrong.
pub fn parameters(workload: &Workload, given: &[String]) -> Result<Variables, SubmissionError> {
    let known = &workload.spec.env;
    let mut variables = Variables::new();
    let mut problems = Vec::new();
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            problems.push(ParameterError::NotAPair(text.clone()));
            continue;
        };
        let upper = name.to_uppercase().replace('-', "_");
        let Some(variable) = [name, &upper]
            .into_iter()
            .find(|name| known.contains_key(*name))
        else {
            let hint = suggest(&upper, known.keys().map(String::as_str));
            let hint = hint.unwrap_or_else(|| "`env` of the workload has none".to_owned());
            problems.push(ParameterError::Unknown {
                workload: workload.name.clone(),
                name: name.to_owned(),
                hint,
            });
            continue;
        };
        if variables
            .insert(variable.to_owned(), value.to_owned())
            .is_some()
        {
            problems.push(ParameterError::Repeated(variable.to_owned()));
        }
    }
    if problems.is_empty() {
        Ok(variables)
    } else {
        Err(SubmissionError::Parameters(problems))
    }
}

/// The input that data is uploaded for: the one of this name, or the only one.
///
/// # Errors
///
/// There is none, or it is not clear which.
pub fn input<'a>(
    workload: &'a Workload,
    name: Option<&str>,
) -> Result<&'a hcb_spec::spec::DataReference, SubmissionError> {
    let inputs = &workload.spec.data.inputs;
    let names: Vec<_> = inputs.iter().map(|input| input.name.as_str()).collect();
    match (name, &inputs[..]) {
        (_, []) => Err(SubmissionError::NoInput {
            workload: workload.name.clone(),
        }),
        (None, [only]) => Ok(only),
        (None, _) => Err(SubmissionError::AmbiguousInput {
            names: names.into_iter().map(str::to_owned).collect(),
        }),
        (Some(name), _) => inputs
            .iter()
            .find(|input| input.name == name)
            .ok_or_else(|| SubmissionError::UnknownInput {
                workload: workload.name.clone(),
                name: name.to_owned(),
                hint: suggest(name, names.iter().copied()),
            }),
    }
}

/// Where a run writes: the places of the spec, each with a folder of the run's own, so that no run
/// overwrites what another wrote.
pub fn outputs(workload: &Workload, run: &str) -> Variables {
    let data = &workload.spec.data;
    let of_run = |url: &str| {
        Place::parse(url).map_or_else(|| url.to_owned(), |place| place.of_run(run).to_string())
    };
    let mut variables: Variables = data
        .outputs
        .iter()
        .map(|output| (output.variable("OUTPUT"), of_run(&output.url)))
        .collect();
    let below_output = data.outputs.first().filter(|_| data.checkpoints.is_none());
    let folder = match (below_output, data.checkpoint_folder()) {
        // Below what the run writes, not beside it.
        (Some(output), _) => Place::parse(&output.url)
            .map(|place| place.of_run(run).below("checkpoints/").to_string()),
        (None, Some(folder)) => Some(of_run(&folder)),
        (None, None) => None,
    };
    if let Some(folder) = folder {
        variables.insert(CHECKPOINTS.to_owned(), folder);
    }
    variables
}

/// The Job of a run. It has no label and no annotation of an engine, so none takes it away.
pub fn job(compiled: &Value, run: &str, variables: &Variables, endpoint: Option<&str>) -> Value {
    let mut job = compiled.clone();
    job["metadata"]["name"] = run.into();
    if let Some(endpoint) = endpoint {
        job["metadata"]["annotations"][OBJECT_STORE] = endpoint.into();
    }
    let environment = job
        .pointer_mut("/spec/template/spec/containers/0/env")
        .and_then(Value::as_array_mut);
    for variable in environment.into_iter().flatten() {
        let value = variable["name"]
            .as_str()
            .and_then(|name| variables.get(name));
        if let Some(value) = value {
            variable["value"] = value.as_str().into();
        }
    }
    job
}

#[cfg(test)]
mod tests {
    use super::*;
    use hcb_compile::compile::{Options, Timings, compile};
    use hcb_compile::manifest::Templates;
    use hcb_source::diag::Diagnostics;
    use hcb_source::source::Sources;
    use std::path::Path;

    const CLOUD: &str = include_str!("../tests/codes/base.yaml");

    /// Compiles one workload beside a good cloud.
    fn output(workload: &str) -> Output {
        let mut sources = Sources::default();
        let cloud = CLOUD.split("\n---").next().expect("a cloud");
        let store = "  objectStore: {endpoint: \"https://s3.example.com\"}";
        sources.add("cloud.yaml", format!("{cloud}\n{store}\n"));
        sources.add("workload.yaml", workload.to_owned());
        let mut diagnostics = Diagnostics::default();
        let output = compile(
            &sources,
            Path::new(""),
            &Templates::built_in(),
            Options::default(),
            &mut diagnostics,
            &mut Timings::default(),
        );
        let messages: Vec<_> = diagnostics
            .sorted()
            .iter()
            .map(|found| found.message.clone())
            .collect();
        output.unwrap_or_else(|| panic!("{messages:?}"))
    }

    fn train(more: &str) -> Output {
        output(&format!(
            "apiVersion: hcb.dev/v1alpha1\nkind: Workload\nmetadata: {{name: train, namespace: ml}}\nspec:\n  image: example.com/train:1\n  env: {{EPOCHS: \"12\", LEARNING_RATE: \"0.1\"}}\n  resources: {{cpu: 1, memory: 1Gi}}\n{more}"
        ))
    }

    const DATA: &str = "  data:\n    in: [{name: dataset, url: \"s3://datasets/digits/\"}]\n    out: [{name: model, url: \"s3://models/digits/\"}]\n";

    fn owned(text: &[&str]) -> Vec<String> {
        text.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_submitted_job_is_the_compiled_job_with_its_own_name_and_folders() {
        let output = train(&format!("  run: onSubmit\n{DATA}"));
        let workload = workload(&output, "ml/train").expect("a workload");
        let compiled = compiled(&output, workload).expect("a Job");
        let mut variables = parameters(workload, &owned(&["epochs=3"])).expect("parameters");
        variables.extend(outputs(workload, "train-x"));
        variables.insert(
            "HCB_INPUT_DATASET".into(),
            "s3://datasets/digits/train-x/d.npz".into(),
        );
        let job = job(
            &compiled,
            "train-x",
            &variables,
            Some("https://s3.example.com"),
        );
        let environment = job["spec"]["template"]["spec"]["containers"][0]["env"]
            .as_array()
            .expect("variables");
        let value = |name: &str| {
            let found = environment.iter().find(|variable| variable["name"] == name);
            found
                .and_then(|variable| variable["value"].as_str())
                .unwrap_or_default()
        };
        assert_eq!(value("EPOCHS"), "3");
        assert_eq!(value("LEARNING_RATE"), "0.1");
        assert_eq!(
            value("HCB_INPUT_DATASET"),
            "s3://datasets/digits/train-x/d.npz"
        );
        assert_eq!(value("HCB_OUTPUT_MODEL"), "s3://models/digits/train-x/");
        assert_eq!(
            value("HCB_CHECKPOINTS"),
            "s3://models/digits/train-x/checkpoints/"
        );
        assert_eq!(job["metadata"]["name"], "train-x");
        // What engines know their own by.
        let metadata = job["metadata"].to_string();
        for mark in [
            "argocd.argoproj.io",
            "app.kubernetes.io/instance",
            "kustomize.toolkit.fluxcd.io",
            "helm.toolkit.fluxcd.io",
        ] {
            assert!(!metadata.contains(mark), "{metadata}");
        }
    }

    #[test]
    fn engines_deliver_everything_of_a_submitted_workload_but_its_job() {
        let output = train(&format!("  run: onSubmit\n{DATA}"));
        let paths = output.tree.files.keys().map(|path| &**path);
        let jobs: Vec<_> = paths.filter(|path| path.contains("/job-")).collect();
        assert_eq!(
            jobs,
            [format!(
                "submit/{}/ml/job-train.yaml",
                output.model.source().name
            )]
        );
        let delivery: String = output
            .tree
            .files
            .iter()
            .filter(|(path, _)| !path.starts_with("submit/") && !path.starts_with('.'))
            .map(|(_, text)| &**text)
            .collect();
        assert!(!delivery.contains("/submit/"));
        assert!(
            output
                .tree
                .files
                .keys()
                .any(|path| path.ends_with("ml/serviceaccount-train.yaml"))
        );
    }

    #[test]
    fn a_submitted_cron_job_runs_as_its_schedule_would_run_it() {
        let output = train("  schedule: 0 3 * * *\n");
        let workload = workload(&output, "train").expect("a workload");
        let compiled = compiled(&output, workload).expect("a Job");
        assert_eq!(compiled["kind"], "Job");
        assert_eq!(
            compiled["spec"]["template"]["spec"]["containers"][0]["image"],
            "example.com/train:1"
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_known_one() {
        let output = train(DATA);
        assert_eq!(
            workload(&output, "tarin")
                .expect_err("no workload")
                .to_string(),
            "there is no workload `tarin` in the spec; did you mean `train`?"
        );
        let workload = workload(&output, "train").expect("a workload");
        let told = parameters(workload, &owned(&["EPOHCS=3", "x", "EPOCHS=1", "epochs=2"]));
        assert_eq!(
            told.expect_err("wrong parameters").to_string(),
            "the workload `train` has no parameter `EPOHCS`; did you mean `EPOCHS`?\n`x` is no parameter; write `--param NAME=VALUE`\nthe parameter `EPOCHS` is given twice"
        );
        assert_eq!(
            input(workload, Some("dateset"))
                .expect_err("no input")
                .to_string(),
            "the workload `train` has no input `dateset`; did you mean `dataset`?"
        );
    }

    #[test]
    fn checkpoints_with_a_place_of_their_own_stay_there() {
        let output = train(
            "  data:\n    out: [{name: model, url: \"s3://models/final.keras\"}]\n    checkpoints: s3://scratch/train/\n",
        );
        let workload = workload(&output, "train").expect("a workload");
        let outputs = outputs(workload, "train-x");
        assert_eq!(outputs["HCB_CHECKPOINTS"], "s3://scratch/train/train-x/");
        assert_eq!(
            outputs["HCB_OUTPUT_MODEL"],
            "s3://models/train-x/final.keras"
        );
    }

    #[test]
    fn names_of_runs_are_valid_names_of_jobs() {
        for random in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            let name = run_name("train", random);
            assert_eq!(
                hcb_kubernetes::names::dns_label_of_at_most(&name, 63),
                None,
                "{name}"
            );
            assert_eq!(name.len(), 14);
        }
        assert_ne!(run_name("train", 7), run_name("train", 8));
    }
}
