//! Schedules of cron jobs.

const FIELDS: [(&str, u8, u8, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of month", 1, 31, &[]),
    (
        "month",
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (
        "day of week",
        0,
        6,
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ),
];
const WORDS: [&str; 7] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

/// What is wrong with a schedule, as half a sentence, or `None`. The notation is that of
/// robfig/cron's standard parser, which Kubernetes uses; `@every` is left out, since a cron job
/// that drifts is rarely meant.
pub fn problem(schedule: &str) -> Option<String> {
    if schedule.starts_with('@') {
        return (!WORDS.contains(&schedule)).then(|| format!("is not one of {}", WORDS.join(", ")));
    }
    if schedule.to_uppercase().contains("TZ=") {
        return Some("names a time zone; that is the field `timeZone`".into());
    }
    let fields: Vec<_> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Some(format!("has {} fields instead of 5", fields.len()));
    }
    fields.iter().zip(FIELDS).find_map(|(field, (name, low, high, words))| {
        field
            .split(',')
            .find(|part| !is_part(part, low, high, words))
            .map(|part| format!("has `{part}` as {name}, which must be from {low} to {high}, `*`, `a-b` or `*/step`"))
    })
}

fn is_part(part: &str, low: u8, high: u8, words: &[&str]) -> bool {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    let step_is_good = step.is_none_or(|step| step.parse::<u8>().is_ok_and(|step| step > 0));
    let value = |text: &str| -> Option<u8> {
        let word = words
            .iter()
            .position(|word| text.eq_ignore_ascii_case(word));
        match word {
            Some(at) => u8::try_from(at).ok().map(|at| at + low),
            None => text.parse().ok(),
        }
        .filter(|value| (low..=high).contains(value))
    };
    let range_is_good = match range.split_once('-') {
        Some((from, to)) => {
            matches!((value(from), value(to)), (Some(from), Some(to)) if from <= to)
        }
        None => matches!(range, "*" | "?") || value(range).is_some(),
    };
    step_is_good && range_is_good
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn valid_schedules_have_no_problem_and_others_have_one() {
        for good in [
            "0 3 * * *",
            "*/15 0-6 1,15 * mon-fri",
            "@daily",
            "0 0 1 JAN ?",
            "5/10 * * * 0",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in [
            "",
            "daily",
            "* * * *",
            "0 3 * * * *",
            "60 * * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "*/0 * * * *",
            "0 0 * * 7",
            "5-1 * * * *",
            "TZ=UTC 0 0 * * *",
            "@every 5m",
        ] {
            assert!(problem(bad).is_some(), "{bad}");
        }
    }
}
