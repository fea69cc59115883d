//! The whole way, from texts to the files of the tree. Pure: reading and writing are the caller's.

use crate::diag::Diagnostics;
use crate::manifest::{self, RenderedUnit, Templates};
use crate::model::{self, Model};
use crate::source::Sources;
use crate::spec::{self, GitOpsEngine};
use crate::tree::{self, Tree};
use std::path::Path;
use std::time::{Duration, Instant};

/// What a run is asked for besides the spec.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// An engine in place of the spec's.
    pub engine: Option<GitOpsEngine>,
}

/// What a run makes.
#[derive(Debug)]
pub struct Output {
    /// The spec understood.
    pub model: Model,
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
    let mut spec = timings.measure("parse", || spec::read(sources, diagnostics))?;
    if let Some(engine) = options.engine {
        spec.cloud.spec.gitops.engine = engine;
    }
    let model = timings.measure("validate", || model::validate(&spec, diagnostics))?;
    if diagnostics.has_errors() {
        return None;
    }
    let plan = timings.measure("plan", || crate::plan::plan(&model));
    let units = timings.measure("render", || {
        let mut units = manifest::render(&model, plan.units, templates, diagnostics);
        let delivery = crate::gitops::plan(&model, &units);
        units.extend(manifest::render(&model, delivery, templates, diagnostics));
        units
    });
    timings.measure("check", || manifest::check(&model, &units, diagnostics));
    let tree = timings.measure("lay out", || {
        tree::lay_out(&model, &units, sources, root, diagnostics)
    });
    (!diagnostics.has_errors()).then_some(Output { model, units, tree })
}
