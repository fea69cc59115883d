//! Points in time and lengths of time, as Go's package `time` reads and writes them.

use super::Error;
use std::cmp::Ordering;
use std::fmt;

/// Seconds from 1970 to `0001-01-01T00:00:00Z` and to the end of the year 9999, the bounds of CEL.
const BOUNDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A point in time, and the zone it was written in, which its text keeps.
#[derive(Debug, Clone, Copy)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    seconds: i64,
    /// Nanoseconds of the second.
    nanoseconds: i32,
    /// Seconds east of UTC.
    offset: i32,
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.seconds, self.nanoseconds).cmp(&(other.seconds, other.nanoseconds))
    }
}

/// What is asked of a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    Month,
    DayOfYear,
    DayOfMonth,
    Date,
    DayOfWeek,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Timestamp {
    /// The point `seconds` after 1970-01-01T00:00:00Z.
    pub(super) fn from_seconds(seconds: i64) -> Result<Self, Error> {
        Self::new(seconds, 0, 0)
    }

    fn new(seconds: i64, nanoseconds: i32, offset: i32) -> Result<Self, Error> {
        if !BOUNDS.contains(&seconds) {
            return Err(Error::fixed("timestamp overflow"));
        }
        Ok(Self {
            seconds,
            nanoseconds,
            offset,
        })
    }

    /// Reads RFC 3339. `None` if the text is not that.
    pub(super) fn parse(text: &str) -> Option<Result<Self, Error>> {
        let bytes = text.as_bytes();
        let is_shaped = bytes.len() >= 20
            && bytes[4] == b'-'
            && bytes[7] == b'-'
            && bytes[10] == b'T'
            && bytes[13] == b':'
            && bytes[16] == b':';
        if !is_shaped {
            return None;
        }
        let number = |range: std::ops::Range<usize>| -> Option<i16> {
            let digits = text.get(range)?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        let rest = text.get(19..)?;
        let (fraction, zone) = match rest.strip_prefix(['.', ',']) {
            Some(rest) => {
                let digits = rest.find(|c: char| !c.is_ascii_digit())?;
                (&rest[..digits], &rest[digits..])
            }
            None => ("", rest),
        };
        if rest.len() != zone.len() && fraction.is_empty() {
            return None;
        }
        let offset = match zone.as_bytes() {
            [b'Z'] => 0,
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let part = |range: std::ops::Range<usize>| -> Option<i32> {
                    let digits = zone.get(range)?;
                    digits
                        .bytes()
                        .all(|byte| byte.is_ascii_digit())
                        .then(|| digits.parse().ok())?
                };
                let (hours, minutes) = (part(1..3)?, part(4..6)?);
                if hours > 24 || minutes > 60 {
                    return None;
                }
                let offset = hours * 3600 + minutes * 60;
                if *sign == b'-' { -offset } else { offset }
            }
            _ => return None,
        };
        let small = |value: i16| i8::try_from(value).ok();
        let date =
            jiff::civil::Date::new(number(0..4)?, small(number(5..7)?)?, small(number(8..10)?)?)
                .ok()?;
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = i64::from(
            date.since(jiff::civil::Date::constant(1970, 1, 1))
                .ok()?
                .get_days(),
        );
        let seconds =
            days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
                - i64::from(offset);
        let nanoseconds = format!("{fraction:0<9.9}").parse().ok()?;
        Some(Self::new(seconds, nanoseconds, offset))
    }

    pub(super) fn seconds(self) -> i64 {
        self.seconds
    }

    /// Go's zero time: the first second of the year 1.
    pub(super) fn is_zero(self) -> bool {
        self.seconds == *BOUNDS.start() && self.nanoseconds == 0
    }

    /// This and `nanoseconds` more.
    pub(super) fn add(self, nanoseconds: i64) -> Result<Self, Error> {
        let total = i128::from(self.seconds) * 1_000_000_000
            + i128::from(self.nanoseconds)
            + i128::from(nanoseconds);
        let seconds = i64::try_from(total.div_euclid(1_000_000_000))
            .map_err(|_| Error::fixed("timestamp overflow"))?;
        let rest = i32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or_default();
        Self::new(seconds, rest, self.offset)
    }

    /// The nanoseconds from `other` to this.
    pub(super) fn since(self, other: Self) -> Result<i64, Error> {
        let nanoseconds = (i128::from(self.seconds) - i128::from(other.seconds)) * 1_000_000_000
            + i128::from(self.nanoseconds)
            - i128::from(other.nanoseconds);
        i64::try_from(nanoseconds).map_err(|_| Error::fixed("integer overflow"))
    }

    /// `part` of this, in the zone that is `offset` seconds east of UTC.
    pub(super) fn part(self, part: Part, offset: i32) -> i64 {
        let local = self.seconds + i64::from(offset);
        let date = date_of(local);
        let of_day = local.rem_euclid(86_400);
        match part {
            Part::FullYear => i64::from(date.year()),
            Part::Month => i64::from(date.month()) - 1,
            Part::DayOfYear => i64::from(date.day_of_year()) - 1,
            Part::DayOfMonth => i64::from(date.day()) - 1,
            Part::Date => i64::from(date.day()),
            Part::DayOfWeek => i64::from(date.weekday().to_sunday_zero_offset()),
            Part::Hours => of_day / 3600,
            Part::Minutes => of_day / 60 % 60,
            Part::Seconds => of_day % 60,
            Part::Milliseconds => i64::from(self.nanoseconds / 1_000_000),
        }
    }

    /// The seconds east of UTC of a zone: `+02:00`, `-5:30`, or a name of the time zone database.
    pub(super) fn offset_of(self, zone: &str) -> Result<i32, Error> {
        let Some((hours, minutes)) = zone.split_once(':') else {
            if matches!(zone, "" | "UTC") {
                return Ok(0);
            }
            let unknown = || Error::new(format!("unknown time zone {zone}"));
            let zone = jiff::tz::TimeZoneDatabase::bundled()
                .get(zone)
                .map_err(|_| unknown())?;
            let time = jiff::Timestamp::from_second(self.seconds).map_err(|_| unknown())?;
            return Ok(zone.to_offset(time).seconds());
        };
        let part = |text: &str| {
            let shape = text.strip_prefix(['+', '-']).unwrap_or(text);
            let is_number = !shape.is_empty() && shape.bytes().all(|byte| byte.is_ascii_digit());
            is_number
                .then(|| text.parse::<i32>().ok())
                .flatten()
                .ok_or_else(|| {
                    Error::new(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
                })
        };
        let (hours, minutes) = (part(hours)?, part(minutes)?);
        let minutes = if zone.starts_with('-') {
            hours.saturating_mul(60).saturating_sub(minutes)
        } else {
            hours.saturating_mul(60).saturating_add(minutes)
        };
        Ok(minutes.saturating_mul(60).clamp(-360_000, 360_000))
    }
}

fn date_of(local_seconds: i64) -> jiff::civil::Date {
    let days = i32::try_from(local_seconds.div_euclid(86_400)).unwrap_or_default();
    jiff::civil::Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(days))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.seconds + i64::from(self.offset);
        let date = date_of(local);
        let of_day = local.rem_euclid(86_400);
        write!(
            out,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60
        )?;
        if self.nanoseconds > 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(out, ".{}", fraction.trim_end_matches('0'))?;
        }
        if self.offset == 0 {
            return out.write_str("Z");
        }
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs() / 60;
        write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// A duration as Go writes it: `-1.5h`, `1h30m`, `300ms`; in nanoseconds.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_negative = text.starts_with('-');
    if unsigned == "0" {
        return Some(0);
    }
    if unsigned.is_empty() {
        return None;
    }
    let mut rest = unsigned;
    let mut total: u64 = 0;
    let limit = 1u64 << 63;
    while !rest.is_empty() {
        let whole_end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let whole = &rest[..whole_end];
        rest = &rest[whole_end..];
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            let end = after
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(after.len());
            fraction = &after[..end];
            rest = &after[end..];
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_end = rest
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit: u64 = match &rest[..unit_end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        rest = &rest[unit_end..];
        let mut value = if whole.is_empty() {
            0
        } else {
            whole.parse::<u64>().ok()?.checked_mul(unit)?
        };
        if !fraction.is_empty() {
            // Digits that no longer fit are of no weight.
            let digits = &fraction[..fraction.len().min(18)];
            let scale = 10f64.powi(i32::try_from(digits.len()).unwrap_or_default());
            let part = digits.parse::<u64>().ok()? as f64 * (unit as f64 / scale);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a part of one unit, as Go truncates it"
            )]
            let part = part as u64;
            value = value.checked_add(part)?;
        }
        total = total.checked_add(value)?;
        if total > limit {
            return None;
        }
    }
    if is_negative {
        return 0i64.checked_sub_unsigned(total);
    }
    i64::try_from(total).ok()
}
