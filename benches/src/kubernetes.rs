//! What a long list costs, as it is and with every value in it hidden: `cargo xtask bench kubernetes`.

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

/// Direct, through the gateway, and through one that masks.
pub(crate) fn measure(plan: Plan) -> Result<()> {
    let stage = Stage::new("bench-kubernetes")?;
    let server = Kubernetes::with_secrets(&stage, SECRETS)?;
    let port = free_port()?;
    let gateway = gateway(&stage, &server, port, false)?;
    let masking_port = free_port()?;
    let masking = self::gateway(&stage, &server, masking_port, true)?;
    let mint = Mint { ttl: "10h", ..Mint::default() };
    let (token, masking_token) = (gateway.token(&mint)?, masking.token(&mint)?);
    let list = "/api/v1/namespaces/synthetic/secrets";
    let each = [
        ("direct", None, format!("{}{list}", server.url()), ADMIN_TOKEN),
        ("gateway", Some(gateway.pid()), format!("https://127.0.0.1:{port}{list}"), token.as_str()),
        (
            "gateway, masking",
            Some(masking.pid()),
            format!("https://127.0.0.1:{masking_port}{list}"),
            masking_token.as_str(),
        ),
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
    gateway.end()?;
    masking.end()
}

fn gateway(stage: &Stage, server: &Kubernetes, port: u16, masks: bool) -> Result<Gateway> {
    let setup = Setup::new(stage, if masks { "masking" } else { "gateway" }, &gateway_program()?)?;
    let setup = setup.process(&["workers = 1"]);
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
    let mut setup = setup.policy("rules", &document("kubernetes_rules.wasm", RULES)?)?;
    if masks {
        setup = setup.policy("masks", &document("mask_json.wasm", MASKS)?)?;
    }
    setup.serving("cluster", "kubernetes", port, true, &target).start()
}

fn document(module: &str, settings: &str) -> Result<String> {
    let path = modules_directory(&[module])?.join(module);
    let name = module.trim_end_matches(".wasm").replace('_', "-");
    Ok(format!("name = \"{name}\"\nmodule = \"{}\"\n{settings}", path.display()))
}

const RULES: &str = r#"[match]
protocols = ["kubernetes"]
[[settings.rules]]
name = "look"
verbs = ["get", "list", "watch"]
resources = ["*"]
decision = "allow"
"#;

const MASKS: &str = r#"[match]
protocols = ["kubernetes"]
[[settings.rules]]
name = "secrets"
resources = ["secrets"]
values = [{ path = "$.data.*", method = "redact" }]
"#;
