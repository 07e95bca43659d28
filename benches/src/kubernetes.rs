//! What a long list costs: `cargo xtask bench kubernetes`.

use std::process::Command;

use gatewright_testbed::{
    ADMIN_TOKEN, Error, Gateway, Kubernetes, Mint, Result, Setup, Stage, free_port, gateway_program,
    modules_directory,
};

use crate::{
    Plan,
    turns::{self, Turn},
};

/// Secrets in the list.
const SECRETS: usize = 5_000;

/// How often the list is asked for in one turn, on one connection.
const LISTS: u32 = 20;

/// Direct, and through the gateway.
pub(crate) fn measure(plan: Plan) -> Result<()> {
    let stage = Stage::new("bench-kubernetes")?;
    let server = Kubernetes::with_secrets(&stage, SECRETS)?;
    let port = free_port()?;
    let gateway = gateway(&stage, &server, port)?;
    let token = gateway.token(&Mint { ttl: "10h", ..Mint::default() })?;
    let list = "/api/v1/namespaces/synthetic/secrets";
    let each = [
        ("direct", None, format!("{}{list}", server.url()), ADMIN_TOKEN),
        ("gateway", Some(gateway.pid()), format!("https://127.0.0.1:{port}{list}"), token.as_str()),
    ];
    let names: Vec<_> = each.iter().map(|(name, proxy, ..)| (*name, *proxy)).collect();
    let mut bytes = 0.0;
    let sums = turns::take(&names, plan.rounds, |index, warming| {
        let (_, _, url, token) = each.get(index).ok_or_else(|| Error::new("there is no such way"))?;
        let lists = if warming { 1 } else { LISTS };
        let (seconds, size) = fetch(url, token, lists)?;
        bytes = size / f64::from(lists);
        Ok(Turn { done: f64::from(lists), rate: f64::from(lists) / seconds })
    })?;
    println!(
        "\nA list of {SECRETS} Secrets ({:.1} MB of JSON), one connection, TLS on both sides:\n",
        bytes / 1e6
    );
    turns::print(&sums, "lists a second", "list");
    Ok(())
}

fn gateway(stage: &Stage, server: &Kubernetes, port: u16) -> Result<Gateway> {
    let setup = Setup::new(stage, "gateway", &gateway_program()?)?;
    let authority = std::fs::read_to_string(server.authority())
        .map_err(|error| Error::new(format!("reading the server's authority: {error}")))?;
    setup.file("cluster.token", ADMIN_TOKEN)?;
    setup.file("cluster-ca.pem", &authority)?;
    let address = format!("address = \"127.0.0.1:{}\"", server.port());
    let target = [
        address.as_str(),
        "account = \"gateway\"",
        "password = { file = \"cluster.token\" }",
        "tls = { mode = \"verify\", ca = \"cluster-ca.pem\", server_name = \"localhost\" }",
    ];
    let module = modules_directory(&["http_rules.wasm"])?.join("http_rules.wasm");
    let policy = format!(
        "name = \"bench\"\nmodule = \"{}\"\n[match]\nprotocols = [\"http\"]\n[[settings.rules]]\n\
         name = \"read\"\nmethods = [\"GET\"]\npaths = [\"/api/**\"]\ndecision = \"allow\"\n",
        module.display()
    );
    setup.policy("bench", &policy)?.serving("cluster", "http", port, true, &target).start()
}

/// Seconds and bytes of so many answers on one connection.
fn fetch(url: &str, token: &str, times: u32) -> Result<(f64, f64)> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--insecure", "--fail", "--max-time", "600"]);
    curl.args(["--header", &format!("Authorization: Bearer {token}")]);
    curl.args(["--write-out", "%{time_total} %{size_download}\n"]);
    for _ in 0..times {
        curl.args(["--output", "/dev/null", url]);
    }
    let output = curl.output().map_err(|error| Error::new(format!("running curl: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.lines().filter_map(|line| {
        let (seconds, bytes) = line.split_once(' ')?;
        Some((seconds.parse::<f64>().ok()?, bytes.parse::<f64>().ok()?))
    });
    let (seconds, bytes) = numbers.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if output.status.success() && bytes > 0.0 {
        return Ok((seconds, bytes));
    }
    Err(Error::new(format!("curl ended with {}: {text}", output.status)))
}
