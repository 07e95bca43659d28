//! The tour's part about SSH: a host, reached with OpenSSH's own programs.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
};

use gatewright_testbed::{Error, Result, Setup, Sshd, gateway_program, make_key};

use super::{
    stage::{ALICE, BOB, DAN, Demo, Person, SUE},
    tour::{answer, decided, must, prompt, say, sees, title, wait_for_request},
};
use crate::paint::{Style, paint};

/// A command that is allowed, one that is blocked, files by their path, an approval, a tunnel, and output without card numbers.
pub(super) fn show(demo: &mut Demo) -> Result<()> {
    title(9, "SSH: a token becomes a certificate, and each command, file and tunnel is asked about");
    operator(demo)?;
    login(demo, ALICE)?;
    let seen = ask(demo, ALICE, "uptime", "allow")?;
    must(seen.contains("load average"), "what is allowed runs")?;
    let reports = demo.sshd.home().join("reports");
    let seen = ask(demo, ALICE, &format!("rm -rf {}", reports.display()), "block")?;
    must(seen.contains("blocked by hosts/no-removals") && reports.exists(), "nothing is removed")?;

    say("Files are asked about one by one, by the path that the host makes of what the client says:");
    let local = demo.stage.directory().join("local.txt");
    write(&local, "mine")?;
    let report = reports.join("today.txt");
    let seen = sftp(demo, ALICE, &format!("get {} /dev/null", report.display()), "allow")?;
    must(!seen.contains("Permission denied"), "a report is read")?;
    let to = reports.join("mine.txt");
    let seen = sftp(demo, ALICE, &format!("put {} {}", local.display(), to.display()), "block")?;
    must(seen.contains("blocked by") && !to.exists(), "and none is written")?;

    say("A host is no way into the network:");
    let seen = tunnel(demo, ALICE)?;
    must(seen.contains("forwarding failed"), "no tunnel is opened")?;

    say("What support sees of an order has no card number in it:");
    login(demo, SUE)?;
    let seen = ask(demo, SUE, &format!("cat {}", demo.sshd.home().join("order.txt").display()), "mask")?;
    must(seen.contains("1111") && !seen.contains("4111 1111 1111"), "the card number is hidden")?;

    say("A restart waits for a second person, and its neighbours on the connection go on:");
    login(demo, DAN)?;
    let command = "echo web restarted";
    prompt(DAN, &format!("ssh web {command:?}"));
    let mut ssh = ssh(demo, DAN, command)?;
    let output = thread::scope(|scope| {
        let held = scope.spawn(move || ssh.output());
        let id = wait_for_request(demo)?;
        decided(demo)?;
        let approved = answer(demo, BOB, "approve", &id)?;
        must(approved.status.success(), "bob may approve")?;
        let output = held.join().map_err(|_| Error::new("ssh was not run"))?;
        output.map_err(|error| Error::new(format!("running ssh: {error}")))
    })?;
    sees(DAN, &text(&output));
    must(output.stdout == b"web restarted\n", "the command runs once it is approved")?;
    demo.new_records().map(drop)
}

/// What is there before the gateway starts: a host with some files, and what the gateway is told of it.
pub(super) fn in_front_of(setup: Setup, sshd: &Sshd, port: u16) -> Result<Setup> {
    let own = setup.directory().join("ssh_host_key");
    make_key(&own)?;
    let reports = sshd.home().join("reports");
    fs::create_dir_all(&reports)
        .map_err(|error| Error::new(format!("making {}: {error}", reports.display())))?;
    write(&reports.join("today.txt"), "all is well\n")?;
    write(&sshd.home().join("order.txt"), "order 7: Ada, card 4111 1111 1111 1111, 120 EUR\n")?;
    let text = format!(
        "[[target]]\nname = \"web\"\nprotocol = \"ssh\"\naddress = \"127.0.0.1:{target}\"\naccount = \"{account}\"\n\
         private_key = {{ file = \"{key}\" }}\nhost_keys = [\"{host_key}\"]\n\
         [[listener]]\nname = \"hosts\"\nprotocol = \"ssh\"\nlisten = \"127.0.0.1:{port}\"\ntargets = [\"web\"]\n\
         host_key = {{ file = \"{own}\" }}\n",
        target = sshd.port(),
        account = sshd.account(),
        key = sshd.account_key().display(),
        host_key = sshd.host_key()?,
        own = own.display(),
    );
    Ok(setup.more(&text))
}

/// The rules of the demo's host.
pub(super) fn rules(sshd: &Sshd, modules: &str) -> String {
    RULES.replace("PLUGINS", modules).replace("HOME", &sshd.home().display().to_string())
}

