//! Allow, block, mask and escalate as a client sees them.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_e2e::{Mint, Scene, eventually, evidence, policies, wire};

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["analysts"], actors: &[], kind: "human", ttl: "1h" };
const CAROL: Mint<'static> =
    Mint { subject: "carol", groups: &["privacy"], actors: &[], kind: "human", ttl: "1h" };

#[test]
fn a_block_says_what_why_and_how_to_go_on() {
    let scene = Scene::with(&[("where", &policies::where_required().unwrap())]).unwrap();
    let psql = scene.gateway.psql(&ALICE).unwrap().options(&["-v", "VERBOSITY=verbose"]);
    let answer = psql.run("delete from people;").unwrap();
    assert!(answer.contains("ERROR:  42501"), "{answer}");
    assert!(answer.contains("where"), "the rule is named: {answer}");
    assert!(answer.contains("DETAIL:") && answer.contains("HINT:"), "{answer}");
    assert_eq!(scene.postgres.sql("postgres", "select count(*) from people").unwrap(), "4");
    let records = scene.evidence().unwrap();
    let decisions = records.decisions_about("delete from people");
    assert_eq!(decisions.len(), 1, "{}", records.text());
    assert_eq!(evidence::text(decisions[0], "decision"), "block");
    assert_eq!(evidence::text(decisions[0], "subject"), "alice");
}

#[test]
fn after_a_block_the_session_is_as_after_an_error_of_the_server() {
    let scene = Scene::with(&[("where", &policies::where_required().unwrap())]).unwrap();
    let token = scene.gateway.token(&ALICE).unwrap();
    let mut client =
        wire::Client::session(scene.gateway.port(), &scene.gateway.authority(), &token).unwrap();
    let state = |messages: &[wire::Message]| messages.last().unwrap().body.clone();

    // Outside of a transaction: idle before, idle after.
    assert_eq!(state(&client.query("delete from people").unwrap()), b"I");
    // Inside: failed, as after any error; then everything but the end is refused by the server itself.
    assert_eq!(state(&client.query("begin").unwrap()), b"T");
    assert_eq!(state(&client.query("delete from people").unwrap()), b"E");
    let refused = client.query("select 1").unwrap();
    assert_eq!(wire::states(&refused), ["25P02"]);
    assert_eq!(state(&client.query("rollback").unwrap()), b"I");
    // With a savepoint the transaction goes on.
    client.query("begin; update people set city = 'Bath' where id = 1; savepoint s").unwrap();
    assert_eq!(state(&client.query("delete from people").unwrap()), b"E");
    assert_eq!(state(&client.query("rollback to s").unwrap()), b"T");
    assert_eq!(state(&client.query("commit").unwrap()), b"I");
    assert_eq!(scene.postgres.sql("postgres", "select city from people where id = 1").unwrap(), "Bath");
}

#[test]
fn a025_a_masked_column_is_masked_under_every_name() {
    let scene = Scene::with(&[("masks", &policies::masks().unwrap())]).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    let secrets = ["ada@example.com", "4111 1111 1111 1111", "536-22-8726"];
    for statement in [
        "select * from people where id = 1;",
        "select email, card, ssn from people where id = 1;",
        "select p.email as contact, p.card as number from people as p where p.id = 1;",
        "with x as (select * from people) select * from x where id = 1;",
        "select * from people_public where id = 1;",
        "select (select email from people where id = 1);",
        "select upper(email), substr(card, 1, 19), ssn || '' from people where id = 1;",
        "select array_agg(email), string_agg(ssn, ',') from people;",
        "select row_to_json(people) from people where id = 1;",
        "select people from people where id = 1;",
        "select md5(ssn), length(card) from people;",
        "select email from people union all select card from people;",
        "select max(email), min(card) from people;",
        "select case when id = 1 then email end from people;",
        "copy people to stdout;",
        "copy (select email from people) to stdout;",
        "begin; declare c cursor for select email from people; fetch all from c; commit;",
        "update people set city = city where id = 1 returning email, card, ssn;",
        "prepare p as select email from people; execute p; deallocate p;",
        "create temp table t as select email from people; select * from t;",
        "explain (analyze, verbose) select * from people where email = 'ada@example.com';",
        "select cast(email as int) from people where id = 1;",
    ] {
        let answer = psql.say(statement).unwrap().to_lowercase();
        psql.say("rollback;").unwrap();
        for secret in secrets {
            assert!(!answer.contains(secret), "{statement} shows {secret}: {answer}");
        }
        assert!(!answer.is_empty(), "{statement} gives an answer, be it a refusal");
    }
    let masked = psql.say("select id, name, card, ssn from people where id = 1;").unwrap();
    assert!(masked.starts_with("1|Ada Lovelace|"), "other columns are untouched: {masked}");
    assert!(masked.contains("1111|"), "a partial mask leaves its last four: {masked}");
    let again = psql.say("select id, name, card, ssn from people where id = 1;").unwrap();
    assert_eq!(masked, again, "a keyed hash is the same each time");

    let open =
        scene.psql(&CAROL).unwrap().run("select email, card, ssn from people where id = 1;").unwrap();
    assert_eq!(open, "ada@example.com|4111 1111 1111 1111|536-22-8726\n", "privacy sees everything");
}

