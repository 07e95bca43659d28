//! What SQLx is known for: statements that it prepares and keeps, rows as types, streams, nested transactions, pools,
//! COPY, listeners, types that it looks up by itself. The connection is that of the environment (`PGHOST`, ...).

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::{
    Connection as _, Executor as _, FromRow, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgListener, PgPoolCopyExt as _, PgPoolOptions},
    types::{Json, Uuid},
};

type Tried = Result<String, sqlx::Error>;

async fn check(label: &str, tried: impl Future<Output = Tried>) {
    let value = tried.await.unwrap_or_else(|error| said(&error));
    println!("== {label}\n{value}");
}

fn said(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => {
            let error = error.downcast_ref::<sqlx::postgres::PgDatabaseError>();
            format!(
                "{:?} {} {} {:?} {:?} {:?} {:?}",
                error.severity(),
                error.code(),
                error.message(),
                error.detail(),
                error.table(),
                error.constraint(),
                error.position()
            )
        }
        None => error.to_string(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), sqlx::Error> {
    let options = PgConnectOptions::new();
    let mut connection = PgConnection::connect_with(&options).await?;
    connection
        .execute(
            "drop table if exists sqlx_things; drop type if exists sqlx_mood; create type sqlx_mood as enum ('fine', 'tired'); \
             create table sqlx_things (id int8 primary key, note text, mood sqlx_mood, data jsonb)",
        )
        .await?;
    values(&mut connection).await;
    statements(&mut connection).await;
    transactions(&mut connection).await;
    pools(&options).await;
    connection.execute("drop table sqlx_things; drop type sqlx_mood").await?;
    connection.close().await
}

#[derive(Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "sqlx_mood", rename_all = "lowercase")]
enum Mood {
    Fine,
    Tired,
}

#[derive(Debug, FromRow)]
#[expect(dead_code, reason = "they are printed")]
struct Thing {
    id: i64,
    note: Option<String>,
    mood: Option<Mood>,
}

async fn values(connection: &mut PgConnection) {
    check("values there and back", async {
        let row = sqlx::query("select $1, $2, $3, $4, $5, $6, $7")
            .bind(1_i64 << 62)
            .bind("schön")
            .bind(vec![0_u8, 255])
            .bind(-0.1_f64)
            .bind(vec![1_i32, 2])
            .bind(Uuid::from_u128(7))
            .bind(None::<String>)
            .fetch_one(&mut *connection)
            .await?;
        let first: (i64, String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let more: (f64, Vec<i32>, Uuid) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        Ok(format!("{first:?} {more:?} {:?}", row.try_get::<Option<String>, _>(6)?))
    })
    .await;
    check("types that it looks up", async {
        for (id, mood) in [(1_i64, Mood::Fine), (2, Mood::Tired)] {
            sqlx::query("insert into sqlx_things values ($1, $2, $3, $4)")
                .bind(id)
                .bind(format!("note {id}"))
                .bind(mood)
                .bind(Json(vec![id, id + 1]))
                .execute(&mut *connection)
                .await?;
        }
        let things: Vec<Thing> = sqlx::query_as("select id, note, mood from sqlx_things order by id")
            .fetch_all(&mut *connection)
            .await?;
        let data: Json<Vec<i64>> = sqlx::query_scalar("select data from sqlx_things where mood = $1")
            .bind(Mood::Tired)
            .fetch_one(connection)
            .await?;
        Ok(format!("{things:?} {:?}", data.0))
    })
    .await;
}

async fn statements(connection: &mut PgConnection) {
    check("statements that are kept", async {
        let mut sum = 0_i64;
        for round in 0..300_i64 {
            // More than it keeps: it closes the oldest.
            let text = format!("select $1::int8 + {}", round % 150);
            sum += sqlx::query_scalar::<_, i64>(&text).bind(round).fetch_one(&mut *connection).await?;
        }
        Ok(format!("{sum} {}", connection.cached_statements_size()))
    })
    .await;
    check("a stream of rows", async {
        let mut rows = sqlx::query("select generate_series(1, 5000)::int8").fetch(&mut *connection);
        let mut sum = 0;
        while let Some(row) = rows.try_next().await? {
            sum += row.try_get::<i64, _>(0)?;
        }
        Ok(sum.to_string())
    })
    .await;
    check("a stream that is left", async {
        let first = {
            let mut rows = sqlx::query("select generate_series(1, 5000)::int8").fetch(&mut *connection);
            rows.try_next().await?.map(|row| row.try_get::<i64, _>(0)).transpose()?
        };
        let after: i32 = sqlx::query_scalar("select 7").fetch_one(&mut *connection).await?;
        Ok(format!("{first:?} {after}"))
    })
    .await;
    check("several statements in one text", async {
        let done = connection.execute("select 1; update sqlx_things set note = note; select 2, 3").await?;
        Ok(done.rows_affected().to_string())
    })
    .await;
    check("described", async {
        let described = connection.describe("select id, note from sqlx_things where id = $1").await?;
        let columns: Vec<_> = described.columns().iter().map(|column| format!("{column:?}")).collect();
        Ok(format!("{} {:?}", columns.len(), described.nullable(0)))
    })
    .await;
    check("errors", async {
        let mut seen = Vec::new();
        for text in [
            "insert into sqlx_things values (1)",
            "select * from sqlx_nowhere",
            "select 1 / 0",
            "selec 1",
            "select 'schön', from",
            "select 'unterminated",
        ] {
            seen.extend(sqlx::query(text).execute(&mut *connection).await.err().map(|error| said(&error)));
            seen.extend(connection.execute(text).await.err().map(|error| said(&error)));
        }
        Ok(seen.join("\n"))
    })
    .await;
}

async fn transactions(connection: &mut PgConnection) {
    check("transactions in transactions", async {
        let mut outer = connection.begin().await?;
        sqlx::query("insert into sqlx_things values (10)").execute(&mut *outer).await?;
        let mut inner = sqlx::Acquire::begin(&mut *outer).await?;
        sqlx::query("insert into sqlx_things values (11)").execute(&mut *inner).await?;
        let failed = sqlx::query("select 1 / 0").execute(&mut *inner).await.err().map(|error| said(&error));
        inner.rollback().await?;
        outer.commit().await?;
        let ids: Vec<i64> = sqlx::query_scalar("select id from sqlx_things where id >= 10")
            .fetch_all(&mut *connection)
            .await?;
        Ok(format!("{failed:?} {ids:?}"))
    })
    .await;
    check("a transaction that is dropped", async {
        let mut dropped = connection.begin().await?;
        sqlx::query("delete from sqlx_things").execute(&mut *dropped).await?;
        drop(dropped);
        let left: i64 =
            sqlx::query_scalar("select count(*) from sqlx_things").fetch_one(&mut *connection).await?;
        Ok(left.to_string())
    })
    .await;
}

async fn pools(options: &PgConnectOptions) {
    check("a pool, COPY and a listener", async {
        let pool = PgPoolOptions::new().max_connections(3).connect_with(options.clone()).await?;
        let mut copy = pool.copy_in_raw("copy sqlx_things (id, note) from stdin").await?;
        for start in (100..2100).step_by(500) {
            let lines: String = (start..start + 500).map(|id| format!("{id}\tcopied {id}\n")).collect();
            copy.send(lines.as_bytes()).await?;
        }
        let copied = copy.finish().await?;
        let out = pool.copy_out_raw("copy (select id from sqlx_things where id >= 100) to stdout").await?;
        let bytes = out.try_fold(0, async |sum, chunk| Ok(sum + chunk.len())).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen("sqlx_channel").await?;
        sqlx::query("select pg_notify('sqlx_channel', 'hello')").execute(&pool).await?;
        let heard = tokio::time::timeout(Duration::from_secs(20), listener.recv()).await;
        let heard = heard.map_err(|_| sqlx::Error::PoolTimedOut)??;
        drop(listener);
        pool.close().await;
        Ok(format!("{copied} {bytes} {} {}", heard.channel(), heard.payload()))
    })
    .await;
    check("cancel", async {
        let mut connection = PgConnection::connect_with(options).await?;
        connection.execute("set statement_timeout = '200ms'").await?;
        let slow = sqlx::query("select pg_sleep(60)").execute(&mut connection).await;
        let slow = slow.err().map(|error| said(&error));
        let after: i32 = sqlx::query_scalar("select 8").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(format!("{slow:?} {after}"))
    })
    .await;
}
