//! What bursting has cost, in an object of its own: small, whatever the size of the fleet, so that it can always be
//! saved.

use crate::money::Money;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `ConfigMap` that holds it.
pub const CONFIG_MAP: &str = crate::names::LEDGER;
/// The key in [`CONFIG_MAP`].
pub const KEY: &str = "ledger.json";
/// How many months are remembered. A clock that was wrong for a while must not erase the month that it comes back to.
pub const MONTHS: usize = 12;

/// What was spent, by calendar month (UTC), and until when that is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spending {
    /// What was spent in each month, such as `2026-11`. The latest [`MONTHS`] are kept.
    pub months: BTreeMap<String, Money>,
    /// When this was so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The clusters of later tiers, by name.
    pub clusters: BTreeMap<String, ClusterSpending>,
}

/// What a cluster costs, and until when that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpending {
    /// What its nodes cost an hour when they were last seen; none where no reconciler has noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Money>,
    /// Until when its cost is part of [`Spending::months`].
    pub until: Timestamp,
}

/// What was spent in a calendar month (UTC), counted by the nodes that were there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// The month, such as `2026-11`.
    pub month: String,
    /// What was spent in it.
    pub spent: f64,
    /// Until when it is counted.
    pub until: Option<Timestamp>,
}

impl Spending {
    /// Reads it from its [`CONFIG_MAP`]. There is none before a reconciler has written it.
    ///
    /// # Errors
    /// Where the text is something else, or a part of it: it must not count as nothing.
    pub fn of_map(map: &ConfigMap) -> Result<Option<Self>, serde_json::Error> {
        let text = map.data.as_ref().and_then(|data| data.get(KEY));
        text.map(|text| serde_json::from_str(text)).transpose()
    }

    /// What was spent in a month.
    pub fn of_month(&self, month: &str) -> Money {
        self.months.get(month).copied().unwrap_or_default()
    }

    /// Takes over what 0.1.0 counted: where it counted more, or longer, that holds. What was not counted since then is
    /// counted for each of the `clusters` as soon as it is seen; with the name of each comes what its nodes cost an hour
    /// when 0.1.0 saw it last, where that is known.
    pub fn take_over<'a>(
        &mut self,
        ledger: &Ledger,
        clusters: impl Iterator<Item = (&'a str, Option<Money>)>,
    ) {
        let Some(until) = ledger.until else {
            return;
        };
        if self.at.is_some_and(|at| until <= at) {
            return;
        }
        if !ledger.month.is_empty() {
            let spent = self.months.entry(ledger.month.clone()).or_default();
            *spent = (*spent).max(Money::of_number(ledger.spent));
        }
        for (name, per_hour) in clusters {
            let cluster = self
                .clusters
                .entry(name.to_owned())
                .or_insert(ClusterSpending {
                    per_hour: None,
                    until,
                });
            if until >= cluster.until {
                cluster.until = until;
                cluster.per_hour = per_hour.or(cluster.per_hour);
            }
        }
    }

    /// Adds to a month, and forgets all but the latest ones.
    pub fn add(&mut self, month: &str, amount: Money) {
        let spent = self.months.entry(month.to_owned()).or_default();
        *spent = *spent + amount;
        while self.months.len() > MONTHS {
            self.months.pop_first();
        }
    }
}
