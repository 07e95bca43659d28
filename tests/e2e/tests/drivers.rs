//! Two real drivers: their own protocols of preparing, pipelining, binary values and cursors.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_e2e::{Gateway, Mint, Psql, Scene, driver};
use tokio_postgres::types::Type;

fn psycopg(scene: &Scene) -> Psql {
    scene.gateway.psql(&Mint::default()).unwrap()
}

#[test]
fn psycopg_prepares_binds_and_reads_binary() {
    let scene = Scene::open().unwrap();
    let script = r#"
import psycopg, datetime, decimal
with psycopg.connect() as conn:
    for _ in range(10):
        row = conn.execute("select name from people where id = %s", [2], prepare=True).fetchone()
    print(row[0])
    with conn.cursor(binary=True) as cur:
        cur.execute("select %b::int8, %b::text, 1.5::numeric, date '2020-02-29', array[1,2,null], null", [2**40, "sch\u00f6n"])
        print(cur.fetchone())
    with conn.cursor() as cur:
        cur.executemany("insert into scratch values (%s)", [(f"note {n}",) for n in range(100)])
        cur.execute("select count(*) from scratch")
        print(cur.fetchone()[0])
    conn.rollback()
    print(conn.execute("select count(*) from scratch").fetchone()[0])
"#;
    let answer = driver::psycopg(&psycopg(&scene), script).unwrap();
    let expected = "Grace Hopper\n(1099511627776, 'schön', Decimal('1.5'), datetime.date(2020, 2, 29), [1, 2, None], None)\n100\n0\n";
    assert_eq!(answer, expected);
}

#[test]
fn psycopg_pipelines() {
    let scene = Scene::open().unwrap();
    let script = r#"
import psycopg
conn = psycopg.connect(autocommit=True)
with conn.pipeline() as p:
    cursors = [conn.execute("select %s::int * 2", [n]) for n in range(200)]
    p.sync()
    print(sum(c.fetchone()[0] for c in cursors))
# An error inside of a pipeline skips what follows it up to the sync, and nothing after it.
try:
    with conn.pipeline() as p:
        first = conn.execute("select 'before'")
        bad = conn.execute("select 1 / %s::int", [0])
        skipped = conn.execute("select 'skipped'")
        p.sync()
        after = conn.execute("select 'after'")
        p.sync()
        print(first.fetchone()[0])
        bad.fetchone()
except psycopg.errors.DivisionByZero as e:
    print("division by zero")
print(conn.execute("select 'session goes on'").fetchone()[0])
"#;
    let answer = driver::psycopg(&psycopg(&scene), script).unwrap();
    assert_eq!(answer.lines().next(), Some("39800"), "{answer}");
    assert!(answer.contains("division by zero\nsession goes on\n"), "{answer}");
}

#[test]
fn psycopg_copies_and_streams() {
    let scene = Scene::open().unwrap();
    let script = r#"
import psycopg
with psycopg.connect() as conn, conn.cursor() as cur:
    with cur.copy("copy scratch from stdin") as copy:
        for n in range(5000):
            copy.write_row([f"row {n}"])
    with cur.copy("copy scratch to stdout (format binary)") as copy:
        copy.set_types(["text"])
        rows = list(copy.rows())
    print(len(rows), rows[-1])
    with conn.cursor(name="server_side") as named:
        named.itersize = 100
        named.execute("select id from orders order by id")
        print(sum(row[0] for row in named))
    print(sum(1 for _ in cur.stream("select * from generate_series(1, 3000)")))
"#;
    let answer = driver::psycopg(&psycopg(&scene), script).unwrap();
    assert_eq!(answer, "5000 ('row 4999',)\n820\n3000\n");
}

#[test]
fn psycopg_cancels_and_goes_on() {
    let scene = Scene::open().unwrap();
    let script = r#"
import psycopg, threading
conn = psycopg.connect(autocommit=True)
threading.Timer(1, conn.cancel).start()
try:
    conn.execute("select pg_sleep(600)")
except psycopg.errors.QueryCanceled as e:
    print("cancelled")
print(conn.execute("select 'goes on'").fetchone()[0])
"#;
    assert_eq!(driver::psycopg(&psycopg(&scene), script).unwrap(), "cancelled\ngoes on\n");
}

#[test]
fn psycopg_sees_a_block_as_an_error_it_knows() {
    let scene = Scene::with(&[("where", &gatewright_e2e::policies::where_required().unwrap())]).unwrap();
    let script = r#"
import psycopg
conn = psycopg.connect(autocommit=True)
try:
    conn.execute("delete from people")
except psycopg.errors.InsufficientPrivilege as e:
    print(e.diag.sqlstate, bool(e.diag.message_primary), bool(e.diag.message_hint))
with conn.pipeline() as p:
    first = conn.execute("select count(*) from people")
    p.sync()
    bad = conn.execute("delete from orders")
    try:
        p.sync()
        bad.fetchone()
    except psycopg.errors.InsufficientPrivilege:
        print("blocked in the pipeline")
print(conn.execute("select count(*) from orders").fetchone()[0])
"#;
    let answer = driver::psycopg(&psycopg(&scene), script).unwrap();
    assert_eq!(answer, "42501 True True\nblocked in the pipeline\n40\n");
}

#[tokio::test]
async fn tokio_postgres_prepares_and_pipelines() {
    let scene = Scene::open().unwrap();
    let client = connect(&scene.gateway).await;
    let statement =
        client.prepare_typed("select $1 + id from people where name = $2", &[Type::INT8]).await.unwrap();
    let row = client.query_one(&statement, &[&10_i64, &"Alan Turing"]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 13);

    // Sent without waiting for answers: they come back in order.
    let futures: Vec<_> =
        (0_i64..100)
            .map(|n| {
                let (client, statement) = (&client, &statement);
                async move {
                    client.query_one(statement, &[&n, &"Ada Lovelace"]).await.unwrap().get::<_, i64>(0)
                }
            })
            .collect();
    for (n, future) in (0_i64..).zip(futures) {
        assert_eq!(future.await, n + 1);
    }
    let messages = client.simple_query("select 1; select 2").await.unwrap();
    assert_eq!(
        messages
            .iter()
            .filter(|message| matches!(message, tokio_postgres::SimpleQueryMessage::Row(_)))
            .count(),
        2
    );
}

#[tokio::test]
async fn tokio_postgres_has_transactions_and_portals() {
    let scene = Scene::open().unwrap();
    let mut client = connect(&scene.gateway).await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("select id from orders order by id", &[]).await.unwrap();
    for expected in [7, 7, 7, 7, 7, 5, 0] {
        assert_eq!(transaction.query_portal(&portal, 7).await.unwrap().len(), expected);
    }
    assert_eq!(
        transaction.execute("update people set city = 'Paris' where id = $1", &[&1_i64]).await.unwrap(),
        1
    );
    transaction.rollback().await.unwrap();
    let city: String = client.query_one("select city from people where id = 1", &[]).await.unwrap().get(0);
    assert_eq!(city, "London");

    let error = client.query("select 1 / $1::int8", &[&0_i64]).await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code().to_owned()), Some("22012".to_owned()));
    assert_eq!(client.query_one("select 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

async fn connect(gateway: &Gateway) -> tokio_postgres::Client {
    driver::tokio_postgres(gateway, &Mint::default()).await.unwrap()
}
