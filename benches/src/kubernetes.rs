//! What a long list costs: `cargo xtask bench kubernetes`.

use gatewright_testbed::{
    ADMIN_TOKEN, Error, Gateway, Kubernetes, Mint, Result, Setup, Stage, free_port, gateway_program,
    modules_directory,
};

use crate::{
    Plan, curl,
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
        let (seconds, size) = curl::fetch(url, token, lists)?;
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
