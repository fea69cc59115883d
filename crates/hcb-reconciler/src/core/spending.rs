//! What bursting has cost this month, what it costs now, and what it will.

use super::capacity;
use super::observation::Observation;
use hcb_api::config::{Cluster, ReconcilerConfig};
use hcb_api::money::Money;
use hcb_api::spending::{ClusterSpending, Spending};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// So many calendar months budgets look ahead, the present one among them.
pub const MONTHS: usize = 3;

/// The clusters whose nodes are what bursting costs: those of later tiers, by index.
pub fn burst_clusters(config: &ReconcilerConfig) -> impl Iterator<Item = (usize, &Cluster)> {
    let clusters = config.clusters.iter().enumerate();
    clusters.filter(|(_, cluster)| config.tier(cluster) > 0)
}

/// Counts on to `now` what is seen. A cluster that nobody counted for a while, since it or the reconciler was away,
/// cost as much in that time as it did at its beginning or at its end, whichever is more. A cluster that cannot be
/// seen is counted once it can.
pub fn count(
    spending: &mut Spending,
    observation: &Observation,
    config: &ReconcilerConfig,
    now: Timestamp,
) {
    for (index, cluster) in burst_clusters(config) {
        let state = &observation.clusters[index];
        let per_hour = capacity::hourly_cost(cluster, state);
        if !state.is_seen {
            // What is listed of it costs at least as much.
            if let Some(known) = spending.clusters.get_mut(&cluster.name) {
                known.per_hour = Some(known.per_hour.unwrap_or_default().max(per_hour));
            }
            continue;
        }
        if let Some(known) = spending.clusters.get(&cluster.name).copied() {
            let per_hour = known.per_hour.unwrap_or_default().max(per_hour);
            charge(spending, per_hour, known.until, now);
        }
        let counted = ClusterSpending {
            per_hour: Some(per_hour),
            until: now,
        };
        spending.clusters.insert(cluster.name.clone(), counted);
    }
}

/// Counts clusters to their end that a configuration does not have any more.
pub fn close(spending: &mut Spending, config: &ReconcilerConfig, now: Timestamp) {
    let mut gone = std::mem::take(&mut spending.clusters);
    spending.clusters = burst_clusters(config)
        .filter_map(|(_, cluster)| gone.remove_entry(&cluster.name))
        .collect();
    for cluster in gone.into_values() {
        charge(
            spending,
            cluster.per_hour.unwrap_or_default(),
            cluster.until,
            now,
        );
    }
}

/// What was spent in the month of `now`, with what clusters that cannot be seen cost since they were.
pub fn spent(spending: &Spending, now: Timestamp) -> Money {
    let zoned = now.to_zoned(TimeZone::UTC);
    let begin = start_of_month(&zoned);
    let uncounted = spending.clusters.values();
    let uncounted: Money = uncounted
        .map(|cluster| {
            let per_hour = cluster.per_hour.unwrap_or_default();
            per_hour.for_time(cluster.until.max(begin), now)
        })
        .sum();
    spending.of_month(&month(&zoned)) + uncounted
}

/// What will have been spent at the end of the month if nodes go on to cost so much an hour.
pub fn forecast(spending: &Spending, per_hour: Money, now: Timestamp) -> Money {
    spent(spending, now) + per_hour.for_time(now, end_of_month(now))
}

/// The end of the month of a time, in UTC.
pub fn end_of_month(now: Timestamp) -> Timestamp {
    let begin = start_of_month(&now.to_zoned(TimeZone::UTC));
    begin
        .to_zoned(TimeZone::UTC)
        .checked_add(1.month())
        .map_or(Timestamp::MAX, |end| end.timestamp())
}

/// The months that a release is paid in, as far as budgets look ahead: from the time to the end of its month, then the
/// next ones.
pub fn months(now: Timestamp) -> [(Timestamp, Timestamp); MONTHS] {
    let mut since = now;
    std::array::from_fn(|_| {
        let month = (since, end_of_month(since));
        since = month.1;
        month
    })
}

/// The month of a time, such as `2026-11`.
pub fn month_of(now: Timestamp) -> String {
    month(&now.to_zoned(TimeZone::UTC))
}

/// Adds what so much an hour came to, to each month that it was in.
fn charge(spending: &mut Spending, per_hour: Money, since: Timestamp, until: Timestamp) {
    let mut since = since;
    while since < until {
        let end = end_of_month(since).min(until);
        spending.add(&month_of(since), per_hour.for_time(since, end));
        since = end;
    }
}

fn month(zoned: &Zoned) -> String {
    zoned.strftime("%Y-%m").to_string()
}

fn start_of_month(now: &Zoned) -> Timestamp {
    now.first_of_month()
        .and_then(|first| first.start_of_day())
        .map_or(Timestamp::UNIX_EPOCH, |start| start.timestamp())
}
