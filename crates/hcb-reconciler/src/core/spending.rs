//! What bursting has cost this month, and what it will.

use hcb_api::status::Ledger;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// Counts on to `now`, with nodes that cost so much an hour since it was counted last. Time in which
/// nobody counted costs as much: a budget must not be broken because the reconciler was down.
pub fn count(ledger: &mut Ledger, hourly_cost: f64, now: Timestamp) {
    let zoned = now.to_zoned(TimeZone::UTC);
    let month = zoned.strftime("%Y-%m").to_string();
    let begin = start_of_month(&zoned);
    let since = match ledger.until {
        Some(until) if until < begin => begin,
        Some(until) => until,
        None => now,
    };
    if ledger.month != month {
        ledger.month = month;
        ledger.spent = 0.0;
    }
    ledger.spent += hourly_cost * hours(since, now);
    ledger.until = Some(ledger.until.map_or(now, |until| until.max(now)));
}

/// What will have been spent at the end of the month if nodes go on to cost so much an hour.
pub fn forecast(ledger: &Ledger, hourly_cost: f64, now: Timestamp) -> f64 {
    let begin = start_of_month(&now.to_zoned(TimeZone::UTC));
    let end = begin
        .to_zoned(TimeZone::UTC)
        .checked_add(1.month())
        .map_or(begin, |end| end.timestamp());
    ledger.spent + hourly_cost * hours(now, end)
}

fn start_of_month(now: &Zoned) -> Timestamp {
    now.first_of_month()
        .and_then(|first| first.start_of_day())
        .map_or(Timestamp::UNIX_EPOCH, |start| start.timestamp())
}

/// Hours from one time to a later one; none where it is earlier.
fn hours(since: Timestamp, until: Timestamp) -> f64 {
    (since.duration_until(until).as_secs_f64() / 3600.0).max(0.0)
}
