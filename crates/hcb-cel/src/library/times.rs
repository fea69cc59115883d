//! Parts of points in time and of durations.

use super::{Arguments, Entry};
use crate::Error;
use crate::time::Part;
use crate::value::Value;

/// The four signatures that one part of a point in time has are alike.
macro_rules! part {
    ($part:ident) => {
        |call| part(call, Part::$part)
    };
}

pub(crate) const FUNCTIONS: &[Entry] = &[
    (
        "timestamp_to_year: |timestamp|.getFullYear() -> int",
        part!(FullYear),
    ),
    (
        "timestamp_to_year_with_tz: |timestamp|.getFullYear(string) -> int",
        part!(FullYear),
    ),
    (
        "timestamp_to_month: |timestamp|.getMonth() -> int",
        part!(Month),
    ),
    (
        "timestamp_to_month_with_tz: |timestamp|.getMonth(string) -> int",
        part!(Month),
    ),
    (
        "timestamp_to_day_of_year: |timestamp|.getDayOfYear() -> int",
        part!(DayOfYear),
    ),
    (
        "timestamp_to_day_of_year_with_tz: |timestamp|.getDayOfYear(string) -> int",
        part!(DayOfYear),
    ),
    (
        "timestamp_to_day_of_month: |timestamp|.getDayOfMonth() -> int",
        part!(DayOfMonth),
    ),
    (
        "timestamp_to_day_of_month_with_tz: |timestamp|.getDayOfMonth(string) -> int",
        part!(DayOfMonth),
    ),
    (
        "timestamp_to_day_of_month_1_based: |timestamp|.getDate() -> int",
        part!(Date),
    ),
    (
        "timestamp_to_day_of_month_1_based_with_tz: |timestamp|.getDate(string) -> int",
        part!(Date),
    ),
    (
        "timestamp_to_day_of_week: |timestamp|.getDayOfWeek() -> int",
        part!(DayOfWeek),
    ),
    (
        "timestamp_to_day_of_week_with_tz: |timestamp|.getDayOfWeek(string) -> int",
        part!(DayOfWeek),
    ),
    (
        "timestamp_to_hours: |timestamp|.getHours() -> int",
        part!(Hours),
    ),
    (
        "timestamp_to_hours_with_tz: |timestamp|.getHours(string) -> int",
        part!(Hours),
    ),
    ("duration_to_hours: |duration|.getHours() -> int", |call| {
        whole(call, 3_600_000_000_000)
    }),
    (
        "timestamp_to_minutes: |timestamp|.getMinutes() -> int",
        part!(Minutes),
    ),
    (
        "timestamp_to_minutes_with_tz: |timestamp|.getMinutes(string) -> int",
        part!(Minutes),
    ),
    (
        "duration_to_minutes: |duration|.getMinutes() -> int",
        |call| whole(call, 60_000_000_000),
    ),
    (
        "timestamp_to_seconds: |timestamp|.getSeconds() -> int",
        part!(Seconds),
    ),
    (
        "timestamp_to_seconds_tz: |timestamp|.getSeconds(string) -> int",
        part!(Seconds),
    ),
    (
        "duration_to_seconds: |duration|.getSeconds() -> int",
        |call| whole(call, 1_000_000_000),
    ),
    (
        "timestamp_to_milliseconds: |timestamp|.getMilliseconds() -> int",
        part!(Milliseconds),
    ),
    (
        "timestamp_to_milliseconds_with_tz: |timestamp|.getMilliseconds(string) -> int",
        part!(Milliseconds),
    ),
    (
        "duration_to_milliseconds: |duration|.getMilliseconds() -> int",
        |call| whole(call, 1_000_000),
    ),
];

fn part<'a>(call: &Arguments<'a, '_>, part: Part) -> Result<Value<'a>, Error> {
    let Value::Timestamp(time) = call.get(0)? else {
        return Err(Error::no_overload());
    };
    let offset = match call.values.get(1) {
        Some(_) => time.offset_of(call.text(1)?)?,
        None => 0,
    };
    Ok(Value::Int(time.part(part, offset)))
}

fn whole<'a>(call: &Arguments<'a, '_>, unit: i64) -> Result<Value<'a>, Error> {
    match call.get(0)? {
        Value::Duration(nanoseconds) => Ok(Value::Int(nanoseconds / unit)),
        _ => Err(Error::no_overload()),
    }
}
