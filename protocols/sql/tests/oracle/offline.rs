//! Against PostgreSQL's tree.

use std::{collections::BTreeMap, thread};

use crate::{
    compare::{Outcome, analyse, compare, lost},
    corpus,
    mutate::{MUTATIONS, Statement},
    page,
};

/// What became of many texts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    agreed: usize,
    unreadable: usize,
    refused: BTreeMap<String, usize>,
    missed: Vec<String>,
}

impl Counts {
    pub(crate) fn add(&mut self, text: &str, outcome: Outcome) {
        match outcome {
            Outcome::Agreed => self.agreed += 1,
            Outcome::Unreadable => self.unreadable += 1,
            Outcome::Refused(reason) => {
                *self.refused.entry(reason).or_default() += 1;
            }
            Outcome::Missed(what) => self.missed.push(format!("{what}: {text}")),
        }
    }

    /// Fails where something was missed, and else holds the counts to the page.
    fn hold(&self, part: &str, statements: usize) {
        for missed in self.missed.iter().take(100) {
            println!("MISSED {missed}");
        }
        assert!(self.missed.is_empty(), "{} missed", self.missed.len());
        let refused: usize = self.refused.values().sum();
        let mut rows = vec![
            ("statements".to_owned(), statements),
            ("texts read".to_owned(), self.agreed + self.unreadable + refused),
            ("agreed".to_owned(), self.agreed),
            ("no SQL to PostgreSQL, and refused".to_owned(), self.unreadable),
        ];
        let reasons = self.refused.iter();
        rows.extend(
            reasons.map(|(reason, count)| (format!("refused, though it could be read: {reason}"), *count)),
        );
        rows.push(("missed".to_owned(), self.missed.len()));
        page::hold(part, &rows);
    }

    fn join(mut self, other: Self) -> Self {
        self.agreed += other.agreed;
        self.unreadable += other.unreadable;
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
        self.missed.extend(other.missed);
        self
    }
}

/// Reads each text on all processors.
pub(crate) fn each(texts: &[String], read: impl Fn(&mut Counts, &str) + Sync) -> Counts {
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let size = texts.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = texts
            .chunks(size)
            .map(|part| {
                let read = &read;
                let work = move || {
                    let mut counts = Counts::default();
                    part.iter().for_each(|text| read(&mut counts, text));
                    counts
                };
                thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work).unwrap()
            })
            .collect();
        parts.into_iter().fold(Counts::default(), |all, part| all.join(part.join().unwrap()))
    })
}

#[test]
fn a014_no_statement_of_postgres_own_tests_is_read_as_less_than_it_is() {
    let Some(statements) = corpus::statements() else { return };
    let counts = each(&statements, |counts, text| {
        let outcome = compare(text, &analyse(text));
        counts.add(text, outcome);
    });
    counts.hold("statements", statements.len());
}

/// How many of the mutations are tried on each statement: all of them take minutes.
const TRIED: usize = 2;

#[test]
fn a012_no_spelling_of_a_statement_loses_what_it_does() {
    let Some(statements) = corpus::statements() else { return };
    let tried = if page::is_full() { MUTATIONS.len() } else { TRIED };
    let counts = each(&statements, |counts, text| {
        let original = analyse(text);
        let Some(statement) = Statement::of(text) else { return };
        // Which ones depends on the text alone, so that it is the same each time.
        let first =
            text.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        for at in 0..tried {
            let (name, keeps, mutation) = MUTATIONS[(first % MUTATIONS.len() + at * 7) % MUTATIONS.len()];
            let Some(mutant) = mutation(&statement) else { continue };
            let analysis = analyse(&mutant);
            let outcome = match compare(&mutant, &analysis) {
                Outcome::Agreed => {
                    lost(&original, &analysis, keeps).map_or(Outcome::Agreed, Outcome::Missed)
                }
                other => other,
            };
            counts.add(&format!("[{name}] {mutant}"), outcome);
        }
    });
    counts.hold("spellings", statements.len());
}
