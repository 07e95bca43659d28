//! How often somebody has chosen rows by a masked column: each time is a guess at its values (threats A28).

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// The guesses of all sessions of a target. Whoever connects again begins with what is left.
#[derive(Debug, Clone, Default)]
pub struct Guesses {
    // Touched by statements that choose by a masked column only.
    made: Arc<Mutex<HashMap<Key, Made>>>,
}

/// A principal, and the masked column as `schema.relation.column`.
type Key = (Arc<str>, Arc<str>);

#[derive(Debug, Clone, Copy)]
struct Made {
    since: Instant,
    count: u32,
}

/// For how long a guess counts.
const HOUR: Duration = Duration::from_secs(3600);

/// Pairs of principal and column that are counted at one time. Whoever comes when there are more may not guess.
const MOST: usize = 65_536;

impl Guesses {
    /// May this principal guess once more, with `most` guesses an hour? If so, it is counted.
    pub fn take(&self, subject: &Arc<str>, column: &Arc<str>, most: u32, now: Instant) -> bool {
        let mut all = self.made.lock();
        let is_over = |made: &Made| now.saturating_duration_since(made.since) >= HOUR;
        let key = (Arc::clone(subject), Arc::clone(column));
        if let Some(made) = all.get_mut(&key).filter(|made| !is_over(made)) {
            let may = made.count < most;
            made.count += u32::from(may);
            return may;
        }
        if all.len() >= MOST {
            all.retain(|_, made| !is_over(made));
        }
        let may = most > 0 && all.len() < MOST;
        if may {
            all.insert(key, Made { since: now, count: 1 });
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a028_guesses_are_counted_for_an_hour_and_for_each_principal() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let (alice, bob): (Arc<str>, Arc<str>) = (Arc::from("alice"), Arc::from("bob"));
        let (ssn, card): (Arc<str>, Arc<str>) = (Arc::from("p.people.ssn"), Arc::from("p.people.card"));
        let take = |who: &Arc<str>, column: &Arc<str>, at: Instant| guesses.take(who, column, 2, at);
        assert!(take(&alice, &ssn, now) && take(&alice, &ssn, now));
        assert!(!take(&alice, &ssn, now) && !take(&alice, &ssn, now + HOUR / 2));
        assert!(take(&bob, &ssn, now) && take(&alice, &card, now));
        assert!(take(&alice, &ssn, now + HOUR), "a new hour");
        assert!(!guesses.take(&bob, &card, 0, now));
    }

    #[test]
    fn a028_there_is_an_end_to_what_is_counted() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let column = Arc::from("c");
        for who in 0..MOST {
            assert!(guesses.take(&Arc::from(who.to_string()), &column, 1, now));
        }
        assert!(!guesses.take(&Arc::from("late"), &column, 1, now));
        assert!(guesses.take(&Arc::from("late"), &column, 1, now + HOUR), "those of before are over");
        assert_eq!(guesses.made.lock().len(), 1);
    }
}
