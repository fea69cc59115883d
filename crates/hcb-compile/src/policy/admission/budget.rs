//! Variables that are computed when they are asked for, and budgets that all expressions of one
//! kind share.

use std::cell::{Cell, RefCell};

/// What all validations and their messages may cost together (`RuntimeCELCostBudget`).
pub(super) const VALIDATION_BUDGET: u64 = 10_000_000;

/// What all `matchConditions` may cost together (`RuntimeCELCostBudgetMatchConditions`).
pub(super) const MATCH_BUDGET: u64 = 2_500_000;

/// Evaluates the expressions of one kind, one after another.
pub(super) struct Evaluator<'a, 'v> {
    variables: &'a [(String, hcb_cel::Program)],
    values: &'v [(&'v str, hcb_cel::Value<'a>)],
    known: RefCell<Vec<Option<Result<hcb_cel::Value<'a>, hcb_cel::Error>>>>,
    spent_on_variables: Cell<u64>,
    budget: u64,
}

impl<'a, 'v> Evaluator<'a, 'v> {
    pub(super) fn new(
        variables: &'a [(String, hcb_cel::Program)],
        values: &'v [(&'v str, hcb_cel::Value<'a>)],
        budget: u64,
    ) -> Self {
        Self {
            variables,
            values,
            known: RefCell::new(vec![None; variables.len()]),
            spent_on_variables: Cell::new(0),
            budget,
        }
    }

    /// What is left.
    pub(super) fn budget(&self) -> u64 {
        self.budget
    }

    /// The value of an expression, or why it has none. The outer error is that of all expressions:
    /// the budget is spent.
    pub(super) fn evaluate(
        &mut self,
        program: &'a hcb_cel::Program,
        expression: &str,
    ) -> Result<Result<hcb_cel::Value<'a>, String>, String> {
        let activation = hcb_cel::Activation::of(self.values).with_variables(self);
        let evaluation = program.evaluate(&activation);
        let spent = evaluation
            .cost
            .saturating_add(self.spent_on_variables.replace(0));
        if spent > self.budget {
            return Err("validation failed due to running out of cost budget, no further validation rules will be run".to_owned());
        }
        self.budget -= spent;
        Ok(evaluation
            .value
            .map_err(|error| format!("expression '{expression}' resulted in error: {error}")))
    }
}

impl<'a> hcb_cel::Variables<'a> for Evaluator<'a, '_> {
    fn variable(&self, name: &str) -> Result<hcb_cel::Value<'a>, hcb_cel::Error> {
        let Some(index) = self.variables.iter().position(|(known, _)| known == name) else {
            return Err(hcb_cel::Error::new(format!("no such key: {name}")));
        };
        if let Some(known) = &self.known.borrow()[index] {
            return known.clone();
        }
        let activation = hcb_cel::Activation::of(self.values).with_variables(self);
        let evaluation = self.variables[index].1.evaluate(&activation);
        let spent = self.spent_on_variables.get();
        self.spent_on_variables
            .set(spent.saturating_add(evaluation.cost));
        let value = evaluation.value.map_err(|error| {
            hcb_cel::Error::new(format!(
                "composited variable {name:?} fails to evaluate: {error}"
            ))
        });
        self.known.borrow_mut()[index] = Some(value.clone());
        value
    }
}
