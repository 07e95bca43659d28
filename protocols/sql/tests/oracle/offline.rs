//! Against PostgreSQL's tree.

use std::{collections::BTreeMap, thread};

use crate::{
    compare::{Outcome, analyse, compare, lost},
    corpus,
    mutate::{MUTATIONS, Statement},
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
            Outcome::Unreadable => {
                if std::env::var_os("ORACLE_SHOW").is_some() {
                    println!("UNREADABLE {}", text.replace('\n', " "));
                }
                self.unreadable += 1
            }
            Outcome::Refused(reason) => {
                if std::env::var_os("ORACLE_SHOW").is_some() {
                    println!("REFUSED {reason}: {}", text.replace('\n', " "));
                }
                *self.refused.entry(reason).or_default() += 1;
            }
            Outcome::Missed(what) => self.missed.push(format!("{what}: {text}")),
        }
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
    println!("read {}", statements.len());
    let counts = each(&statements, |counts, text| {
        let outcome = compare(text, &analyse(text));
        counts.add(text, outcome);
    });
    println!("agreed {} unreadable {} refused {:?} missed {}", counts.agreed, counts.unreadable, counts.refused, counts.missed.len());
    for missed in counts.missed.iter().take(2000) {
        println!("MISSED {}", missed.replace('\n', " "));
    }
    assert!(counts.missed.is_empty());
}

/// How many of the mutations are tried on each statement: all of them take minutes.
const TRIED: usize = 2;

#[test]
fn a012_no_spelling_of_a_statement_loses_what_it_does() {
    let Some(statements) = corpus::statements() else { return };
    let all = std::env::var_os("GATEWRIGHT_ORACLE").is_some_and(|word| word == "full");
    let tried = if all { MUTATIONS.len() } else { TRIED };
    let counts = each(&statements, |counts, text| {
        let original = analyse(text);
        let Some(statement) = Statement::of(text) else { return };
        // Which ones depends on the text alone, so that it is the same each time.
        let first = text.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        for at in 0..tried {
            let (name, keeps, mutation) = MUTATIONS[(first % MUTATIONS.len() + at * 7) % MUTATIONS.len()];
            let Some(mutant) = mutation(&statement) else { continue };
            let analysis = analyse(&mutant);
            let outcome = match compare(&mutant, &analysis) {
                Outcome::Agreed => lost(&original, &analysis, keeps).map_or(Outcome::Agreed, Outcome::Missed),
                other => other,
            };
            counts.add(&format!("[{name}] {mutant}"), outcome);
        }
    });
    println!("agreed {} unreadable {} refused {:?} missed {}", counts.agreed, counts.unreadable, counts.refused, counts.missed.len());
    for missed in counts.missed.iter().take(2000) {
        println!("MISSED {}", missed.replace('\n', " "));
    }
    assert!(counts.missed.is_empty());
}
