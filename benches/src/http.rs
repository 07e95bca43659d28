//! What the gateway costs beside nginx and HAProxy: `cargo xtask bench http`.
//!
//! A small answer over connections that are kept, and a large one; with the gateway's policy and its log on. nginx and
//! HAProxy only pass on. All of them speak to a target without TLS.

mod haproxy;
mod nginx;
mod wrk;

use gatewright_testbed::{
    Certificates, Error, Gateway, Mint, Result, Setup, Stage, free_port, gateway_program, modules_directory,
};

use self::{haproxy::HaProxy, nginx::Nginx};
use crate::{
    Plan, curl,
    turns::{self, Turn},
};

/// The target, and what stands in front of it.
#[derive(Debug)]
struct Ways {
    gateway: Through,
    /// A second gateway, whose policy hides one field of the small answer and looks for card numbers in the large one.
    masking: Through,
    haproxy: HaProxy,
    nginx: Nginx,
    target: Nginx,
    tls: bool,
}

/// A gateway with one listener.
#[derive(Debug)]
struct Through {
    gateway: Gateway,
    port: u16,
    token: String,
}

/// A way to the target: its name, the process between, where it is reached, and with which token.
type Way<'w> = (&'static str, Option<u32>, String, &'w str);

/// Everything on this page.
pub(crate) fn measure(plan: Plan) -> Result<()> {
    for tls in [false, true] {
        println!("\n## {}\n", if tls { "TLS towards clients" } else { "Without TLS" });
        let ways = Ways::open(tls)?;
        for connections in wrk::CONNECTIONS {
            small_answers(&ways, connections, plan)?;
        }
        large_answers(&ways, plan)?;
        ways.end()?;
    }
    Ok(())
}

impl Ways {
    fn open(tls: bool) -> Result<Self> {
        let stage = Stage::new("bench-http")?;
        let certificates = Certificates::new(&stage, "tls")?;
        let pair = tls.then(|| certificates.server("server")).transpose()?;
        let target = Nginx::target(&stage)?;
        let nginx = Nginx::proxy(&stage, target.port(), pair.as_ref())?;
        let haproxy = HaProxy::start(&stage, target.port(), pair.as_ref())?;
        let through = |name: &str, policies: &[(&str, String)]| {
            Through::start(&stage, name, target.port(), tls, policies)
        };
        let gateway = through("gateway", &[("rules", rules()?)])?;
        let masking = through("masking", &[("rules", rules()?), ("masks", masks()?)])?;
        Ok(Self { gateway, masking, haproxy, nginx, target, tls })
    }

    /// The gateways end in good order: one that counts what runs in it writes that down then.
    fn end(self) -> Result<()> {
        self.gateway.gateway.end()?;
        self.masking.gateway.end()
    }

    /// All of them, in the order of their turns.
    fn each(&self, path: &str) -> [Way<'_>; 5] {
        let url = |port: u16| {
            let scheme = if self.tls { "https" } else { "http" };
            format!("{scheme}://localhost:{port}{path}")
        };
        let (gateway, masking) = (&self.gateway, &self.masking);
        // The target itself has no TLS: what is direct is the same in both halves.
        let direct = format!("http://localhost:{}{path}", self.target.port());
        [
            ("direct", None, direct, ""),
            ("nginx", Some(self.nginx.pid()), url(self.nginx.port()), ""),
            ("HAProxy", Some(self.haproxy.pid()), url(self.haproxy.port()), ""),
            ("gateway", Some(gateway.gateway.pid()), url(gateway.port), &gateway.token),
            ("gateway, masking", Some(masking.gateway.pid()), url(masking.port), &masking.token),
        ]
    }
}

impl Through {
    fn start(
        stage: &Stage,
        name: &str,
        target: u16,
        tls: bool,
        policies: &[(&str, String)],
    ) -> Result<Self> {
        let port = free_port()?;
        let address = format!("address = \"127.0.0.1:{target}\"");
        let lines = [&address, "account = \"bench\"", "credential = \"none\"", "tls = { mode = \"off\" }"];
        // As the others: one thread that serves.
        let mut setup = Setup::new(stage, name, &gateway_program()?)?.process(&["workers = 1"]);
        for (name, text) in policies {
            setup = setup.policy(name, text)?;
        }
        let gateway = setup.serving("bench", "http", port, tls, &lines).start()?;
        let token = gateway.token(&Mint { ttl: "10h", ..Mint::default() })?;
        Ok(Self { gateway, port, token })
    }
}

fn small_answers(ways: &Ways, connections: u32, plan: Plan) -> Result<()> {
    let each = ways.each("/api/people/7");
    let names: Vec<_> = each.iter().map(|(name, proxy, ..)| (*name, *proxy)).collect();
    let sums = turns::take(&names, plan.rounds, |index, warming| {
        let seconds = if warming { 1 } else { plan.seconds };
        let (_, _, url, token) = each.get(index).ok_or_else(|| Error::new("there is no such way"))?;
        let run = wrk::get(url, token, connections, seconds)?;
        Ok(Turn { done: run.requests, rate: run.rate })
    })?;
    println!(
        "wrk, {connections} connections, an answer of 1 KB of JSON; the mask hides one field of it:\n"
    );
    turns::print(&sums, "requests a second", "request");
    Ok(())
}

fn large_answers(ways: &Ways, plan: Plan) -> Result<()> {
    let each = ways.each("/api/large.json");
    let names: Vec<_> = each.iter().map(|(name, proxy, ..)| (*name, *proxy)).collect();
    let sums = turns::take(&names, plan.rounds, |index, _| {
        let (_, _, url, token) = each.get(index).ok_or_else(|| Error::new("there is no such way"))?;
        let (seconds, bytes) = curl::fetch(url, token, 1)?;
        Ok(Turn { done: bytes / 1e6, rate: bytes / 1e6 / seconds })
    })?;
    println!(
        "An answer of {} MB of JSON, one connection; the mask looks for card numbers in all of it:\n",
        nginx::LARGE / 1_000_000
    );
    turns::print(&sums, "MB a second", "MB");
    Ok(())
}

/// One policy, with a handful of rules.
fn rules() -> Result<String> {
    let module = modules_directory(&["http_rules.wasm"])?.join("http_rules.wasm");
    Ok(format!(
        r#"name = "rules"
module = "{}"
[match]
protocols = ["http"]
[[settings.rules]]
name = "no-deletes"
methods = ["DELETE"]
paths = ["/api/**"]
decision = "block"
reason = "nothing is deleted here"
[[settings.rules]]
name = "read"
methods = ["GET", "HEAD"]
paths = ["/api/**"]
decision = "allow"
"#,
        module.display()
    ))
}

fn masks() -> Result<String> {
    let module = modules_directory(&["mask_json.wasm"])?.join("mask_json.wasm");
    Ok(format!(
        r#"name = "masks"
module = "{}"
[match]
protocols = ["http"]
[[settings.rules]]
name = "person"
paths = ["/api/people/*"]
values = [{{ path = "$.email", method = "redact" }}]
[[settings.rules]]
name = "cards"
paths = ["/api/large.json"]
detectors = [{{ detector = "card_number", method = {{ partial = 4 }} }}]
"#,
        module.display()
    ))
}
