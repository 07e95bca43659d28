//! The tour: each statement, what the gateway decided, and what the client saw.
//!
//! The tour checks what it shows: where something else comes than it says, it fails.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use gatewright_testbed::{Conversation, Error, Result};

use super::{
    api, cluster, host,
    stage::{AGENT, ALICE, BOB, CAROL, Demo, Person, documents},
};
use crate::paint::{Style, paint};

/// Shows everything.
pub(super) fn run(demo: &mut Demo) -> Result<()> {
    demo.new_records()?;
    mask(demo)?;
    block(demo)?;
    escalate(demo)?;
    hot_swap(demo)?;
    refuse_a_broken_module(demo)?;
    name_the_agent(demo)?;
    api::show(demo)?;
    cluster::show(demo)?;
    host::show(demo)?;
    verify(demo)?;
    println!();
    Ok(())
}

fn mask(demo: &mut Demo) -> Result<()> {
    title(1, "Masked: a column is hidden wherever it comes out");
    let mut alice = demo.psql(ALICE)?;
    ask(demo, ALICE, &mut alice, "select name, email, card, ssn from people limit 2;", "mask")?;
    ask(demo, ALICE, &mut alice, "select p.email as contact from people as p limit 2;", "mask")?;
    say(
        "An expression could carry the value out under another shape. It is not guessed at, it is refused:",
    );
    let statement = "select reverse(email) as harmless from people limit 1;";
    let seen = ask_whatever(demo, ALICE, &mut alice, statement)?;
    must(seen.contains("an expression over a masked column"), "the expression is refused")?;
    let mut carol = demo.psql(CAROL)?;
    let seen = ask_whatever(demo, CAROL, &mut carol, "select name, email, card, ssn from people limit 1;")?;
    must(seen.contains("ada@example.com"), "privacy sees the address")
}

fn block(demo: &mut Demo) -> Result<()> {
    title(2, "Blocked: and the transaction goes on as after any error of the server");
    let mut alice = demo.psql(ALICE)?;
    ask(demo, ALICE, &mut alice, "begin;", "allow")?;
    ask(demo, ALICE, &mut alice, "update orders set cents = cents + 100 where id = 1;", "allow")?;
    ask(demo, ALICE, &mut alice, "savepoint before;", "allow")?;
    ask(demo, ALICE, &mut alice, "delete from orders;", "block")?;
    ask(demo, ALICE, &mut alice, "rollback to before;", "allow")?;
    ask(demo, ALICE, &mut alice, "commit;", "allow")?;
    let seen = ask_whatever(demo, ALICE, &mut alice, "select count(*) as orders_left from orders;")?;
    must(seen.contains("40"), "no order was deleted")
}

fn escalate(demo: &mut Demo) -> Result<()> {
    title(3, "Escalated: a statement waits until somebody else has looked at it");
    let mut alice = demo.psql(ALICE)?;
    let statement = "drop table scratch;";
    prompt(ALICE, statement);
    alice.begin(statement)?;
    let id = wait_for_request(demo)?;
    let mut notice = String::new();
    while !notice.contains("HINT:") {
        let Some(line) = alice.line()? else { break };
        notice.push_str(&(line + "\n"));
    }
    sees(ALICE, &notice);
    must(notice.contains(&id), "the client is told the id of its request")?;
    decided(demo)?;

    let own = Person {
        shown: "alice, were she a reviewer",
        mint: gatewright_testbed::Mint { groups: &["reviewers"], ..ALICE.mint },
    };
    let refused = answer(demo, own, "approve", &id)?;
    must(!refused.status.success(), "nobody approves their own statement")?;
    let approved = answer(demo, BOB, "approve", &id)?;
    must(approved.status.success(), "bob may approve")?;

    let rest = alice.end()?;
    must(!rest.contains("ERROR"), "the statement runs once it is approved")?;
    sees(ALICE, if rest.trim().is_empty() { "(psql goes on: the table is dropped)" } else { &rest });
    let gone = demo.postgres.sql("postgres", "select to_regclass('scratch') is null")?;
    must(gone == "t", "the table is gone")
}

fn hot_swap(demo: &mut Demo) -> Result<()> {
    title(4, "Hot swap: a rule changes in the middle of an open session");
    let mut alice = demo.psql(ALICE)?;
    let statement = "update orders set cents = cents + 100 where id = 1;";
    say(&format!("One psql, process {}, before and after:", alice.pid()));
    ask(demo, ALICE, &mut alice, "begin;", "allow")?;
    ask(demo, ALICE, &mut alice, statement, "allow")?;
    ask(demo, ALICE, &mut alice, "rollback;", "allow")?;

    let (name, text) = rules()?;
    say(&format!(
        "Now `policies/{name}.toml` is replaced: {}, and without its cases, which say otherwise",
        paint(Style::Bold, "deny_kinds = [\"update\"]")
    ));
    swap(demo, &name, &with_setting(&text, "deny_kinds = [\"update\"]"))?;
    ask(demo, ALICE, &mut alice, statement, "block")?;
    swap(demo, &name, &text)?;
    say("And put back.");
    Ok(())
}

