//! The tour's part about Kubernetes: a cluster, asked with kubectl.

use std::thread;

use gatewright_testbed::{Error, Kubectl, Result, Said, has_recent_kubectl};

use super::{
    stage::{ALICE, BOB, DAN, Demo, Person},
    tour::{answer, decided, must, prompt, say, sees, title, wait_for_request},
};
use crate::paint::{Style, paint};

/// A Secret without its values, a list that is shorter, a container that nobody gets into alone.
pub(super) fn show(demo: &mut Demo) -> Result<()> {
    title(8, "Kubernetes: kubectl, with a kubeconfig that the gateway writes");
    if !has_recent_kubectl() {
        return Ok(());
    }
    let alice = kubectl(demo, ALICE)?;
    let seen = ask(demo, ALICE, &alice, &["get", "secret", "db-credentials", "-o", "yaml"], "mask")?;
    must(seen.contains("kind: Secret"), "the secret is there")?;
    let held = ["S3cr3t", "UzNjcjN0"].iter().any(|held| seen.contains(held));
    must(!held, "its values are hidden, in the annotation of `kubectl apply` too")?;
    let seen = ask(demo, ALICE, &alice, &["get", "pods"], "mask")?;
    must(seen.contains("web") && !seen.contains("shell"), "the list has what alice may see")?;
    let seen = ask(demo, ALICE, &alice, &["exec", "web", "--", "echo", "hi"], "block")?;
    must(!seen.starts_with("hi"), "alice gets into no container")?;
    let before = streams(demo)?;
    must(before == 0, "and the cluster heard nothing of it")?;

    say("Whoever runs it may, once a second one knows:");
    let dan = kubectl(demo, DAN)?;
    let command = ["exec", "web", "--", "echo", "hi"];
    prompt(DAN, &format!("kubectl {}", command.join(" ")));
    let said = thread::scope(|scope| {
        let held = scope.spawn(move || dan.run(&command));
        let id = wait_for_request(demo)?;
        decided(demo)?;
        let approved = answer(demo, BOB, "approve", &id)?;
        must(approved.status.success(), "bob may approve")?;
        held.join().map_err(|_| Error::new("kubectl was not run"))?
    })?;
    sees(DAN, &text(&said));
    must(said.out == "hi\n", "the command runs once it is approved")
}

/// Runs a command, shows it with what came of it, and checks the decision.
fn ask(
    demo: &mut Demo,
    who: Person,
    kubectl: &Kubectl,
    command: &[&str],
    expected: &str,
) -> Result<String> {
    prompt(who, &format!("kubectl {}", command.join(" ")));
    let said = kubectl.run(command)?;
    let decision = decided(demo)?;
    let seen = text(&said);
    sees(who, &seen);
    must(decision == expected, &format!("it is decided `{expected}`, not `{decision}`"))?;
    Ok(seen)
}

/// Has the gateway write a kubeconfig for somebody, and shows how.
fn kubectl(demo: &Demo, who: Person) -> Result<Kubectl> {
    let home = demo.stage.private_directory(who.mint.subject)?;
    let token = home.join("token");
    let written = std::fs::write(&token, demo.gateway.token(&who.mint)?);
    written.map_err(|error| Error::new(format!("writing {}: {error}", token.display())))?;
    let config = home.join("kubeconfig");
    let shown =
        format!("gatewright kubeconfig --listener cluster --token-file {}/token ...", home.display());
    println!("  {} {shown}", paint(Style::Cyan, "operator>"));
    demo.gateway.run(&[
        "kubeconfig",
        "--listener",
        "cluster",
        "--server",
        &format!("https://localhost:{}", demo.cluster_port),
        "--ca",
        &demo.gateway.authority().display().to_string(),
        "--token-file",
        &token.display().to_string(),
        "--namespace",
        "demo",
        "--output",
        &config.display().to_string(),
    ])?;
    Kubectl::with_config(&demo.stage, who.mint.subject, &config)
}

/// How many requests for a way into a container reached the cluster.
fn streams(demo: &Demo) -> Result<usize> {
    Ok(demo.cluster.journal()?.iter().filter(|line| line.contains("/pods/web/exec")).count())
}

fn text(said: &Said) -> String {
    format!("{}{}", said.out, said.err)
}