#[test]
fn a025_what_a_change_returns_is_masked_whatever_was_assigned() {
    let scene = Scene::with(&[("masks", &policies::masks().unwrap())]).unwrap();
    scene
        .postgres
        .sql("postgres", "alter table people add constraint people_email unique (email)")
        .unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    for (statement, shown) in [
        (
            "update people set city = city where id = 1 returning name, email, city;",
            "Ada Lovelace|[redacted]|London",
        ),
        (
            "update people set city = upper(name) || city where id = 1 returning card, city;",
            "1111|ADA LOVELACELondon",
        ),
        ("update people set city = 'London' where id = 1 returning email;", "[redacted]"),
        (
            "update people p set city = (select max(o.id) from orders o) where p.id = 1 returning p.email;",
            "[redacted]",
        ),
    ] {
        let answer = psql.say(statement).unwrap();
        assert!(answer.contains(shown), "{statement}: {answer}");
        assert!(
            !answer.contains("ada@") && !answer.contains("536-22") && !answer.contains("4111"),
            "{answer}"
        );
    }
    for refused in [
        "update people set city = ssn where id = 1 returning city;",
        "update people set city = (select ssn from people where id = 1) where id = 1 returning city;",
        "update people set city = email where id = 1 returning *;",
        "with x as (update people set city = ssn where id = 1 returning city) select city from x;",
    ] {
        let answer = psql.say(refused).unwrap();
        assert!(answer.contains("ERROR") && answer.contains("code: mask."), "{refused}: {answer}");
    }
}

#[test]
fn a025_a_masked_column_that_was_renamed_closes_its_relation_and_nothing_else() {
    let scene = Scene::with(&[("masks", &policies::masks().unwrap())]).unwrap();
    scene.postgres.sql("postgres", "alter table people rename column ssn to social").unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    for statement in [
        "select social from people where id = 1;",
        "select name from public.people where id = 1;",
        "select * from people_public where id = 1;",
        "select o.id from orders o join people p on p.id = o.person limit 1;",
        "copy people to stdout;",
    ] {
        let answer = psql.say(statement).unwrap();
        assert!(answer.contains("public.people.ssn, which does not exist"), "{statement}: {answer}");
    }
    assert_eq!(psql.say("select 1;").unwrap(), "1\n");
    assert_eq!(psql.say("select count(*) from orders;").unwrap(), "40\n");
    assert_eq!(psql.say("begin; insert into scratch values ('x'); commit;").unwrap(), "");
    assert_eq!(psql.say("select note from scratch;").unwrap(), "x\n");
    let carol = scene.psql(&CAROL).unwrap().run("select social from people where id = 1;").unwrap();
    assert_eq!(carol, "536-22-8726\n", "nothing is masked for her");
}

#[test]
fn a034_masks_hold_in_binary_and_over_the_extended_protocol() {
    let scene = Scene::with(&[("masks", &policies::masks().unwrap())]).unwrap();
    let script = r#"
import psycopg
with psycopg.connect(autocommit=True) as conn:
    for binary in (False, True):
        for n in range(8):
            row = conn.execute("select email, card, ssn, name from people where id = %s", [1], prepare=True, binary=binary).fetchone()
            assert row[3] == "Ada Lovelace", row
            assert "ada@example.com" not in row and "4111 1111 1111 1111" not in row and "536-22-8726" not in row, row
        print(row[1][-4:])
"#;
    let connection = scene.gateway.psql(&ALICE).unwrap();
    assert_eq!(gatewright_e2e::driver::psycopg(&connection, script).unwrap(), "1111\n1111\n");
}

#[test]
fn an_escalated_statement_waits_for_somebody_else() {
    let scene = Scene::with(&[("drop", &policies::escalate_drop("5m").unwrap())]).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    psql.begin("drop table scratch;").unwrap();
    let id = gatewright_e2e::approvals::wait(&scene.gateway).unwrap();
    let mut notice = String::new();
    while !notice.contains("HINT") {
        notice.push_str(&psql.line().unwrap().unwrap());
    }
    assert!(
        notice.contains("NOTICE") && notice.contains(&id),
        "the client knows what it waits for: {notice}"
    );
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");

    // Alice may be a reviewer herself: it is still her own statement.
    let own = Mint { groups: &["reviewers"], ..ALICE };
    let refused = gatewright_e2e::approvals::answer(&scene.gateway, "approve", &id, &own).unwrap();
    assert!(!refused.status.success(), "nobody approves their own statement");
    // So is an agent that acts for her.
    let agent =
        Mint { subject: "alice", groups: &["reviewers"], actors: &["helper"], kind: "agent", ttl: "1h" };
    assert!(
        !gatewright_e2e::approvals::answer(&scene.gateway, "approve", &id, &agent)
            .unwrap()
            .status
            .success()
    );
    // And somebody who is no reviewer may not either.
    assert!(
        !gatewright_e2e::approvals::answer(&scene.gateway, "approve", &id, &CAROL)
            .unwrap()
            .status
            .success()
    );
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");

    let bob = Mint::person("bob", &["reviewers"]);
    let approved = gatewright_e2e::approvals::answer(&scene.gateway, "approve", &id, &bob).unwrap();
    assert!(approved.status.success(), "{approved:?}");
    let rest = psql.end().unwrap();
    assert!(!rest.contains("ERROR"), "{rest}");
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "");
    assert_eq!(psql.say("select 'goes on';").unwrap(), "goes on\n");

    let records = scene.evidence().unwrap();
    assert_eq!(records.of("approval_requested").len(), 1);
    let answers: Vec<&str> =
        records.of("approval_answered").iter().map(|record| evidence::text(record, "answer")).collect();
    assert_eq!(answers.last(), Some(&"approve"), "{answers:?}");
    assert_eq!(evidence::text(records.of("approval_settled")[0], "state"), "approved");
}

