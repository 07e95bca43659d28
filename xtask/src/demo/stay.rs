//! `--stay`: the demo goes on until Ctrl-C, with commands to try.

use std::{fs, os::unix::fs::PermissionsExt, thread, time::Duration};

use gatewright_testbed::{Error, Result, gateway_program};

use super::stage::{AGENT, ALICE, BOB, CAROL, Demo, OLGA, Person};
use crate::paint::{Style, paint};

/// Prints what to try, and waits until the process is ended: the stage's janitor takes everything down then.
pub(super) fn until_interrupted(demo: &Demo) -> Result<()> {
    let people = [("alice", ALICE), ("bob", BOB), ("carol", CAROL), ("agent", AGENT), ("olga", OLGA)];
    for (name, person) in people {
        environment(demo, name, person)?;
    }
    let directory = demo.stage.directory().display();
    let program = gateway_program()?;
    let program = program.display();
    let config = demo.gateway.config().display();
    let policies = demo.gateway.policies();
    println!("{}", paint(Style::Bold, "It stays. In another terminal:"));
    for (what, command) in [
        ("ask as alice, carol or her agent", format!(". {directory}/alice.env && psql")),
        ("be the reviewer of what is held", format!(". {directory}/bob.env && {program} approvals list")),
        (
            "read the gateway's own log: it says whether it takes a policy, or why not",
            format!("tail -f {directory}/gateway.log"),
        ),
        (
            "ask the internal API as alice, whose token is in the file",
            format!(
                ". {directory}/alice.env && curl --cacert {ca} --connect-to ::127.0.0.1:{port} \
                 -H \"Authorization: Bearer $GATEWRIGHT_TOKEN\" https://api.example/api/people/7",
                ca = demo.gateway.authority().display(),
                port = demo.api_port
            ),
        ),
        (
            "ask the cluster as alice or as dan; it knows what was recorded and nothing else",
            format!("KUBECONFIG={directory}/alice/kubeconfig kubectl get secrets -o yaml"),
        ),
        (
            "go to the host as alice, sue or dan, each with the key that the tour made",
            format!("ssh -F {directory}/gw/config -i {directory}/alice.key web uptime"),
        ),
        (
            "change a rule while psql is open: every document has to pass its own cases",
            format!("${{EDITOR:-vi}} {}/*.toml", policies.display()),
        ),
        (
            "make a token of your own, for psql's password",
            format!(
                "{program} token mint --config {config} --subject dora --group analysts --kind human --ttl 1h"
            ),
        ),
        (
            "end somebody's sessions, and take back what their tokens proved",
            format!(
                ". {directory}/olga.env && {program} sessions list && {program} revocations add --subject dora --reason try"
            ),
        ),
        ("see what was decided", format!("{program} evidence show --config {config}")),
        ("verify the log", format!("{program} evidence verify --config {config}")),
        (
            "look at health and metrics",
            format!(
                "curl http://127.0.0.1:{port}/readyz http://127.0.0.1:{port}/metrics",
                port = demo.gateway.admin()
            ),
        ),
    ] {
        println!("  {}\n    {command}", paint(Style::Dim, what));
    }
    println!("Ctrl-C ends it, and takes everything away.");
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Writes what a shell has to know to be somebody.
fn environment(demo: &Demo, name: &str, person: Person) -> Result<()> {
    let path = demo.stage.directory().join(format!("{name}.env"));
    let psql = demo.gateway.psql(&person.mint)?;
    let mut text = String::new();
    for (variable, value) in psql.environment() {
        if variable == "PGPASSWORD" {
            text.push_str(&format!("export GATEWRIGHT_TOKEN='{value}'\n"));
            text.push_str(&format!(
                "export GATEWRIGHT_ADMIN='http://127.0.0.1:{}'\n",
                demo.gateway.admin()
            ));
        }
        text.push_str(&format!("export {variable}='{value}'\n"));
    }
    let written = fs::write(&path, text);
    let closed = written.and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
    closed.map_err(|error| Error::new(format!("writing {}: {error}", path.display())))
}
