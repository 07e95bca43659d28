//! A test by itself, for it looks at what belongs to the whole process.

#![cfg(target_os = "linux")]

use std::{fs, thread};

use gatewright_sql::{Analyser, AnalyserLimits};

/// libpg_query points file descriptor 2 elsewhere while it parses. Threads that did that at the same time
/// would leave the process without its standard error.
#[test]
fn standard_error_is_where_it_was_after_many_threads_analysed() {
    let before = fs::read_link("/proc/self/fd/2").unwrap();
    let analyser = Analyser::new(AnalyserLimits { cache_entries: 0, ..AnalyserLimits::default() });
    thread::scope(|scope| {
        for thread in 0..8 {
            let analyser = &analyser;
            scope.spawn(move || {
                for number in 0..300 {
                    analyser.analyse(&format!("select {number} from t{thread} where a = 'x'"));
                }
            });
        }
    });
    assert_eq!(fs::read_link("/proc/self/fd/2").unwrap(), before);
}
