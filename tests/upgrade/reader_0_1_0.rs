//! What 0.1.0 reads, and how: its types and its functions as they were, for what a later release writes to be
//! held against. It stands for a reconciler of 0.1.0 that takes over again after a rollback.
//!
//! Nothing in here changes with the code of today. A field that has no default is one without which 0.1.0 reads
//! nothing: then it begins with an empty ledger, and what was spent this month is forgotten.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The `ConfigMap` that holds the status, and the key in it.
pub(crate) const STATUS: (&str, &str) = ("hcb-status", "status.json");

type Written = BTreeMap<String, String>;

/// The status as 0.1.0 reads it. Unknown fields are passed over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) cloud: String,
    pub(crate) at: Timestamp,
    pub(crate) leader: String,
    pub(crate) clusters: Vec<ClusterStatus>,
    pub(crate) tiers: Vec<TierStatus>,
    pub(crate) waiting: BTreeMap<String, usize>,
    pub(crate) longest: Vec<WaitingPod>,
    pub(crate) cost: Cost,
    pub(crate) legacy: Legacy,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterStatus {
    pub(crate) name: String,
    pub(crate) tier: String,
    pub(crate) seen: bool,
    #[serde(default)]
    pub(crate) drain: bool,
    pub(crate) nodes: usize,
    pub(crate) allocatable: Written,
    pub(crate) free: Written,
    pub(crate) used: f64,
    pub(crate) running: usize,
    pub(crate) coming: usize,
    pub(crate) spec_weight: u32,
    pub(crate) weight: LiveWeight,
    pub(crate) hourly_cost: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveWeight {
    pub(crate) weight: f64,
    pub(crate) price: f64,
    pub(crate) load: f64,
    pub(crate) failures: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TierStatus {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) state: TierState,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TierState {
    pub(crate) is_open: bool,
    pub(crate) since: Option<Timestamp>,
    pub(crate) wanted: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WaitingPod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) job: Option<String>,
    pub(crate) since: Timestamp,
    pub(crate) explanation: Explanation,
}

/// Also what the annotation of a released pod holds, which `hcb explain` reads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    pub(crate) at: Timestamp,
    pub(crate) outcome: String,
    pub(crate) why: String,
    pub(crate) requested: Written,
    pub(crate) clusters: Vec<Considered>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Considered {
    pub(crate) cluster: String,
    pub(crate) tier: String,
    pub(crate) chosen: bool,
    pub(crate) why: String,
    #[serde(default)]
    pub(crate) free: Written,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cost {
    pub(crate) currency: Option<String>,
    pub(crate) hour: f64,
    pub(crate) month: f64,
    pub(crate) forecast: f64,
    pub(crate) hour_limit: Option<f64>,
    pub(crate) month_limit: Option<f64>,
}

/// What a leader of 0.1.0 goes on from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Legacy {
    pub(crate) ledger: Ledger,
    pub(crate) credits: BTreeMap<String, f64>,
    pub(crate) tiers: BTreeMap<String, TierState>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ledger {
    pub(crate) month: String,
    pub(crate) spent: f64,
    pub(crate) until: Option<Timestamp>,
}

impl Ledger {
    /// What 0.1.0 counts as spent this month at a time, where nodes have cost so much an hour since the ledger
    /// was counted last.
    pub(crate) fn spent_at(&self, hourly_cost: f64, now: Timestamp) -> f64 {
        let zoned = now.to_zoned(TimeZone::UTC);
        let month = zoned.strftime("%Y-%m").to_string();
        let begin = zoned
            .first_of_month()
            .and_then(|first| first.start_of_day())
            .map_or(Timestamp::UNIX_EPOCH, |start| start.timestamp());
        let since = match self.until {
            Some(until) if until < begin => begin,
            Some(until) => until,
            None => now,
        };
        let spent = if self.month == month { self.spent } else { 0.0 };
        let hours = since.duration_until(now).as_secs_f64() / 3600.0;
        spent + hourly_cost * hours.max(0.0)
    }
}

/// The configuration as 0.1.0 reads it: a field that it does not know is an error, and it keeps the one it has.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) cloud: String,
    pub(crate) tiers: Vec<String>,
    pub(crate) burst: After,
    pub(crate) fall_back: After,
    pub(crate) when_down: WhenDown,
    pub(crate) weights: Weights,
    #[serde(default)]
    pub(crate) budget: Option<Budget>,
    pub(crate) clusters: Vec<Cluster>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WhenDown {
    Hold,
    Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    /// In seconds.
    #[serde(deserialize_with = "seconds")]
    pub(crate) after: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Weights {
    pub(crate) min_factor: f64,
    pub(crate) max_factor: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Budget {
    pub(crate) currency: String,
    #[serde(default)]
    pub(crate) per_hour: Option<f64>,
    #[serde(default)]
    pub(crate) per_month: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) tier: String,
    pub(crate) weight: u32,
    #[serde(default)]
    pub(crate) drain: bool,
    pub(crate) virtual_node: String,
    #[serde(default)]
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) pools: Vec<Pool>,
    #[serde(default)]
    pub(crate) limits: Option<Limits>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// In thousandths.
    #[serde(deserialize_with = "amounts")]
    pub(crate) allocatable: BTreeMap<String, i128>,
    #[serde(default)]
    pub(crate) gpu_product: Option<String>,
    #[serde(default)]
    pub(crate) price_per_hour: Option<f64>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) taints: Vec<Taint>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Taint {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) value: Option<String>,
    pub(crate) effect: TaintEffect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum TaintEffect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) nodes: u32,
    /// In thousandths.
    #[serde(deserialize_with = "quantity")]
    pub(crate) cpu: i128,
    /// In thousandths.
    #[serde(deserialize_with = "quantity")]
    pub(crate) memory: i128,
    pub(crate) gpus: u32,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_seconds(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}`")))
}

fn quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_milli(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}`")))
}

fn amounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, i128>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
    let amounts = texts.into_iter().map(|(resource, text)| {
        let milli = parse_milli(&text);
        let milli = milli.ok_or_else(|| serde::de::Error::custom(format!("`{text}`")))?;
        Ok((resource, milli))
    });
    amounts.collect()
}

/// `90s`, `5m`, `1h30m`, `7d`.
fn parse_seconds(text: &str) -> Option<u64> {
    let mut total = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit = match after.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        total += number.parse::<u64>().ok()? * unit;
        rest = &after[1..];
    }
    (!text.is_empty()).then_some(total)
}

/// A quantity such as `4`, `1.5`, `3500m` or `16Gi`, in thousandths.
fn parse_milli(text: &str) -> Option<i128> {
    let is_suffix = |c: char| !c.is_ascii_digit() && c != '.';
    let (number, suffix) = text.split_at(text.find(is_suffix).unwrap_or(text.len()));
    let factor: i128 = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let parts = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let number: i128 = format!("{whole}{fraction}").parse().ok()?;
    Some(number * factor / parts)
}

/// The note of releases of a pod, `CLUSTER at TIME, CLUSTER at TIME`, as 0.1.0 reads it.
pub(crate) fn released(note: &str) -> BTreeMap<String, Timestamp> {
    let notes = note.split(", ").filter_map(|note| note.split_once(" at "));
    notes
        .filter_map(|(cluster, time)| Some((cluster.to_owned(), time.parse().ok()?)))
        .collect()
}
