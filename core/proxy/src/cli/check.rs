//! `gatewright check`: everything that `serve` checks, and no socket.

use gatewright_policy::{LoadProblem, PolicySet};
use serde_json::json;

use super::{Answer, ConfigArgument, Failure, Terminal, count, policy};
use crate::{
    case_reader::ProtocolCaseReader,
    config::{Config, Listener, Target, TargetTls},
    keys::Keys,
    revocations,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print what would be served, or what is wrong, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let config = match Config::load(arguments.config.path()) {
        Ok(config) => config,
        Err(errors) => {
            let problems = errors.problems();
            if arguments.json {
                terminal.json(&json!({ "ok": false, "problems": problems.to_json() }))?;
            } else {
                terminal.note(problems.render(terminal.colour))?;
                terminal.note(count(problems.len(), "problem"))?;
            }
            return Ok(Answer::No);
        }
    };
    let keys = Keys::check(&config.state).map_err(|error| error.to_string());
    let set = PolicySet::load(&config.policies, &policy::host()?, &ProtocolCaseReader::default());
    let revoked =
        revocations::load(&config.state).map(|list| list.len()).map_err(|error| error.to_string());
    let good = keys.is_ok() && set.is_ok() && revoked.is_ok();
    if arguments.json {
        terminal.json(&as_json(&config, &keys, &set, &revoked))?;
    } else {
        print(&config, &keys, &set, &revoked, terminal)?;
    }
    let answer = if good { Answer::Done } else { Answer::No };
    Ok(answer)
}

type CheckedKeys = Result<Vec<&'static str>, String>;
type CheckedSet = Result<PolicySet, Vec<LoadProblem>>;
type CheckedRevocations = Result<usize, String>;

fn as_json(
    config: &Config,
    keys: &CheckedKeys,
    set: &CheckedSet,
    revoked: &CheckedRevocations,
) -> serde_json::Value {
    let mut problems = config.warnings.to_json();
    if let serde_json::Value::Array(problems) = &mut problems {
        if let Err(keys) = keys {
            problems.push(json!({ "severity": "error", "message": keys }));
        }
        if let Err(revoked) = revoked {
            problems.push(json!({ "severity": "error", "message": revoked }));
        }
        if let Err(set) = set {
            problems.extend(policy::problems_json(set));
        }
    }
    json!({
        "ok": keys.is_ok() && set.is_ok() && revoked.is_ok(),
        "problems": problems,
        "config": config.digest,
        "listeners": config.listeners.iter().map(|listener| json!({
            "name": &*listener.name,
            "protocol": listener.protocol,
            "listen": listener.listen,
            "tls": client_tls(listener),
            "targets": listener.targets.iter().map(|target| json!({
                "name": &*target.name,
                "address": target.address.to_string(),
                "account": &*target.account,
                "tls": target_tls(target),
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "admin": config.admin.listen,
        "evidence": config.evidence.display().to_string(),
        "origin": &*config.origin,
        "keys_to_make": keys.as_ref().ok(),
        "revocations": revoked.as_ref().ok(),
        "policies": set.as_ref().ok().map(policy::set_json),
    })
}

fn print(
    config: &Config,
    keys: &CheckedKeys,
    set: &CheckedSet,
    revoked: &CheckedRevocations,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    if !config.warnings.is_empty() {
        terminal.note(config.warnings.render(terminal.colour).trim_end())?;
    }
    let rows = config.listeners.iter().map(|listener| {
        vec![
            listener.name.to_string(),
            format!("{} {}, {}", listener.protocol, listener.listen, client_tls(listener)),
            lines(listener, |target| target.name.to_string()),
            lines(listener, |target| {
                format!("{} as {}, {}", target.address, target.account, target_tls(target))
            }),
        ]
    });
    terminal.table(&["Listener", "Serves", "Target", "Reached at"], rows.collect())?;
    match set {
        Ok(set) if set.policies().len() == 0 => {
            terminal.note("warning: there is no policy, so every request will be refused")?;
        }
        Ok(set) => terminal.table(policy::POLICY_TITLES, policy::policy_rows(set))?,
        Err(problems) => policy::print_problems(problems, terminal)?,
    }
    let row = |what: &str, value: String| vec![what.to_owned(), value];
    let keys_row = match keys {
        Ok(missing) if missing.is_empty() => config.state.display().to_string(),
        Ok(missing) => format!("{}; the first start makes {}", config.state.display(), missing.join(", ")),
        Err(error) => format!("error: {error}"),
    };
    let revoked_row = match revoked {
        Ok(number) => count(*number, "revocation"),
        Err(error) => format!("error: {error}"),
    };
    let issuers = config.identity.issuers.iter().map(|issuer| issuer.settings.issuer.to_string());
    let issuers: Vec<_> = std::iter::once("built-in".to_owned()).chain(issuers).collect();
    let scheme = if config.admin.tls.is_some() { "https" } else { "http" };
    terminal.table(
        &["Part", ""],
        vec![
            row("configuration", format!("{}, sha256 {}", config.file.display(), config.digest.short())),
            row("keys", keys_row),
            row("tokens of", issuers.join(", ")),
            row("revoked", revoked_row),
            row("reviewers", config.reviewers.join(", ")),
            row("operators", config.admin.operators.join(", ")),
            row("admin", format!("{scheme}://{}", config.admin.listen)),
            row("evidence", format!("{}, as {}", config.evidence.display(), config.origin)),
        ],
    )?;
    Ok(())
}

fn client_tls(listener: &Listener) -> &'static str {
    match &listener.tls {
        Some(tls) if tls.required => "TLS required",
        Some(_) => "TLS offered",
        None => "plain text",
    }
}

/// A line for each target that the listener's clients reach.
fn lines(listener: &Listener, line: impl Fn(&Target) -> String) -> String {
    listener.targets.iter().map(|target| line(target)).collect::<Vec<_>>().join("\n")
}

fn target_tls(target: &Target) -> &'static str {
    match &target.tls {
        TargetTls::Verify { .. } => "TLS verified",
        TargetTls::Off => "plain text",
    }
}
