//! `gatewright check`: everything that `serve` checks, and no socket.

use gatewright_policy::{LoadProblem, PolicySet};
use serde_json::json;

use super::{Answer, ConfigArgument, Failure, Terminal, count, policy, terminal::visible};
use crate::{
    case_reader::ProtocolCaseReader,
    config::{Config, ConfigErrors, Found, Listener, Severity, Target, TargetTls},
    keys::Keys,
    match_names::{self, Unmatched},
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
    let config = Config::load(arguments.config.path());
    let found = match &config {
        Ok(config) => Found {
            state: Some(config.state.clone()),
            policies: Some(config.policies.clone()),
            names: Some(config.names.clone()),
        },
        Err(errors) => errors.found().clone(),
    };
    let checked = Checked::of(&found)?;
    let good = config.is_ok() && checked.is_good();
    if arguments.json {
        terminal.json(&as_json(&config, &checked, good))?;
    } else {
        print(&config, &checked, terminal)?;
    }
    Ok(if good { Answer::Done } else { Answer::No })
}

/// What a configuration names, as far as that could be read: a round with it is to find what is wrong with any of it.
#[derive(Default)]
struct Checked {
    keys: Option<Result<Vec<&'static str>, String>>,
    revoked: Option<Result<usize, String>>,
    set: Option<Result<PolicySet, Vec<LoadProblem>>>,
    unmatched: Vec<Unmatched>,
}

impl Checked {
    fn of(found: &Found) -> Result<Self, Failure> {
        let mut checked = Self::default();
        if let Some(state) = &found.state {
            let revoked = revocations::load(state).map(|list| list.len());
            checked.revoked = Some(revoked.map_err(|error| error.to_string()));
            checked.keys = Some(Keys::check(state).map_err(|error| error.to_string()));
        }
        if let Some(folder) = &found.policies {
            let examined = PolicySet::examine(folder, &policy::host()?, &ProtocolCaseReader::default());
            if let Some(names) = &found.names {
                checked.unmatched = match_names::unmatched(examined.match_names(), names);
            }
            checked.set = Some(examined.set);
        }
        Ok(checked)
    }

    /// What is wrong with keys and revocations.
    fn state_errors(&self) -> impl Iterator<Item = &String> {
        let keys = self.keys.iter().filter_map(|keys| keys.as_ref().err());
        keys.chain(self.revoked.iter().filter_map(|revoked| revoked.as_ref().err()))
    }

    /// What is wrong with policies.
    fn policy_errors(&self) -> impl Iterator<Item = &LoadProblem> {
        let set = self.set.iter().filter_map(|set| set.as_ref().err()).flatten();
        set.chain(self.unmatched_as(Severity::Error))
    }

    fn unmatched_as(&self, severity: Severity) -> impl Iterator<Item = &LoadProblem> {
        self.unmatched
            .iter()
            .filter(move |unmatched| unmatched.severity == severity)
            .map(|unmatched| &unmatched.problem)
    }

    fn errors(&self) -> usize {
        self.state_errors().count() + self.policy_errors().count()
    }

    fn is_good(&self) -> bool {
        self.errors() == 0
    }
}

fn as_json(config: &Result<Config, ConfigErrors>, checked: &Checked, good: bool) -> serde_json::Value {
    let mut problems = match config {
        Ok(config) => config.warnings.to_json(),
        Err(errors) => errors.problems().to_json(),
    };
    if let serde_json::Value::Array(problems) = &mut problems {
        problems
            .extend(checked.state_errors().map(|error| json!({ "severity": "error", "message": error })));
        problems.extend(checked.policy_errors().map(|problem| policy::problem_json("error", problem)));
        let warnings = checked.unmatched_as(Severity::Warning);
        problems.extend(warnings.map(|problem| policy::problem_json("warning", problem)));
    }
    let Ok(config) = config else { return json!({ "ok": good, "problems": problems }) };
    let (keys, set, revoked) = (checked.keys.as_ref(), checked.set.as_ref(), checked.revoked.as_ref());
    json!({
        "ok": good,
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
        "keys_to_make": keys.and_then(|keys| keys.as_ref().ok()),
        "revocations": revoked.and_then(|revoked| revoked.as_ref().ok()),
        "policies": set.and_then(|set| set.as_ref().ok()).map(policy::set_json),
    })
}

/// What would be served, where anything would be, and then all that is wrong.
fn print(
    config: &Result<Config, ConfigErrors>,
    checked: &Checked,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let mut errors = checked.errors();
    match config {
        Ok(config) => {
            if !config.warnings.is_empty() {
                terminal.note(config.warnings.render(terminal.colour).trim_end())?;
            }
            print_served(config, checked, terminal)?;
        }
        Err(config) => {
            terminal.note(config.problems().render(terminal.colour).trim_end())?;
            errors +=
                config.problems().iter().filter(|problem| problem.severity == Severity::Error).count();
        }
    }
    for problem in checked.unmatched_as(Severity::Warning) {
        terminal.note(format_args!("warning: {}", visible(&problem.to_string())))?;
    }
    for problem in checked.policy_errors() {
        terminal.note(format_args!("error: {}", visible(&problem.to_string())))?;
    }
    for error in checked.state_errors() {
        terminal.note(format_args!("error: {}", visible(error)))?;
    }
    if errors > 0 {
        terminal.note(count(errors, "error"))?;
    }
    Ok(())
}

fn print_served(config: &Config, checked: &Checked, terminal: &mut Terminal) -> Result<(), Failure> {
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
    match &checked.set {
        Some(Ok(set)) if set.policies().len() == 0 => {
            terminal.note("warning: there is no policy, so every request will be refused")?;
        }
        Some(Ok(set)) => terminal.table(policy::POLICY_TITLES, policy::policy_rows(set))?,
        Some(Err(_)) | None => {}
    }
    let row = |what: &str, value: String| vec![what.to_owned(), value];
    let keys_row = match &checked.keys {
        Some(Ok(missing)) if !missing.is_empty() => {
            format!("{}; the first start makes {}", config.state.display(), missing.join(", "))
        }
        _ => config.state.display().to_string(),
    };
    let revoked_row = match &checked.revoked {
        Some(Ok(number)) => count(*number, "revocation"),
        _ => "not known".to_owned(),
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
            row("SSH clients", ssh_clients(config)),
            row("revoked", revoked_row),
            row("reviewers", config.reviewers.join(", ")),
            row("operators", config.admin.operators.join(", ")),
            row("admin", format!("{scheme}://{}", config.admin.listen)),
            row("evidence", format!("{}, as {}", config.evidence.display(), config.origin)),
        ],
    )?;
    Ok(())
}

/// What lets clients of SSH in beside tokens.
fn ssh_clients(config: &Config) -> String {
    let identity = &config.identity;
    let authorities = identity.ssh_authorities.iter().map(|authority| authority.issuer.to_string());
    let authorities: Vec<_> = std::iter::once("built-in".to_owned()).chain(authorities).collect();
    format!("certificates of {}; {}", authorities.join(", "), count(identity.ssh_keys.len(), "key"))
}

fn client_tls(listener: &Listener) -> &'static str {
    match &listener.tls {
        _ if listener.protocol == "ssh" => "SSH",
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
        _ if target.ssh.is_some() => "SSH, host verified",
        TargetTls::Verify { .. } => "TLS verified",
        TargetTls::Off => "plain text",
    }
}
