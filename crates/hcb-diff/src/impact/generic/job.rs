//! Jobs that are replaced, end or begin.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::pair::Action;
use crate::pair::Pair;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "job-replaced",
    about: "a Job ends and another begins, a Job ends for good, a Job begins, or the next runs of a CronJob change",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(&[kinds::JOB, kinds::CRON_JOB]) {
        let is_cron = pair.object().group_kind() == kinds::CRON_JOB;
        match pair.action {
            Action::Replace => replaced(context, effects, index, pair),
            Action::Remove if is_cron => {
                effects.of_pair(
                    index,
                    Level::Danger,
                    "deleted: it no longer runs, and current runs end at once",
                );
            }
            Action::Remove => {
                let (level, text) = match runs(context, pair) {
                    Some(true) => (
                        Level::Danger,
                        "deleted: it runs now, and its pods end at once",
                    ),
                    Some(false) => (Level::Note, "deleted: it has ended"),
                    None => (Level::Danger, "deleted: pods that still run end at once"),
                };
                effects.of_pair(index, level, text);
            }
            Action::Add if is_cron => {
                effects.of_pair(index, Level::Note, "new: runs by its schedule");
            }
            Action::Add => {
                effects.of_pair(index, Level::Note, "new: begins when it is applied");
            }
            Action::Change if is_cron && pair.touches(&["spec", "jobTemplate"]) => {
                effects.of_pair(
                    index,
                    Level::Note,
                    "the next run is another; a current run is left alone",
                );
            }
            Action::Change | Action::Move => {}
        }
    }
}

/// Whether the Job runs, where its cluster was asked.
fn runs(context: &Context<'_>, pair: &Pair) -> Option<bool> {
    let path = &pair.before.as_ref()?.path;
    context.jobs.get(path).copied()
}

fn replaced(context: &Context<'_>, effects: &mut Effects, index: usize, pair: &Pair) {
    let effect = match runs(context, pair) {
        Some(true) => {
            "replaced: the old Job runs now and ends, and the new one begins from the start"
        }
        Some(false) => {
            let effect = "replaced: the old Job has ended, and the new one begins from the start";
            effects.of_pair(index, Level::Note, effect);
            return;
        }
        None => {
            "replaced: if the old Job still runs it ends, and the new one begins from the start"
        }
    };
    // A Job that changes although nobody touched its workload comes as a surprise to its team.
    let causes = &context.causes[index];
    let own = pair
        .object()
        .origin
        .as_ref()
        .map(|place| place.file.as_str());
    let name = pair.object().known_as();
    let is_own = |cause: &crate::cause::Cause| {
        Some(cause.place.file.as_str()) == own
            || cause
                .after
                .iter()
                .chain(&cause.before)
                .any(|line| line.contains(name))
    };
    let by_others = causes.iter().any(crate::cause::Cause::is_exact) && !causes.iter().any(is_own);
    if by_others {
        effects
            .of_pair(index, Level::Danger, effect)
            .detail("the workload itself did not change: this is a side effect");
    } else {
        effects.of_pair(index, Level::Caution, effect);
    }
}
