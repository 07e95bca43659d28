//! What a request costs before any policy or socket: `cargo run --release -p gatewright-http --example head_cost` prints it and
//! asserts nothing.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use gatewright_http::{
    headers::{HeaderRules, TokenHeader},
    inject::Injection,
    path, query,
    request::{Scheme, read},
    route::{Route, Routes},
    unit::Body,
};
use http::{Request, request::Parts};

#[allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "printing is what it is for, and its inputs are good"
)]
fn main() {
    let rules = HeaderRules::new(TokenHeader::Authorization, []);
    let route = |name: &str, path: &str| Route::new(name.into(), "*", path, Injection::default());
    let routes =
        [route("api", "/api/{tenant}/items"), route("all", "/")].into_iter().collect::<Result<_, _>>();
    let routes = Routes::new(routes.expect("good routes")).expect("a good table");
    let show = |name: &str, mean: Duration| println!("{name:<34} {:>7} ns", mean.as_nanos());
    show("a plain path", mean(|| drop(black_box(path::canonical(black_box("/api/blue/items/4711"))))));
    show(
        "an encoded path",
        mean(|| drop(black_box(path::canonical(black_box("/api/b%6cue/it%65ms/%c3%bc%20"))))),
    );
    show(
        "a query of three",
        mean(|| drop(black_box(query::canonical(black_box("page=2&size=50&sort=name"))))),
    );
    let parts = request();
    show(
        "a head of ten headers, with route",
        mean(|| {
            let checked = read(black_box(&parts), Body::None, &rules, Scheme::Https);
            drop(black_box(checked.map(|checked| checked.route(&routes))));
        }),
    );
}

#[allow(clippy::expect_used, reason = "a request that is written here is good")]
fn request() -> Parts {
    let request = Request::get("/api/blue/items/4711?page=2&size=50&sort=name")
        .header("host", "api.example")
        .header("authorization", format!("Bearer {}", "a".repeat(400)))
        .header("user-agent", "curl/8.14.1")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, br")
        .header("accept-language", "en")
        .header("cookie", "session=0123456789abcdef")
        .header("referer", "https://api.example/")
        .header("x-request-id", "0123456789abcdef")
        .header("connection", "keep-alive");
    request.body(()).expect("a good request").into_parts().0
}

fn mean(mut run: impl FnMut()) -> Duration {
    const TIMES: u32 = 200_000;
    let start = Instant::now();
    for _ in 0..TIMES {
        run();
    }
    start.elapsed() / TIMES
}
