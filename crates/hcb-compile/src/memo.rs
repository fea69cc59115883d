//! What was made already: for other clusters of a run, since most of a fleet is the same in all of them, and by
//! earlier runs over the same spec, so that after a small change little is done again.
//!
//! Each stage has caches of its own, which it alone knows; [`crate::compile::Memo`] holds those of a run. Everything
//! in a cache is found by the content that it was made of, never by time or place, so that a run with full caches
//! makes what a run with empty ones makes. The templates are not among that content: other templates need others.

use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// What is not used for so many runs is forgotten: what is changed and changed back is still there.
const KEPT_FOR: u64 = 8;

/// The content of something in 128 bits: things of one fingerprint are taken for the same. It says nothing
/// outside of the process, where it would be another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64, u64);

/// Verdicts of policies are found by fingerprints, so nobody who writes a spec may be able to look for two
/// things that have the same: each process has a key of its own.
static KEY: LazyLock<(u64, u64)> = LazyLock::new(|| {
    let random = || RandomState::new().build_hasher().finish();
    (random(), random())
});

fn hasher() -> SipHasher13 {
    SipHasher13::new_with_keys(KEY.0, KEY.1)
}

impl Fingerprint {
    /// The fingerprint of something.
    pub fn of(content: impl Hash) -> Self {
        let mut hasher = hasher();
        content.hash(&mut hasher);
        Self::from(&hasher)
    }

    /// The fingerprint of several things in their order.
    pub fn of_all(contents: impl IntoIterator<Item = impl Hash>) -> Self {
        let mut hasher = hasher();
        let mut count = 0_usize;
        for content in contents {
            content.hash(&mut hasher);
            count += 1;
        }
        hasher.write_usize(count);
        Self::from(&hasher)
    }

    /// The fingerprint of JSON, in which the order of keys counts, as it does where JSON is written.
    pub fn of_json(value: &Value) -> Self {
        let mut hasher = hasher();
        hash_json(value, &mut hasher);
        Self::from(&hasher)
    }
}

/// One of 64 bits could be that of two things some day.
impl From<&SipHasher13> for Fingerprint {
    fn from(hasher: &SipHasher13) -> Self {
        let hash = hasher.finish128();
        Self(hash.h1, hash.h2)
    }
}

fn hash_json(value: &Value, to: &mut impl Hasher) {
    match value {
        Value::Null => to.write_u8(0),
        Value::Bool(value) => to.write_u8(1 + u8::from(*value)),
        // Numbers have a `Hash` of their own, in which those of other kinds are the same.
        Value::Number(value) => {
            if let Some(value) = value.as_u64() {
                to.write_u8(3);
                to.write_u64(value);
            } else if let Some(value) = value.as_i64() {
                to.write_u8(7);
                to.write_i64(value);
            } else {
                to.write_u8(8);
                to.write_u64(value.as_f64().unwrap_or_default().to_bits());
            }
        }
        Value::String(value) => {
            to.write_u8(4);
            value.hash(to);
        }
        Value::Array(items) => {
            to.write_u8(5);
            to.write_usize(items.len());
            for item in items {
                hash_json(item, to);
            }
        }
        Value::Object(entries) => {
            to.write_u8(6);
            to.write_usize(entries.len());
            for (key, value) in entries {
                key.hash(to);
                hash_json(value, to);
            }
        }
    }
}

/// A fingerprint is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write_u64(&mut self, part: u64) {
        self.0 ^= part;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What is kept of what was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: everything is made for each cluster anew.
    Nothing,
    /// What clusters have in common, for a run that no other follows.
    OneRun,
    /// That, and what only another run asks for again.
    Runs,
}

/// What was made, each with the run that last used it.
type Entries<V> = HashMap<Fingerprint, (u64, V), BuildHasherDefault<AsItIs>>;

/// Threads seldom want the same of so many parts.
const PARTS: usize = 64;

