//! The budgets of bursting.

use crate::context::{Context, Effects, Rule};
use crate::report::Level;
use hcb_api::config::Budget;

pub(crate) const RULE: Rule = Rule {
    id: "budget",
    about: "bursting may cost more or less, or as much as it likes",
    check,
};

type Limit = fn(&Budget) -> Option<f64>;

fn check(context: &Context<'_>, effects: &mut Effects) {
    let Some((before, after)) = context.clouds() else {
        return;
    };
    let (old, new) = (&before.config.budget, &after.config.budget);
    let currency = new
        .as_ref()
        .or(old.as_ref())
        .map(|budget| budget.currency.clone());
    let currency = currency.unwrap_or_default();
    if let (Some(old), Some(new)) = (old, new)
        && old.currency != new.currency
    {
        effects.of(
            "budget",
            Level::Danger,
            format!(
                "is in {}, not in {}: all prices are taken for {} now",
                new.currency, old.currency, new.currency
            ),
            context.config(),
        );
    }
    let limits: [(&str, Limit); 2] = [
        ("hour", |budget| budget.per_hour),
        ("month", |budget| budget.per_month),
    ];
    for (span, limit) in limits {
        let of = |budget: &Option<Budget>| budget.as_ref().and_then(limit);
        let subject = format!("budget of a {span}").replace("a hour", "an hour");
        match (of(old), of(new)) {
            (Some(old), None) => {
                effects.of(subject, Level::Danger, format!("removed (was {old} {currency}): nothing stops the costs of bursting but capacity"), context.config());
            }
            (None, Some(new)) => {
                effects.of(
                    subject,
                    Level::Note,
                    format!("new: {new} {currency}"),
                    context.config(),
                );
            }
            (Some(old), Some(new)) if new > old => {
                effects.of(
                    subject,
                    Level::Caution,
                    format!("raised from {old} to {new} {currency}"),
                    context.config(),
                );
            }
            (Some(old), Some(new)) if new < old => {
                effects.of(subject, Level::Caution, format!("cut from {old} to {new} {currency}: jobs wait in the first tier when it is spent"), context.config());
            }
            _ => {}
        }
    }
}
