//! What analysing costs: `cargo run --release --example cost` prints it and asserts nothing.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use gatewright_sql::{Analyser, AnalyserLimits};

const STATEMENTS: &[(&str, &str)] = &[
    ("point select", "select id, name, email from people where id = $1"),
    (
        "update",
        "update people set name = $1, email = $2, changed = now() where id = $3 and version = $4 returning version",
    ),
    (
        "CTE with joins and a window",
        "with recent as (select o.customer, sum(o.total) as total from orders o where o.placed > now() - interval '30 days' \
         group by o.customer), ranked as (select r.*, rank() over (order by r.total desc) as place from recent r) \
         select c.id, c.name, k.total, k.place from ranked k join customers c on c.id = k.customer left join \
         regions g on g.id = c.region where k.place <= 100 and g.name in ('north', 'south') order by k.place",
    ),
];

/// Bytes.
const LONG_TEXT: usize = 480_000;

/// Texts that are one thing many times.
const LONG: &[(&str, &str, &str)] = &[
    ("ANDs of constants", "select 1 where 1=1", " and 1=1"),
    ("ANDs of a column", "select 1 from t where a=1", " and a=1"),
    ("a list", "select 1 from t where a in (1", ",1"),
    ("rows", "insert into t values (1, 'x')", ", (1, 'x')"),
    ("statements", "select 1", ";"),
];

#[allow(clippy::print_stdout, reason = "printing is what it is for")]
fn main() {
    let kept = Analyser::new(AnalyserLimits::default());
    let forgetful = Analyser::new(AnalyserLimits { cache_entries: 0, ..AnalyserLimits::default() });
    println!("{:<30} {:>10} {:>14}", "", "kept", "read anew");
    for (name, text) in STATEMENTS {
        kept.analyse(text);
        let hit = mean(100_000, || drop(black_box(kept.analyse(black_box(text)))));
        let cold = mean(1_000, || drop(black_box(forgetful.analyse(black_box(text)))));
        println!("{name:<30} {:>7} ns {:>11.1} µs", hit.as_nanos(), cold.as_secs_f64() * 1e6);
    }
    println!();
    for (name, first, more) in LONG {
        let text = format!("{first}{}", more.repeat(LONG_TEXT / more.len()));
        let cold = mean(3, || drop(black_box(forgetful.analyse(black_box(&text)))));
        println!("{name:<30} {:>7} kB {:>11.1} ms", text.len() / 1_000, cold.as_secs_f64() * 1e3);
    }
}

fn mean(times: u32, mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        run();
    }
    start.elapsed() / times
}
