//! When cron jobs run.

use crate::context::{Context, Effects, Rule};
use crate::fields::plain;
use crate::kinds;
use crate::report::Level;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "schedule",
    about: "a CronJob runs at other times, or not at all",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds(&[kinds::CRON_JOB]) {
        let Some((before, after)) = pair.both() else {
            continue;
        };
        for (field, name) in [("schedule", "schedule"), ("timeZone", "time zone")] {
            let of = |value: &Value| value["spec"].get(field).map_or("none".to_owned(), plain);
            let (was, is) = (of(&before.value), of(&after.value));
            if was != is {
                effects.of_pair(
                    index,
                    Level::Caution,
                    format!("its {name} is {is}, not {was}"),
                );
            }
        }
        let suspended = |value: &Value| value.pointer("/spec/suspend") == Some(&Value::Bool(true));
        match (suspended(&before.value), suspended(&after.value)) {
            (false, true) => {
                effects.of_pair(index, Level::Caution, "suspended: it no longer runs");
            }
            (true, false) => {
                effects.of_pair(index, Level::Caution, "runs again: it was suspended");
            }
            _ => {}
        }
    }
}