fn refuse_a_broken_module(demo: &mut Demo) -> Result<()> {
    title(5, "Refused: a module that is broken does not replace one that works");
    let (name, text) = rules()?;
    let module = demo.stage.directory().join("broken.wasm");
    let whole =
        fs::read(module_of(&text)?).map_err(|error| Error::new(format!("reading the module: {error}")))?;
    let half = whole.get(..whole.len() / 2).unwrap_or_default();
    fs::write(&module, half)
        .map_err(|error| Error::new(format!("writing {}: {error}", module.display())))?;
    let broken = text.replace(&module_of(&text)?, &module.display().to_string());
    say(&format!("`policies/{name}.toml` now names a module of which half is missing:"));

    let metric = "gatewright_policy_swaps_total{result=\"refused\"}";
    let before = demo.gateway.metric(metric)?;
    demo.gateway.write_policy(&name, &broken)?;
    wait("the gateway refuses the set", || Ok(demo.gateway.metric(metric)? > before))?;
    for record in demo.new_records()?.iter().filter(|record| field(record, "kind") == "policy_refused") {
        let reasons = record.split_once("\"reasons\":[[").map_or("", |(_, reasons)| reasons);
        // Each reason is the file and the message.
        let message =
            reasons.split("\",\"").nth(1).and_then(|rest| rest.split("\"]").next()).unwrap_or(reasons);
        println!("    {} {message}", paint(Style::Red, "refused"));
    }
    let mut alice = demo.psql(ALICE)?;
    ask(demo, ALICE, &mut alice, "delete from orders;", "block")?;
    demo.gateway.write_policy(&name, &text)?;
    say("The old set went on deciding.");
    Ok(())
}

fn name_the_agent(demo: &mut Demo) -> Result<()> {
    title(6, "An agent acts for alice: her rights, and its name in the record");
    let mut agent = demo.psql(AGENT)?;
    ask_whatever(
        demo,
        AGENT,
        &mut agent,
        "select city, count(*) from people group by city order by city;",
    )?;
    Ok(())
}

fn verify(demo: &mut Demo) -> Result<()> {
    title(10, "Evidence: the log verifies, and one changed byte does not");
    let evidence = demo.gateway.evidence();
    let verified = verifier(demo, &evidence)?;
    shown(&verified);
    must(verified.status.success(), "the log verifies")?;

    let copy = demo.stage.directory().join("evidence-copy");
    let copied = Command::new("cp").arg("-a").arg(&evidence).arg(&copy).status();
    must(copied.is_ok_and(|status| status.success()), "the log can be copied")?;
    let files = fs::read_dir(&copy).into_iter().flatten().flatten().map(|entry| entry.path());
    let log = files
        .filter(|path| path.is_file())
        .max_by_key(|path| fs::metadata(path).map_or(0, |data| data.len()));
    let log = log.ok_or_else(|| Error::new("the copy of the log is empty"))?;
    let mut bytes =
        fs::read(&log).map_err(|error| Error::new(format!("reading {}: {error}", log.display())))?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(&log, bytes).map_err(|error| Error::new(format!("writing {}: {error}", log.display())))?;
    say(&format!("In a copy, one bit of byte {middle} is changed:"));
    let caught = verifier(demo, &copy)?;
    shown(&caught);
    must(!caught.status.success(), "the change is caught")
}

/// Sends a statement, shows it with what came of it, and checks the decision.
fn ask(
    demo: &mut Demo,
    who: Person,
    psql: &mut Conversation,
    statement: &str,
    expected: &str,
) -> Result<()> {
    prompt(who, statement);
    let answer = psql.say(statement)?;
    let decision = decided(demo)?;
    sees(who, &answer);
    // Where the mask's plan is empty for what a statement answers, it is simply forwarded.
    let fits = decision == expected || expected == "allow" && decision == "mask";
    must(fits, &format!("`{statement}` is decided `{expected}`, not `{decision}`"))
}

/// As [`ask`], whatever the decision; gives what the client saw.
fn ask_whatever(demo: &mut Demo, who: Person, psql: &mut Conversation, statement: &str) -> Result<String> {
    prompt(who, statement);
    let answer = psql.say(statement)?;
    decided(demo)?;
    sees(who, &answer);
    Ok(answer)
}

/// Shows the newest decision of the log, and gives its word.
pub(super) fn decided(demo: &mut Demo) -> Result<String> {
    let records = demo.new_records()?;
    let decision = records.iter().rfind(|record| field(record, "kind") == "decision");
    let Some(record) = decision else { return Err(Error::new("the log has no record of the statement")) };
    let word = field(record, "decision");
    let style = match word {
        "allow" => Style::Green,
        "block" => Style::Red,
        _ => Style::Yellow,
    };
    let mut line = format!("    {} {}", paint(Style::Dim, "decision"), paint(style, word));
    for (label, name) in [("rule", "rule"), ("code", "code")] {
        let value = field(record, name);
        if !value.is_empty() && word != "allow" {
            line.push_str(&format!("  {} {value}", paint(Style::Dim, label)));
        }
    }
    if let Some(actors) = record.split_once("\"actors\":[").and_then(|(_, rest)| rest.split(']').next()) {
        let subject = field(record, "subject");
        line.push_str(&format!("  {} {subject} through {actors}", paint(Style::Dim, "principal")));
    }
    println!("{line}");
    Ok(word.to_owned())
}