/// What was made, by the fingerprint of what it was made of.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    /// Whether anything is kept.
    keeps: bool,
    parts: [Mutex<Entries<V>>; PARTS],
    run: u64,
}

impl<V: Clone> Cache<V> {
    /// A cache for what clusters have in common.
    pub(crate) fn shared(keep: Keep) -> Self {
        Self::new(keep != Keep::Nothing)
    }

    /// A cache for what only another run asks for again.
    pub(crate) fn of_runs(keep: Keep) -> Self {
        Self::new(keep == Keep::Runs)
    }

    fn new(keeps: bool) -> Self {
        Self {
            keeps,
            parts: std::array::from_fn(|_| Mutex::default()),
            run: 0,
        }
    }

    /// What was made of something before, or is made of it now. `of` must tell all apart that `make` does.
    pub(crate) fn recall(&self, of: impl FnOnce() -> Fingerprint, make: impl FnOnce() -> V) -> V {
        if !self.keeps {
            return make();
        }
        let of = of();
        if let Some((run, made)) = self.part(of).get_mut(&of) {
            *run = self.run;
            return made.clone();
        }
        // Others go on meanwhile; that two make the same is no harm.
        let made = make();
        self.part(of).insert(of, (self.run, made.clone()));
        made
    }

    /// Ends a run: what has not been used for some runs is forgotten.
    pub(crate) fn end_run(&mut self) {
        self.run += 1;
        let run = self.run;
        for part in &mut self.parts {
            let made = part.get_mut().unwrap_or_else(PoisonError::into_inner);
            made.retain(|_, (used, _)| *used + KEPT_FOR > run);
        }
    }

    fn part(&self, of: Fingerprint) -> MutexGuard<'_, Entries<V>> {
        // The table goes by the lower bits of both halves.
        let part = of.0 >> 58;
        let part = &self.parts[usize::try_from(part).unwrap_or_default() % PARTS];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::cell::Cell;

    #[test]
    fn equal_values_have_equal_fingerprints_and_others_have_not() {
        let different = [
            json!(null),
            json!(true),
            json!(1),
            json!(1.0),
            json!(1.0_f64.to_bits()),
            json!(-1),
            json!(u64::MAX),
            json!(0),
            json!(0.0),
            json!(-0.0),
            json!("1"),
            json!(""),
            json!([]),
            json!([[]]),
            json!([1, 2]),
            json!([[1], 2]),
            json!(["ab", "c"]),
            json!(["a", "bc"]),
            json!({}),
            json!({"a": 1, "b": 2}),
            json!({"b": 2, "a": 1}),
            json!({"a": {"b": 2}}),
            json!([{"a": 1}, {"b": 2}]),
        ];
        for (index, one) in different.iter().enumerate() {
            assert_eq!(
                Fingerprint::of_json(one),
                Fingerprint::of_json(&one.clone())
            );
            for other in &different[..index] {
                assert_ne!(
                    Fingerprint::of_json(one),
                    Fingerprint::of_json(other),
                    "{one} {other}"
                );
            }
        }
    }

    #[test]
    fn a_used_entry_is_made_once_and_an_unused_one_is_forgotten() {
        let mut cache = Cache::new(true);
        let made = Cell::new(0);
        let recall = |cache: &Cache<&'static str>, of: &str| {
            cache.recall(
                || Fingerprint::of(of),
                || {
                    made.set(made.get() + 1);
                    "made"
                },
            );
            made.get()
        };
        assert_eq!(recall(&cache, "a"), 1);
        assert_eq!(recall(&cache, "b"), 2);
        for _ in 0..KEPT_FOR {
            cache.end_run();
            assert_eq!(recall(&cache, "a"), 2);
        }
        assert_eq!(recall(&cache, "b"), 3);
    }

    #[test]
    fn a_memo_that_keeps_nothing_makes_every_entry_again() {
        let cache = Cache::new(false);
        for round in 0..3 {
            let fingerprint = || unreachable!("it is not asked for");
            assert_eq!(cache.recall(fingerprint, || round), round);
        }
    }
}
