//! The tour's part about HTTP: an internal API, asked with curl.

use std::{
    process::{Command, Output, Stdio},
    thread,
};

use gatewright_testbed::{Error, Result};

use super::{
    stage::{ALICE, API_TOKEN, BOB, Demo, Person, SUE},
    tour::{answer, decided, must, prompt, say, sees, title, wait_for_request},
};

/// Masked, blocked, and held until somebody has looked.
pub(super) fn show(demo: &mut Demo) -> Result<()> {
    title(7, "HTTP: the same decisions for an internal API");
    let seen = ask(demo, ALICE, &[], "/api/people/7", "mask")?;
    must(seen.contains("Ada Lovelace") && !seen.contains("123-45-6789"), "the number is hidden")?;
    let seen = ask(demo, ALICE, &["-X", "DELETE"], "/api/people/7", "block")?;
    must(seen.contains("http.denied"), "analysts delete nobody")?;

    say("Support may, once a second one has looked at it:");
    let mut command = curl(demo, SUE, &["-X", "DELETE"], "/api/people/7")?;
    let id = thread::scope(|scope| {
        let held = scope.spawn(move || command.output());
        let id = wait_for_request(demo)?;
        decided(demo)?;
        let approved = answer(demo, BOB, "approve", &id)?;
        must(approved.status.success(), "bob may approve")?;
        let output = held.join().map_err(|_| Error::new("curl was not run"))?;
        let output = output.map_err(|error| Error::new(format!("running curl: {error}")))?;
        let seen = text(&output);
        sees(SUE, &seen);
        must(seen.contains("\"deleted\":7"), "the request goes on once it is approved")?;
        Ok::<_, Error>(id)
    })?;
    must(!id.is_empty(), "the request has an id")?;

    let requests = demo.api.requests();
    must(requests.len() == 2, "what was blocked never reached the API")?;
    let own = requests.iter().all(|request| request.contains(&format!("[Bearer {API_TOKEN}]")));
    must(own, "the API sees the gateway's credential and nobody else's")?;
    say("The API saw two requests, both with a credential that only the gateway has.");
    Ok(())
}

/// Sends a request, shows it with what came of it, and checks the decision.
fn ask(demo: &mut Demo, who: Person, options: &[&str], path: &str, expected: &str) -> Result<String> {
    let mut command = curl(demo, who, options, path)?;
    let output = command.output().map_err(|error| Error::new(format!("running curl: {error}")))?;
    let decision = decided(demo)?;
    let seen = text(&output);
    sees(who, &seen);
    must(decision == expected, &format!("`{path}` is decided `{expected}`, not `{decision}`"))?;
    Ok(seen)
}

/// Shows the command as a person would type it, and gives it with what makes it work here.
fn curl(demo: &Demo, who: Person, options: &[&str], path: &str) -> Result<Command> {
    let url = format!("https://api.example{path}");
    let typed = [&["curl"], options, &[&url]].concat();
    prompt(who, &typed.join(" "));
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "60", "--cacert"])
        .arg(demo.gateway.authority());
    command.args(["--connect-to", &format!("::127.0.0.1:{}", demo.api_port)]);
    let token = demo.gateway.token(&who.mint)?;
    command.args(["--header", &format!("Authorization: Bearer {token}")]).args(options).arg(url);
    command.stdin(Stdio::null());
    Ok(command)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
