//! What the gateway costs beside nginx and HAProxy: `cargo xtask bench http`.
//!
//! A small answer over connections that are kept, with the gateway's policy and its log on; nginx and HAProxy only pass
//! on. All three have one address on either side, and speak to a target without TLS.

mod haproxy;
mod nginx;
mod wrk;

use std::path::PathBuf;

use gatewright_testbed::{
    Certificates, Error, Gateway, Mint, Result, Setup, Stage, free_port, gateway_program, modules_directory,
};

use self::{haproxy::HaProxy, nginx::Nginx};
use crate::{
    Plan,
    turns::{self, Turn},
};

/// The target, and what stands in front of it.
#[derive(Debug)]
struct Ways {
    gateway: Gateway,
    gateway_port: u16,
    haproxy: HaProxy,
    nginx: Nginx,
    target: Nginx,
    tls: bool,
    token: String,
}

/// Everything on this page.
pub(crate) fn measure(plan: Plan) -> Result<()> {
    for tls in [false, true] {
        println!("\n## {}\n", if tls { "TLS towards clients" } else { "Without TLS" });
        let ways = Ways::open(tls)?;
        small_answers(&ways, plan)?;
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
        let gateway_port = free_port()?;
        let address = format!("address = \"127.0.0.1:{}\"", target.port());
        let lines = [&address, "account = \"bench\"", "credential = \"none\"", "tls = { mode = \"off\" }"];
        let setup = Setup::new(&stage, "gateway", &gateway_program()?)?;
        let setup = setup.policy("bench", &policy()?)?.serving("bench", "http", gateway_port, tls, &lines);
        let gateway = setup.start()?;
        let token = gateway.token(&Mint { ttl: "10h", ..Mint::default() })?;
        Ok(Self { gateway, gateway_port, haproxy, nginx, target, tls, token })
    }

    /// Names and processes, in the order of their turns, and where each is reached.
    fn each(&self) -> [(&'static str, Option<u32>, String); 4] {
        let url = |port: u16| {
            let scheme = if self.tls { "https" } else { "http" };
            format!("{scheme}://localhost:{port}/api/people/7")
        };
        // The target itself has no TLS: what is direct is the same in both halves.
        let direct = format!("http://localhost:{}/api/people/7", self.target.port());
        [
            ("direct", None, direct),
            ("nginx", Some(self.nginx.pid()), url(self.nginx.port())),
            ("HAProxy", Some(self.haproxy.pid()), url(self.haproxy.port())),
            ("gateway", Some(self.gateway.pid()), url(self.gateway_port)),
        ]
    }
}

fn small_answers(ways: &Ways, plan: Plan) -> Result<()> {
    let each = ways.each();
    let names: Vec<_> = each.iter().map(|(name, proxy, _)| (*name, *proxy)).collect();
    let sums = turns::take(&names, plan.rounds, |index, warming| {
        let seconds = if warming { 1 } else { plan.seconds };
        let (_, _, url) = each.get(index).ok_or_else(|| Error::new("there is no such way"))?;
        let run = wrk::get(url, &ways.token, seconds)?;
        Ok(Turn { done: run.requests, rate: run.rate })
    })?;
    println!("wrk, {} connections, an answer of 1 KB of JSON:\n", wrk::CONNECTIONS);
    turns::print(&sums, "requests a second", "request");
    Ok(())
}

/// One policy, with a handful of rules.
fn policy() -> Result<String> {
    let module: PathBuf = modules_directory(&["http_rules.wasm"])?.join("http_rules.wasm");
    Ok(format!(
        r#"name = "bench"
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
