//! What a month may cost.

use crate::context::{Context, Effects, Rule};
use crate::cost::of;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "monthly-cost",
    about: "a month costs more or less, at least or at most",
    check,
};

/// Differences below this are rounding.
const LEAST: f64 = 0.005;

fn check(context: &Context<'_>, effects: &mut Effects) {
    let Some((before, after)) = context.clouds() else {
        return;
    };
    let (old, new) = (of(before), of(after));
    let currency = after
        .config
        .budget
        .as_ref()
        .map(|budget| format!(" {}", budget.currency));
    let currency = currency.unwrap_or_default();
    for (what, was, is) in [
        ("at least", old.min, new.min),
        ("at most", old.max, new.max),
    ] {
        if (was - is).abs() < LEAST {
            continue;
        }
        let level = if is > was {
            Level::Caution
        } else {
            Level::Note
        };
        effects.of(
            "a month",
            level,
            format!(
                "costs {what} {is:.2}{currency}, not {was:.2} ({:+.2})",
                is - was
            ),
            context.config(),
        );
    }
}
