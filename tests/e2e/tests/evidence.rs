//! The log: what is in it, what is not, and what survives.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::Duration,
};

use gatewright_e2e::{Mint, Scene, evidence, policies, wire};

#[test]
fn every_decision_carries_what_made_it() {
    let scene = Scene::open().unwrap();
    scene.alice().unwrap().run("select name from people where ssn = '536-22-8726';").unwrap();
    let records = scene.evidence().unwrap();
    let decisions = records.decisions_about("from people");
    let record = decisions.last().unwrap();
    for (field, value) in [
        ("subject", "alice"),
        ("target", "demo"),
        ("account", "app"),
        ("decision", "allow"),
        ("grade", "verified"),
    ] {
        assert_eq!(evidence::text(record, field), value, "{record}");
    }
    assert_eq!(evidence::text(record, "payload").len(), 64, "{record}");
    assert!(
        evidence::find(record, "set").is_some() && evidence::find(record, "policies").is_some(),
        "{record}"
    );
    assert!(!records.text().contains("536-22-8726"), "no literal is recorded");
}

#[test]
fn a098_a_changed_log_does_not_verify() {
    let mut scene = Scene::open().unwrap();
    let mut psql = scene.alice().unwrap().open().unwrap();
    for n in 0..50 {
        psql.say(&format!("select {n};")).unwrap();
    }
    psql.close().unwrap();
    scene.gateway.terminate().unwrap();
    scene.gateway.wait(Duration::from_secs(20)).unwrap();
    let (verified, said) = verify(&scene, &scene.gateway.evidence());
    assert!(verified, "what was not touched verifies: {said}");

    let segment = segment(&scene.gateway.evidence());
    let whole = fs::read(&segment).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let middle = lines.len() / 2;
    let mut changed = whole.clone();
    let position = changed.len() / 2;
    changed[position] ^= 0x01;
    let mut removed = lines.clone();
    removed.remove(middle);
    let mut swapped = lines.clone();
    swapped.swap(middle, middle + 1);
    let mut doubled = lines.clone();
    doubled.insert(middle, lines[middle]);
    for (what, bytes) in [
        ("one bit changed", changed),
        ("a record removed", removed.concat()),
        ("two records swapped", swapped.concat()),
        ("a record doubled", doubled.concat()),
        ("the tail cut off", lines[..middle].concat()),
        ("the head cut off", lines[middle..].concat()),
    ] {
        let copy = scene.stage.directory().join("copy");
        let _ = fs::remove_dir_all(&copy);
        assert!(
            Command::new("cp")
                .arg("-a")
                .args([&scene.gateway.evidence(), &copy])
                .status()
                .unwrap()
                .success()
        );
        fs::write(copy.join(segment.file_name().unwrap()), bytes).unwrap();
        let (verified, said) = verify(&scene, &copy);
        assert!(!verified, "{what} is found: {said}");
    }
    assert!(verify(&scene, &scene.gateway.evidence()).0, "the log itself is still whole");
}

/// Row F5 at its full size: SIGKILL at 200 random moments under load.
#[test]
fn f005_no_acknowledged_statement_lacks_its_record_after_sigkill() {
    let mut scene = Scene::open().unwrap();
    let token = scene.gateway.token(&Mint { ttl: "10h", ..Mint::default() }).unwrap();
    let acknowledged = Mutex::new(Vec::new());
    for round in 0..200 {
        thread::scope(|scope| {
            for client in 0..3 {
                let (port, authority) = (scene.gateway.port(), scene.gateway.authority());
                let (token, acknowledged) = (&token, &acknowledged);
                scope.spawn(move || {
                    let mark = |n: u32| format!("k_{round}_{client}_{n}_");
                    load(port, &authority, token, &mark, acknowledged);
                });
            }
            let random = RandomState::new().build_hasher().finish() % 150;
            thread::sleep(Duration::from_millis(random));
            scene.gateway.kill();
        });
        let (verified, said) = verify(&scene, &scene.gateway.evidence());
        assert!(verified, "round {round}: {said}");
        scene.gateway.restart().unwrap();
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 500, "the load was real: {}", acknowledged.len());
    let text = scene.evidence().unwrap().text();
    let recorded: std::collections::HashSet<&str> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("k_"))
        .collect();
    for mark in &acknowledged {
        assert!(
            recorded.contains(mark.as_str()),
            "a client saw {mark} succeed, and there is no record of it"
        );
    }
}

