//! Amounts of resources, such as CPUs and memory.

use std::collections::BTreeMap;

/// Amounts by resource, in thousandths of the resource's unit.
pub type Amounts = BTreeMap<String, i128>;

/// Adds amounts.
pub fn add(total: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        match total.get_mut(resource) {
            Some(known) => *known += amount,
            None => drop(total.insert(resource.clone(), *amount)),
        }
    }
}

/// Whether so much free is enough for `requests`.
pub fn suffices(free: &Amounts, requests: &Amounts) -> bool {
    requests.iter().all(|(resource, amount)| {
        *amount == 0 || free.get(resource).is_some_and(|free| free >= amount)
    })
}

/// Takes `requests` from what is free.
pub fn take(free: &mut Amounts, requests: &Amounts) {
    for (resource, amount) in requests {
        if let Some(free) = free.get_mut(resource) {
            *free -= amount;
        }
    }
}