pub(super) fn wait_for_request(demo: &Demo) -> Result<String> {
    let mut id = String::new();
    wait("the gateway files a request", || {
        let listed = demo.gateway.approvals(&BOB.mint, &["list", "--json"])?;
        let text = String::from_utf8_lossy(&listed.stdout);
        field(&text, "id").clone_into(&mut id);
        Ok(!id.is_empty())
    })?;
    Ok(id)
}

pub(super) fn answer(demo: &Demo, who: Person, verb: &str, id: &str) -> Result<Output> {
    println!("  {} gatewright approvals {verb} {id}", paint(Style::Cyan, &format!("{}>", who.shown)));
    let output = demo.gateway.approvals(&who.mint, &[verb, id, "--comment", "seen in the demo"])?;
    shown(&output);
    Ok(output)
}

fn verifier(demo: &Demo, log: &Path) -> Result<Output> {
    println!("  {} gatewright evidence verify {}", paint(Style::Cyan, "auditor>"), log.display());
    demo.gateway.verify(log)
}

/// The document that the tour changes, and its text.
fn rules() -> Result<(String, String)> {
    let found = documents("policies")?.into_iter().find(|(_, text)| text.contains("statement_rules.wasm"));
    found.ok_or_else(|| Error::new("policies/ has no document for the module statement-rules"))
}

fn module_of(document: &str) -> Result<String> {
    let line = document.lines().find(|line| line.trim_start().starts_with("module"));
    let path = line.and_then(|line| line.split('"').nth(1));
    path.map(str::to_owned).ok_or_else(|| Error::new("the document names no module"))
}

/// The document with one more setting, and without its cases, which are about the settings that it had.
fn with_setting(document: &str, setting: &str) -> String {
    let name = setting.split(' ').next().unwrap_or_default();
    let own = document.split("[[case]]").next().unwrap_or(document);
    let lines = own.lines().filter(|line| !line.trim_start().starts_with(name));
    let text: Vec<&str> = lines
        .flat_map(|line| if line.trim() == "[settings]" { vec![line, setting] } else { vec![line] })
        .collect();
    text.join("\n") + "\n"
}

fn swap(demo: &mut Demo, name: &str, document: &str) -> Result<()> {
    let before = demo.gateway.policy_set()?;
    demo.gateway.write_policy(name, document)?;
    wait("the gateway takes the new policy", || Ok(demo.gateway.policy_set()? > before))
}

fn wait(what: &str, mut until: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !until()? {
        if start.elapsed() > Duration::from_secs(30) {
            return Err(Error::new(format!("waited 30 s in vain: {what}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A field of a record, without a parser: values of the fields asked for here have no quotes in them.
fn field<'a>(record: &'a str, name: &str) -> &'a str {
    let found = record.split_once(&format!("\"{name}\":\""));
    found.and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
}

pub(super) fn title(number: u32, text: &str) {
    println!("\n{}", paint(Style::Bold, &format!("{number}  {text}")));
}

pub(super) fn say(text: &str) {
    println!("  {text}");
}

pub(super) fn prompt(who: Person, statement: &str) {
    println!("  {} {statement}", paint(Style::Cyan, &format!("{}>", who.shown)));
}

pub(super) fn sees(who: Person, answer: &str) {
    let name = who.shown.split(' ').next().unwrap_or(who.shown);
    if answer.trim().is_empty() {
        println!("    {} (no rows, no error)", paint(Style::Dim, &format!("{name} sees")));
        return;
    }
    println!("    {}", paint(Style::Dim, &format!("{name} sees")));
    indented(answer);
}

fn shown(output: &Output) {
    indented(&String::from_utf8_lossy(&output.stdout));
    indented(&String::from_utf8_lossy(&output.stderr));
}

fn indented(text: &str) {
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        println!("      {line}");
    }
}

pub(super) fn must(holds: bool, what: &str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::new(format!("the tour expected: {what}"))
        .remedy("this is a bug: `cargo xtask test` should show it too"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_added_or_replaced_and_cases_go() {
        let document = "name = \"x\"\n[settings]\ndeny_kinds = []\nother = 1\n\n[[case]]\nname = \"y\"\n";
        let changed = with_setting(document, "deny_kinds = [\"update\"]");
        assert_eq!(changed, "name = \"x\"\n[settings]\ndeny_kinds = [\"update\"]\nother = 1\n\n");
    }

    #[test]
    fn a_field_is_found_in_a_record() {
        let record = r#"{"kind":"decision","decision":"block","rule":"a/b"}"#;
        assert_eq!(field(record, "decision"), "block");
        assert_eq!(field(record, "rule"), "a/b");
        assert_eq!(field(record, "code"), "");
    }
}
