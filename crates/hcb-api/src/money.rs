//! Money, counted in decimal fractions: a tenth is a tenth, however often it is added.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// An amount of money, in the currency of the budget. As JSON it is a text, so that no digit is lost.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(Decimal);

impl Money {
    /// None.
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// More than anybody has.
    pub const MAX: Self = Self(Decimal::MAX);

    /// The amount that a number in a configuration means: its shortest decimal notation. What is no amount of money,
    /// such as NaN or a negative number, is the largest one, since it must not count as nothing.
    pub fn of_number(number: f64) -> Self {
        let amount = number.to_string().parse::<Decimal>();
        let amount = amount.ok().or_else(|| Decimal::from_f64(number));
        amount
            .filter(|amount| !amount.is_sign_negative() || amount.is_zero())
            .map_or(Self::MAX, Self)
    }

    /// As a number, for metrics and for what earlier releases read.
    pub fn as_number(self) -> f64 {
        self.0.to_f64().unwrap_or(f64::MAX)
    }

    /// What so much an hour comes to from one time to another; nothing where the second is earlier.
    #[must_use]
    pub fn for_time(self, since: Timestamp, until: Timestamp) -> Self {
        let time = until.duration_since(since).max(SignedDuration::ZERO);
        let hours = Decimal::from_i128_with_scale(time.as_nanos().min(i128::from(i64::MAX)), 9)
            / Decimal::from(3600);
        Self(
            self.0
                .checked_mul(hours)
                .unwrap_or(Decimal::MAX)
                .round_dp(12),
        )
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self(
            self.0
                .checked_mul(Decimal::from(count))
                .unwrap_or(Decimal::MAX),
        )
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::add)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tenths_are_one() {
        let tenths: Money = std::iter::repeat_n(Money::of_number(0.1), 10).sum();
        assert_eq!(tenths, Money::of_number(1.0));
    }

    #[test]
    fn what_is_no_amount_never_counts_as_nothing() {
        for number in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(Money::of_number(number), Money::MAX);
        }
        assert_eq!(Money::of_number(-0.0), Money::ZERO);
        assert_eq!(Money::of_number(1e-7).to_string(), "0.0000001");
    }

    #[test]
    fn time_that_goes_back_costs_nothing() {
        let hour = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        let price = Money::of_number(0.25);
        assert_eq!(price.for_time(Timestamp::UNIX_EPOCH, hour), price);
        assert_eq!(price.for_time(hour, Timestamp::UNIX_EPOCH), Money::ZERO);
        assert_eq!(
            Money::MAX.for_time(Timestamp::MIN, Timestamp::MAX),
            Money(Decimal::MAX)
        );
    }
}
