//! What a run is made of, drawn from its seed.

use fastrand::Rng;
use hcb_api::config::ReconcilerConfig;
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use jiff::Timestamp;

/// A job to come.
#[derive(Debug, Clone)]
pub struct JobPlan {
    /// When it is created.
    pub at: Timestamp,
    /// CPUs of its pod, in thousandths.
    pub cpu: i64,
    /// How long its pod runs, in seconds.
    pub runs: i64,
    /// Its deadline, in seconds.
    pub deadline: i64,
    /// Its priority.
    pub priority: i64,
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The seed that all is drawn from.
    pub seed: u64,
    /// The configuration at the beginning.
    pub config: ReconcilerConfig,
    /// The jobs, by time.
    pub jobs: Vec<JobPlan>,
    /// How long faults come, in seconds; after that all is well.
    pub faults_for: i64,
    /// How likely a fault is in each second, in thousandths.
    pub faults: u32,
}

/// When every run begins: so late in a month that some see its end.
pub const BEGIN: i64 = 1_764_500_000;

impl Scenario {
    /// The scenario of a seed.
    ///
    /// # Panics
    /// Where the configuration that it makes is not understood.
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let budget = match rng.u8(0..4) {
            0 => "null".to_owned(),
            1 => format!(
                "{{currency: EUR, perHour: {}, perMonth: null}}",
                rng.u32(0..8)
            ),
            2 => format!(
                "{{currency: EUR, perHour: null, perMonth: {}}}",
                rng.u32(0..40)
            ),
            _ => format!(
                "{{currency: EUR, perHour: {}, perMonth: {}}}",
                rng.u32(0..8),
                rng.u32(0..40)
            ),
        };
        let config = config(&budget, rng.u32(2..4), rng.bool());
        let count = rng.usize(10..70);
        let mut jobs: Vec<_> = (0..count)
            .map(|_| {
                let runs = rng.i64(60..2400);
                JobPlan {
                    at: at(rng.i64(0..3000)),
                    cpu: i64::from(rng.u32(1..5)) * if rng.u8(0..5) == 0 { 500 } else { 1000 },
                    runs,
                    deadline: runs + rng.i64(1800..14_400),
                    priority: i64::from(rng.u8(0..3) / 2),
                }
            })
            .collect();
        jobs.sort_by_key(|job| job.at);
        Self {
            seed,
            config,
            jobs,
            faults_for: 3600,
            faults: if rng.u8(0..8) == 0 {
                0
            } else {
                rng.u32(20..250)
            },
        }
    }
}

/// So many seconds after the beginning.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + seconds).unwrap_or(Timestamp::MAX)
}

/// A private cluster, two public ones of which the second may be dearer, and a spare one.
fn config(budget: &str, nodes: u32, is_dear: bool) -> ReconcilerConfig {
    let cluster = |name: &str, tier: &str, weight: u32, min: u32, max: u32, price: &str| {
        let kubeconfig = if tier == "private" { "null" } else { "/target" };
        format!(
            "- {{name: {name}, tier: {tier}, weight: {weight}, virtualNode: admiralty-{name}, kubeconfig: {kubeconfig}, limits: null, \
             pools: [{{name: cpu, min: {min}, max: {max}, allocatable: {{cpu: '4', memory: 16Gi}}, gpuProduct: null, pricePerHour: {price}}}]}}\n"
        )
    };
    let dear = if is_dear { "1.3" } else { "1" };
    let clusters = [
        cluster("private", "private", 1, nodes, nodes, "null"),
        cluster("public", "public", 3, 0, 4, "1"),
        cluster("other", "public", 1, 0, 3, dear),
        cluster("spare", "spare", 1, 0, 2, "2"),
    ];
    let text = format!(
        "apiVersion: hcb.dev/v1alpha1\nkind: ReconcilerConfig\ncloud: simulated\ntiers: [private, public, spare]\nburst: {{after: 0s}}\n\
         fallBack: {{after: 1m}}\nwhenDown: hold\nweights: {{minFactor: 0.5, maxFactor: 2}}\nbudget: {budget}\nclusters:\n{}",
        clusters.concat()
    );
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let file = sources.add("config.yaml", text.as_str());
    let config = ReconcilerConfig::read(file, &text, &mut diagnostics);
    config.unwrap_or_else(|| panic!("{diagnostics:?}"))
}