const RULES: &str = r#"name = "hosts"
module = "PLUGINS/target/wasm32-unknown-unknown/release/ssh_rules.wasm"
[match]
protocols = ["ssh"]
[[settings.rules]]
name = "sessions"
requests = ["session", "subsystem"]
decision = "allow"
[[settings.rules]]
name = "no-removals"
requests = ["exec"]
commands = ["rm **"]
decision = "block"
reason = "nothing is removed by hand"
remedy = "open a ticket"
[[settings.rules]]
name = "restarts"
requests = ["exec"]
commands = ["echo web restarted"]
groups = ["sre"]
decision = "escalate"
reason = "a restart is seen by customers"
reviewers = ["reviewers"]
[[settings.rules]]
name = "orders"
requests = ["exec"]
commands = ["cat HOME/order.txt"]
groups = ["support"]
decision = "allow"
hide = [{ detector = "card_number", method = { partial = 4 } }]
[[settings.rules]]
name = "looking"
requests = ["exec"]
commands = ["uptime"]
decision = "allow"
[[settings.rules]]
name = "where-am-i"
requests = ["file"]
operations = ["realpath"]
decision = "allow"
[[settings.rules]]
name = "reports"
requests = ["file"]
operations = ["read", "list", "stat"]
paths = ["HOME/**"]
decision = "allow"
"#;

/// Where OpenSSH finds the gateway.
fn operator(demo: &Demo) -> Result<()> {
    let folder = folder(demo);
    println!("  {} gatewright ssh-config --output gw", paint(Style::Cyan, "operator>"));
    let output = folder.display().to_string();
    demo.gateway.run(&["ssh-config", "--listener", "hosts", "--output", &output]).map(drop)
}

fn folder(demo: &Demo) -> PathBuf {
    demo.stage.directory().join("gw")
}

fn key(demo: &Demo, who: Person) -> PathBuf {
    demo.stage.directory().join(format!("{}.key", who.mint.subject))
}

/// Turns somebody's token into a certificate.
fn login(demo: &Demo, who: Person) -> Result<()> {
    let at = format!("127.0.0.1:{}", demo.ssh_port);
    println!("  {} gatewright login --gateway {at}", paint(Style::Cyan, &format!("{}>", who.shown)));
    let mut command = Command::new(gateway_program()?);
    command.args(["login", "--gateway", &at, "--key"]).arg(key(demo, who));
    command.arg("--known-hosts").arg(folder(demo).join("known_hosts"));
    let output = run(command.env("GATEWRIGHT_TOKEN", demo.gateway.token(&who.mint)?))?;
    must(output.status.success(), &format!("{} is logged in: {}", who.shown, text(&output)))?;
    sees(who, &String::from_utf8_lossy(&output.stdout));
    Ok(())
}

/// OpenSSH's client as somebody.
fn ssh(demo: &Demo, who: Person, command: &str) -> Result<Command> {
    let mut ssh = program(demo, who, "ssh");
    ssh.args(["web", command]);
    Ok(ssh)
}

fn program(demo: &Demo, who: Person, name: &str) -> Command {
    let mut program = Command::new(name);
    let key = key(demo, who).display().to_string();
    program.arg("-F").arg(folder(demo).join("config")).args(["-o", "IdentitiesOnly=yes", "-o"]);
    program.args([&format!("IdentityFile={key}"), "-o", &format!("CertificateFile={key}-cert.pub")]);
    program.stdin(Stdio::null());
    program
}

fn ask(demo: &mut Demo, who: Person, command: &str, expected: &str) -> Result<String> {
    prompt(who, &format!("ssh web {command:?}"));
    let output = run(&mut ssh(demo, who, command)?)?;
    seen(demo, who, &output, expected)
}

fn sftp(demo: &mut Demo, who: Person, command: &str, expected: &str) -> Result<String> {
    prompt(who, &format!("sftp web   ({command})"));
    let batch = demo.stage.directory().join("batch");
    write(&batch, &format!("{command}\n"))?;
    let mut sftp = program(demo, who, "sftp");
    let output = run(sftp.arg("-q").arg("-b").arg(&batch).arg("web"))?;
    seen(demo, who, &output, expected)
}

fn tunnel(demo: &mut Demo, who: Person) -> Result<String> {
    prompt(who, "ssh -W db.internal:5432 web");
    let mut ssh = program(demo, who, "ssh");
    let output = run(ssh.args(["-W", "db.internal:5432", "web"]))?;
    seen(demo, who, &output, "block")
}

fn seen(demo: &mut Demo, who: Person, output: &Output, expected: &str) -> Result<String> {
    let decision = decided(demo)?;
    let seen = text(output);
    sees(who, &seen);
    must(decision == expected, &format!("it is decided `{expected}`, not `{decision}`"))?;
    Ok(seen)
}

fn run(command: &mut Command) -> Result<Output> {
    let output = command.output();
    output.map_err(|error| Error::new(format!("running {}: {error}", command.get_program().display())))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn write(file: &std::path::Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(|error| Error::new(format!("writing {}: {error}", file.display())))
}
