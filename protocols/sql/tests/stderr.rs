//! A test by itself, for it looks at what belongs to the whole process.

#![cfg(target_os = "linux")]

use std::{fs, thread};

use gatewright_sql::{Analyser, AnalyserLimits};

/// libpg_query has code that points file descriptor 2 at a pipe while it parses, without regard to other
/// threads. The version in use is built without it (`#define DEBUG` in its `pg_query_internal.h`); with it,
/// threads that parse at the same time leave the process without its standard error, and need a lock.
#[test]
fn standard_error_is_where_it_was_after_many_threads_analysed() {
    let before = fs::read_link("/proc/self/fd/2").unwrap();
    let analyser = Analyser::new(AnalyserLimits { cache_entries: 0, ..AnalyserLimits::default() });
    thread::scope(|scope| {
        for thread in 0..8 {
            let analyser = &analyser;
            scope.spawn(move || {
                for number in 0..1_000 {
                    analyser.analyse(&format!("select {number} from t{thread} where a = 'x'"));
                }
            });
        }
        for _ in 0..1_000 {
            assert_eq!(fs::read_link("/proc/self/fd/2").unwrap(), before, "also while others analyse");
        }
    });
    assert_eq!(fs::read_link("/proc/self/fd/2").unwrap(), before);
}
