//! What is computed by a cursor, for whom columns are masked: the server describes it by types only.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails here has failed")]

use gatewright_e2e::{Conversation, Mint, Scene, driver, eventually, policies};

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["analysts"], actors: &[], kind: "human", ttl: "1h" };

fn masked() -> Scene {
    Scene::with(&[("masks", &policies::masks().unwrap())]).unwrap()
}

/// What these statements give, without what is said beside it.
fn gives(psql: &mut Conversation, statements: &str) -> String {
    let answer = psql.say(statements).unwrap();
    let rows = answer
        .lines()
        .filter(|line| !["NOTICE", "DETAIL", "HINT"].iter().any(|word| line.starts_with(word)));
    rows.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a030_a_cursor_shows_what_its_query_would() {
    let scene = masked();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    let query = "select id, upper(name), length(city) + 1, email, count(*) over (), 'x' || id from people where id < 3 order by id";
    let shown = "1|ADA LOVELACE|7|[redacted]|2|x1\n2|GRACE HOPPER|9|[redacted]|2|x2\n";
    assert_eq!(gives(&mut psql, &format!("{query};")), shown);
    psql.say(&format!("begin; declare c scroll cursor for {query};")).unwrap();
    assert_eq!(gives(&mut psql, "fetch all from c;"), shown);
    // As often as wanted, beside another one, and after what changes nothing of them.
    psql.say("savepoint s; declare \"D d\" scroll cursor for select upper(name) from people where id = 1; select 1; move backward all in c;").unwrap();
    assert_eq!(
        gives(&mut psql, "fetch 1 from \"D d\"; fetch 1 from c;"),
        "ADA LOVELACE\n1|ADA LOVELACE|7|[redacted]|2|x1\n"
    );
    psql.say("rollback;").unwrap();
    // In one text.
    let texts =
        "begin\\; declare c cursor for select lower(name) from people where id = 1\\; fetch c\\; commit;";
    assert_eq!(gives(&mut psql, texts), "ada lovelace\n");
    let script = "
import psycopg
with psycopg.connect() as conn:
    with conn.cursor('named') as cursor:
        cursor.itersize = 2
        cursor.execute('select id, upper(name), email from people where id < %s order by id', [4])
        print(cursor.fetchall())
";
    let rows = driver::psycopg(&scene.gateway.psql(&ALICE).unwrap(), script).unwrap();
    assert_eq!(
        rows,
        "[(1, 'ADA LOVELACE', '[redacted]'), (2, 'GRACE HOPPER', '[redacted]'), (3, 'ALAN TURING', '[redacted]')]\n"
    );
}

/// The name of a cursor may come to stand for another one.
#[test]
fn a030_a_cursor_that_may_be_another_one_shows_nothing_computed() {
    let scene = masked();
    let opens = "create function opens(c refcursor) returns refcursor language plpgsql as
            $$ begin open c for select upper(email) from people order by id; return c; end $$;
        create function closes(c refcursor) returns void language plpgsql as $$ begin close c; end $$;
        create table other (upper text); insert into other select upper(email) from people; alter table other owner to app;";
    scene.postgres.sql("postgres", opens).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    let declare = "begin; savepoint s; declare c cursor for select upper(name) from people order by id;";
    for between in [
        "close c; select opens('c');",
        "close all; select opens('c');",
        "rollback to s; select opens('c');",
        "select closes('c'), opens('c');",
        "select closes('c'); select opens('c');",
        "do $$ begin perform closes('c'); perform opens('c'); end $$;",
        "rollback; begin; select opens('c');",
        "commit; begin; select opens('c');",
        "discard all; rollback; begin; select opens('c');",
    ] {
        psql.say(declare).unwrap();
        psql.say(between).unwrap();
        let fetched = gives(&mut psql, "fetch 1 from c;");
        assert!(
            !fetched.contains('@') && !fetched.to_lowercase().contains("example"),
            "{between}: {fetched}"
        );
        psql.say("rollback;").unwrap();
    }
    // In one text, where what comes last is what counts.
    let text = "begin\\; declare c cursor for select upper(name) from people\\; close c\\; \
                select opens('c')\\; fetch 1 from c;";
    let fetched = gives(&mut psql, text);
    assert!(!fetched.to_lowercase().contains("example"), "{fetched}");
    psql.say("rollback;").unwrap();
    // What has failed has declared nothing.
    psql.say("begin; select opens('c'); savepoint s; declare c cursor for select upper(name) from people; rollback to s;").unwrap();
    let fetched = gives(&mut psql, "fetch 1 from c;");
    assert!(!fetched.to_lowercase().contains("example"), "{fetched}");
}

#[test]
fn a030_a_cursor_that_was_declared_before_its_columns_were_masked_shows_none_of_them() {
    let scene = Scene::with(&[("masks", &policies::allow().unwrap())]).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    psql.say(
        "begin; declare c cursor for select upper(email), email, upper(name), id from people order by id;",
    )
    .unwrap();
    assert_eq!(gives(&mut psql, "fetch 1 from c;"), "ADA@EXAMPLE.COM|ada@example.com|ADA LOVELACE|1\n");
    scene.gateway.write_policy("masks", &policies::masks().unwrap()).unwrap();
    eventually("it is masked", || {
        gives(&mut psql, "select email from people where id = 1;") == "[redacted]\n"
    });
    // One computed column is of a masked one, so none of them is shown.
    assert_eq!(gives(&mut psql, "fetch 1 from c;"), "|[redacted]||2\n");
}

#[test]
fn a030_a_cursor_over_what_has_another_name_by_now_shows_nothing_computed() {
    let scene = masked();
    scene.postgres.sql("postgres", "alter table people owner to app").unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    psql.say("begin; declare c cursor for select upper(email) from people; declare d cursor for select upper(name) from people;")
        .unwrap();
    psql.say("alter table people rename to persons;").unwrap();
    psql.say("create table people (name text, email text);").unwrap();
    for name in ["c", "d"] {
        let fetched = gives(&mut psql, &format!("fetch 1 from {name};"));
        assert!(!fetched.to_lowercase().contains("example") && !fetched.contains("ADA"), "{fetched}");
    }
}
