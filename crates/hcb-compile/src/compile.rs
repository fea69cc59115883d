//! The whole way, from texts to the files of the tree. Pure: reading and writing are the caller's.

use crate::manifest::{self, Templates};
use crate::memo::Keep;
use crate::policy;
use crate::policy::InForce;
use crate::providers::Providers;
use crate::rendered::RenderedUnit;
use crate::tree::{self, Tree};
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use hcb_spec::model::Model;
use hcb_spec::spec::{self, GitOpsEngine};
use jiff::civil::Date;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a run is asked for besides the spec.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// An engine in place of the spec's.
    pub engine: Option<GitOpsEngine>,
    /// The date that exceptions from policies are held against. Nothing that is generated depends
    /// on it. Without it, no exception expires.
    pub today: Option<Date>,
}

/// What was made already, stage by stage, with one set of templates. It belongs to whoever calls the compiler.
#[derive(Debug)]
pub struct Memo {
    manifests: manifest::Caches,
    policies: policy::Caches,
    tree: tree::Caches,
}

impl Memo {
    /// A memo that keeps nothing: everything is made for each cluster anew.
    pub fn none() -> Self {
        Self::keeping(Keep::Nothing)
    }

    /// A memo for a run that no other follows: it keeps what clusters have in common.
    pub fn of_one_run() -> Self {
        Self::keeping(Keep::OneRun)
    }

    /// A memo that is empty yet, for runs that follow each other.
    pub fn empty() -> Self {
        Self::keeping(Keep::Runs)
    }

    fn keeping(keep: Keep) -> Self {
        Self {
            manifests: manifest::Caches::new(keep),
            policies: policy::Caches::new(keep),
            tree: tree::Caches::new(keep),
        }
    }

    /// Ends a run: what has not been used for some runs is forgotten.
    pub fn end_run(&mut self) {
        self.manifests.end_run();
        self.policies.end_run();
        self.tree.end_run();
    }
}

/// What a run makes.
#[derive(Debug)]
pub struct Output {
    /// The spec understood.
    pub model: Model,
    /// Every policy with what is done about it.
    pub policies: Vec<InForce>,
    /// Everything that is generated, by unit.
    pub units: Vec<RenderedUnit>,
    /// The files.
    pub tree: Tree,
}

/// How long each phase took, in the order in which they ran.
#[derive(Debug, Clone, Default)]
pub struct Timings {
    /// Name and duration.
    pub phases: Vec<(&'static str, Duration)>,
}

impl Timings {
    /// Runs a phase and notes how long it took.
    pub fn measure<T>(&mut self, name: &'static str, phase: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = phase();
        self.phases.push((name, start.elapsed()));
        result
    }
}

/// The policies of a spec with what is done about each, and nothing more: what breaks them is not
/// looked at. `None` where a finding stops the run.
pub fn policies(
    sources: &Sources,
    options: Options,
    diagnostics: &mut Diagnostics,
) -> Option<(Model, Vec<InForce>)> {
    let spec = spec::read(sources, diagnostics)?;
    let model = hcb_spec::validate(&spec, diagnostics)?;
    let known = policy::library::read(sources, diagnostics);
    let policies = policy::settings::resolve(&spec, &model, known, options.today, diagnostics);
    (!diagnostics.has_errors()).then_some((model, policies))
}

/// Compiles the texts in `sources`. `root` is the folder that the paths of the sources are told
/// relative to in the output. `None` where a finding stops the run; warnings do not.
pub fn compile(
    sources: &Sources,
    root: &Path,
    templates: &Templates,
    options: Options,
    diagnostics: &mut Diagnostics,
    timings: &mut Timings,
) -> Option<Output> {
    let memo = Memo::of_one_run();
    compile_with(
        &memo,
        sources,
        root,
        templates,
        options,
        diagnostics,
        timings,
    )
}

/// As [`compile`], with what earlier runs with the same templates left in `memo`: the same comes out, sooner.
pub fn compile_with(
    memo: &Memo,
    sources: &Sources,
    root: &Path,
    templates: &Templates,
    options: Options,
    diagnostics: &mut Diagnostics,
    timings: &mut Timings,
) -> Option<Output> {
    let mut spec = timings.measure("parse", || spec::read(sources, diagnostics))?;
    if let Some(engine) = options.engine {
        spec.cloud.spec.gitops.engine = engine;
    }
    let model = timings.measure("validate", || hcb_spec::validate(&spec, diagnostics))?;
    let policies = timings.measure("policies", || {
        let known = policy::library::read(sources, diagnostics);
        policy::settings::resolve(&spec, &model, known, options.today, diagnostics)
    });
    if diagnostics.has_errors() {
        return None;
    }
    let providers = Providers::of(&model);
    let plan = timings.measure("plan", || crate::plan::plan(&model, &providers));
    let units = timings.measure("render", || {
        let mut units =
            manifest::render(&model, plan.units, templates, &memo.manifests, diagnostics);
        units.extend(policy::emit::plan(&policies, &model, &units));
        units.sort_by(|a, b| a.unit.order().cmp(&b.unit.order()));
        let delivery = crate::providers::gitops::plan(&model, providers.gitops, &units);
        units.extend(manifest::render(
            &model,
            delivery,
            templates,
            &memo.manifests,
            diagnostics,
        ));
        units
    });
    timings.measure("check", || {
        manifest::check(&model, &units, &memo.manifests, diagnostics);
    });
    timings.measure("lint", || {
        crate::lint::check(&model, &providers, &units, diagnostics);
    });
    timings.measure("judge", || {
        policy::check::check(
            &policies,
            &spec,
            &model,
            &units,
            &memo.policies,
            diagnostics,
        );
    });
    let tree = timings.measure("lay out", || {
        tree::lay_out(&model, &units, sources, root, &memo.tree, diagnostics)
    });
    drop(providers);
    (!diagnostics.has_errors()).then_some(Output {
        model,
        policies,
        units,
        tree,
    })
}
