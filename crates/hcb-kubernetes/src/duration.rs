//! Durations as Go writes them, which is how Kubernetes does.

use std::fmt;
use std::time::Duration;

/// A duration of whole seconds, read from and written to the notation of Go: `90s`, `1h30m`.
/// Days (`7d`) are read too, since people think in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(u64);

impl Seconds {
    /// Reads `1h30m`, `45s`, `7d`. `None` if it is not a duration or longer than ten years.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut seconds = 0_u64;
        let mut last_unit = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let count: u64 = rest[..digits].parse().ok()?;
            let unit = match rest[digits..].chars().next()? {
                'd' => 86_400,
                'h' => 3_600,
                'm' => 60,
                's' => 1,
                _ => return None,
            };
            // From large to small, each once, as people write them.
            if unit >= last_unit {
                return None;
            }
            last_unit = unit;
            seconds = seconds.checked_add(count.checked_mul(unit)?)?;
            rest = &rest[digits + 1..];
        }
        let ten_years = 10 * 366 * 86_400;
        (!text.is_empty() && seconds <= ten_years).then_some(Self(seconds))
    }

    /// The number of seconds.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        Duration::from_secs(seconds.0)
    }
}

impl From<Duration> for Seconds {
    /// Whole seconds; what is left of one is dropped.
    fn from(duration: Duration) -> Self {
        Self(duration.as_secs())
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3_600, self.0 / 60 % 60, self.0 % 60);
        for (count, unit) in [(hours, "h"), (minutes, "m"), (seconds, "s")] {
            if count > 0 || (unit == "s" && self.0 == 0) {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl serde::Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_in_go() {
        for (text, written) in [
            ("90s", "1m30s"),
            ("1h30m", "1h30m"),
            ("0s", "0s"),
            ("7d", "168h"),
            ("60m", "1h"),
        ] {
            assert_eq!(
                Seconds::parse(text).map(|d| d.to_string()).as_deref(),
                Some(written)
            );
        }
        for text in [
            "",
            "5",
            "5 m",
            "m5",
            "5m1h",
            "1h1h",
            "-5m",
            "1.5h",
            "99999999999h",
        ] {
            assert_eq!(Seconds::parse(text), None, "{text}");
        }
    }
}