#[test]
fn a_rejected_statement_does_not_run() {
    let scene = Scene::with(&[("drop", &policies::escalate_drop("5m").unwrap())]).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    psql.begin("drop table scratch;").unwrap();
    let id = gatewright_e2e::approvals::wait(&scene.gateway).unwrap();
    let bob = Mint::person("bob", &["reviewers"]);
    assert!(
        gatewright_e2e::approvals::answer(&scene.gateway, "reject", &id, &bob).unwrap().status.success()
    );
    let answer = psql.end().unwrap();
    assert!(answer.contains("ERROR"), "{answer}");
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");
    assert_eq!(psql.say("select 'goes on';").unwrap(), "goes on\n");
}

#[test]
fn f024_a_reviewer_who_never_answers_is_a_no() {
    let scene = Scene::with(&[("drop", &policies::escalate_drop("2s").unwrap())]).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    let answer = psql.say("drop table scratch;").unwrap();
    assert!(answer.contains("ERROR"), "{answer}");
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");
    assert_eq!(evidence::text(scene.evidence().unwrap().of("approval_settled")[0], "state"), "expired");
}

#[test]
fn f025_a_client_that_goes_away_withdraws_its_request() {
    let scene = Scene::with(&[("drop", &policies::escalate_drop("5m").unwrap())]).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    psql.begin("drop table scratch;").unwrap();
    let id = gatewright_e2e::approvals::wait(&scene.gateway).unwrap();
    drop(psql);
    eventually("the request is settled", || !scene.evidence().unwrap().of("approval_settled").is_empty());
    assert_eq!(evidence::text(scene.evidence().unwrap().of("approval_settled")[0], "state"), "withdrawn");
    let bob = Mint::person("bob", &["reviewers"]);
    let late = gatewright_e2e::approvals::answer(&scene.gateway, "approve", &id, &bob).unwrap();
    assert!(!late.status.success(), "an answer that comes after is no answer");
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");
}

#[test]
fn the_chain_of_an_agent_is_in_every_record() {
    let scene = Scene::open().unwrap();
    let agent = Mint { actors: &["research-agent", "planner"], kind: "agent", ..ALICE };
    assert_eq!(scene.psql(&agent).unwrap().run("select 'by an agent';").unwrap(), "by an agent\n");
    let records = scene.evidence().unwrap();
    let decisions = records.of("decision");
    let record = decisions.last().unwrap();
    assert_eq!(evidence::text(record, "subject"), "alice");
    let actors = evidence::find(record, "actors").unwrap().to_string();
    assert!(actors.contains("research-agent") && actors.contains("planner"), "{actors}");
}

#[test]
fn without_a_policy_nothing_goes_through() {
    let scene = Scene::recorded(&[]).unwrap();
    let answer = scene.alice().unwrap().run("select 'reached';").unwrap();
    assert!(answer.contains("42501") || answer.contains("ERROR"), "{answer}");
    assert!(!scene.recorder.as_ref().unwrap().saw("'reached'"));
}

/// What the owner of a database says of his own functions counts, for calls that say whose they are.
#[test]
fn a016_whoever_may_read_may_call_functions_that_are_known_to_be_harmless() {
    let read_only = policies::rules("read-only", "read_only = true").unwrap();
    let scene = Scene::build(&[("read-only", &read_only)], false, |setup| {
        setup.of_target(&["harmless_functions = [\"app.shout\"]"])
    })
    .unwrap();
    let define = "create schema app; grant usage on schema app to public; \
                  create function app.shout(text) returns text language sql as 'select upper($1) || ''!'''; \
                  create function public.shout(text) returns text language sql as \
                  'insert into public.scratch values ($1) returning note'";
    scene.postgres.sql("postgres", define).unwrap();
    let psql = scene.psql(&ALICE).unwrap();
    assert_eq!(psql.run("select app.shout(name) from people where id = 1;").unwrap(), "ADA LOVELACE!\n");
    for call in
        ["select shout('x');", "select public.shout('x');", "set search_path = app; select shout('x');"]
    {
        let answer = psql.open().unwrap().say(call).unwrap();
        assert!(answer.contains("may read and not change anything"), "{call}: {answer}");
    }
    assert_eq!(scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(), "0");
}