/// Reads and writes, each with a name of its own in it, until the connection breaks.
fn load(
    port: u16,
    authority: &Path,
    token: &str,
    mark: &dyn Fn(u32) -> String,
    acknowledged: &Mutex<Vec<String>>,
) {
    let Ok(mut client) = wire::Client::session(port, authority, token) else { return };
    for n in 0.. {
        let mark = mark(n);
        let statement = if n % 3 == 0 {
            format!("update people set city = city where id = 1 returning id as {mark}")
        } else {
            format!("select 1 as {mark}")
        };
        match client.query(&statement) {
            Ok(answer) if wire::tags(&answer).contains('C') => acknowledged.lock().unwrap().push(mark),
            _ => return,
        }
    }
}

#[test]
fn a099_no_secret_is_in_any_output() {
    let scene = Scene::with(&[("masks", &policies::masks().unwrap())]).unwrap();
    let token = scene.gateway.token(&Mint::default()).unwrap();
    let psql = gatewright_e2e::Psql::new(scene.gateway.port(), &scene.gateway.authority(), "app", &token);
    psql.run(
        "select * from people where card = '4111 1111 1111 1111';
        select 'canary-literal';
        prepare p as select $1::text; execute p('canary-parameter');
        alter role app password 'canary-password';
        select 'canary-broken;
        ';
        select canary_column from people where ssn = '536-22-8726';
        do $$ begin raise exception 'canary-raised'; end $$;",
    )
    .unwrap();
    let stranger =
        gatewright_e2e::Psql::new(scene.gateway.port(), &scene.gateway.authority(), "app", "canary-token");
    stranger.run("select 1;").unwrap();

    let metrics = scene.gateway.get("/metrics").unwrap().body;
    let outputs = [
        ("log", scene.gateway.log()),
        ("metrics", metrics),
        ("evidence", scene.evidence().unwrap().text()),
    ];
    let signature = token.rsplit('.').next().unwrap();
    let secrets = [
        token.as_str(),
        signature,
        "canary-literal",
        "canary-parameter",
        "canary-password",
        "canary-broken",
        "canary-raised",
        "canary-token",
        "4111 1111 1111 1111",
        "536-22-8726",
        "ada@example.com",
        scene.postgres.password(),
    ];
    for (what, output) in outputs {
        for secret in secrets {
            assert!(!output.contains(secret), "the {what} holds {secret}");
        }
    }
}

#[test]
fn a099_a_record_is_one_line_whatever_a_client_calls_itself() {
    let scene = Scene::open().unwrap();
    let token = scene.gateway.token(&Mint::default()).unwrap();
    let mut client = wire::Client::connect_tls(scene.gateway.port(), &scene.gateway.authority()).unwrap();
    let name = "x\r\n{\"kind\":\"forged\"}\u{1b}[2J\u{202e}";
    client
        .send(&wire::startup(&[("user", "app"), ("database", "postgres"), ("application_name", name)]))
        .unwrap();
    if client.expect('R').is_ok() {
        client.send(&wire::password(&token)).unwrap();
        let _ = client.until_ready();
        let _ = client.query("select 1 as \"y\r\n{}\u{1b}[2J\"");
    }
    let shown = scene.gateway.run(&["evidence", "show"]).unwrap();
    let raw = fs::read_to_string(segment(&scene.gateway.evidence())).unwrap();
    for text in [shown, raw, scene.gateway.log()] {
        assert!(
            !text.contains("\u{1b}[2J") && !text.contains('\u{202e}'),
            "control characters are made visible"
        );
        assert!(
            !text.lines().any(|line| line.starts_with("{\"kind\":\"forged\"}")),
            "no line can be forged"
        );
    }
    assert!(scene.evidence().unwrap().of("forged").is_empty());
}

/// Runs the verifier on a directory, without the gateway.
fn verify(scene: &Scene, directory: &Path) -> (bool, String) {
    let output = scene.gateway.verify(directory).unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The file of the log that holds the records.
fn segment(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    let records = files.filter(|path| path.is_file());
    records.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}
