//! What tokio-postgres is known for, as a programme of [`crate::conformance`]: pipelines, portals, binary values,
//! COPY, notifications.

use std::{fmt::Write as _, future::poll_fn, pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::{TryStreamExt as _, future::try_join_all};
use gatewright_testbed::{Error, Psql, Result};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{
    AsyncMessage, Client, IsolationLevel, SimpleQueryMessage,
    binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream},
    types::Type,
};

use crate::driver::{MakeTls, tokio_postgres_at};

/// Runs it on a connection.
///
/// # Errors
/// Where it can not connect.
pub fn run(connection: &Psql) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::new(format!("starting tokio: {error}")))?.block_on(programme(connection))
}

type Tried = std::result::Result<String, tokio_postgres::Error>;

/// Where the programme's output is gathered.
#[derive(Default)]
struct Output(String);

impl Output {
    async fn check(&mut self, label: &str, tried: impl Future<Output = Tried>) {
        let value = tried.await.unwrap_or_else(|error| said(&error));
        let _ = writeln!(self.0, "== {label}\n{value}");
    }
}

/// What an error of the server says, and that of another only as its kind.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!(
            "{} {} {} {:?} {:?} {:?}",
            error.severity(),
            error.code().code(),
            error.message(),
            error.detail(),
            error.table(),
            error.constraint()
        ),
        None => error.to_string(),
    }
}

async fn programme(connection: &Psql) -> Result<String> {
    let (mut client, tls, mut messages) = connect(connection).await?;
    let mut out = Output::default();
    let make = "drop table if exists tp_things; create table tp_things (id int8 primary key, note text)";
    client.batch_execute(make).await.map_err(|error| Error::new(said(&error)))?;
    values(&mut out, &client).await;
    transactions(&mut out, &mut client).await;
    copies(&mut out, &client).await;
    asynchronous(&mut out, &client, tls, &mut messages).await;
    let _ = client.batch_execute("drop table tp_things").await;
    Ok(out.0)
}

async fn connect(connection: &Psql) -> Result<(Client, MakeTls, UnboundedReceiver<AsyncMessage>)> {
    let (config, tls) = tokio_postgres_at(connection)?;
    let (client, mut connection) = config
        .connect(tls.clone())
        .await
        .map_err(|error| Error::new(format!("tokio-postgres: {error:?}")))?;
    let (sender, messages) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            let _ = sender.send(message);
        }
    });
    Ok((client, tls, messages))
}

async fn values(out: &mut Output, client: &Client) {
    out.check("values there and back", async {
        let text = "select $1::int8, $2::text, $3::bytea, $4::float8, $5::bool, $6::int4[], $7::text";
        let numbers = vec![Some(1_i32), None];
        let row = client
            .query_one(
                text,
                &[&(1_i64 << 62), &"schön", &&[0_u8, 255][..], &-0.1, &true, &numbers, &None::<&str>],
            )
            .await?;
        let columns: Vec<&str> = row.columns().iter().map(|column| column.type_().name()).collect();
        let first: (i64, String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let more: (f64, bool, Vec<Option<i32>>) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        Ok(format!("{columns:?} {first:?} {more:?} {:?}", row.try_get::<_, Option<String>>(6)?))
    })
    .await;
    out.check("a prepared statement and its types", async {
        let statement = client.prepare_typed("select $1 + 1 as more, $2", &[Type::INT8]).await?;
        let named = |column: &tokio_postgres::Column| format!("{} {}", column.name(), column.type_());
        let names: Vec<String> = statement.columns().iter().map(named).collect();
        Ok(format!("{:?} {names:?}", statement.params()))
    })
    .await;
    out.check("a hundred queries at once", async {
        let statement = client.prepare("select $1::int8").await?;
        let numbers: Vec<i64> = (0..100).collect();
        // Each sends when it is polled first: all of them are on their way before the first answer is read.
        let asked = numbers
            .iter()
            .map(|n| async { client.query_one(&statement, &[n]).await?.try_get::<_, i64>(0) });
        let sum: i64 = try_join_all(asked).await?.into_iter().sum();
        Ok(sum.to_string())
    })
    .await;
    out.check("simple queries", async {
        let messages =
            client.simple_query("select 1 as a; update tp_things set note = 'x'; select 'b', null").await?;
        let seen = messages.iter().map(|message| match message {
            SimpleQueryMessage::Row(row) => format!("{:?} {:?}", row.get(0), row.columns().len()),
            SimpleQueryMessage::CommandComplete(count) => format!("complete {count}"),
            SimpleQueryMessage::RowDescription(columns) => format!("{} columns", columns.len()),
            _ => "something else".to_owned(),
        });
        Ok(seen.collect::<Vec<_>>().join(", "))
    })
    .await;
    out.check("errors", async {
        let mut seen = Vec::new();
        client.execute("insert into tp_things values (1, 'one')", &[]).await?;
        for text in
            ["insert into tp_things values (1, 'twice')", "select * from tp_nowhere", "select 1 / 0"]
        {
            seen.extend(client.execute(text, &[]).await.err().map(|error| said(&error)));
        }
        Ok(seen.join("\n"))
    })
    .await;
}

async fn transactions(out: &mut Output, client: &mut Client) {
    out.check("portals, in turns", async {
        let transaction = client.transaction().await?;
        let one = transaction.bind("select n from generate_series(1, 10) n", &[]).await?;
        let other = transaction.bind("select n from generate_series(11, 20) n", &[]).await?;
        let mut counts = Vec::new();
        for _ in 0..4 {
            counts.push(transaction.query_portal(&one, 3).await?.len());
            counts.push(transaction.query_portal(&other, 7).await?.len());
        }
        transaction.commit().await?;
        Ok(format!("{counts:?}"))
    })
    .await;
    out.check("savepoints", async {
        let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let mut transaction = builder.start().await?;
        let nested = transaction.savepoint("one").await?;
        let failed = nested.execute("insert into tp_things values (1, 'twice')", &[]).await.err();
        let after = nested.execute("select 1", &[]).await.err();
        nested.rollback().await?;
        let level: String = transaction.query_one("show transaction_isolation", &[]).await?.try_get(0)?;
        transaction.rollback().await?;
        Ok(format!("{:?} {:?} {level}", failed.map(|error| said(&error)), after.map(|error| said(&error))))
    })
    .await;
}

async fn copies(out: &mut Output, client: &Client) {
    out.check("COPY in and out in binary", async {
        let sink = client.copy_in("copy tp_things from stdin (format binary)").await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT8, Type::TEXT]));
        for n in 1_000_i64..3_000 {
            writer.as_mut().write(&[&n, &format!("row {n}")]).await?;
        }
        let written = writer.finish().await?;
        let stream = client
            .copy_out("copy (select id from tp_things where id >= 1000) to stdout (format binary)")
            .await?;
        let mut rows = pin!(BinaryCopyOutStream::new(stream, &[Type::INT8]));
        let mut sum = 0;
        while let Some(row) = rows.try_next().await? {
            sum += row.try_get::<i64>(0)?;
        }
        Ok(format!("{written} {sum}"))
    })
    .await;
    out.check("a COPY that fails", async {
        let sink = client.copy_in("copy tp_things from stdin (format binary)").await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT8, Type::TEXT]));
        writer.as_mut().write(&[&1_i64, &"twice"]).await?;
        let failed = writer.finish().await.err().map(|error| said(&error));
        let after: i32 = client.query_one("select 1", &[]).await?.try_get(0)?;
        Ok(format!("{failed:?} {after}"))
    })
    .await;
    out.check("a COPY that is given up", async {
        drop(client.copy_in::<_, Bytes>("copy tp_things from stdin").await?);
        let count: i64 = client.query_one("select count(*) from tp_things", &[]).await?.try_get(0)?;
        Ok(count.to_string())
    })
    .await;
}

async fn asynchronous(
    out: &mut Output,
    client: &Client,
    tls: MakeTls,
    messages: &mut UnboundedReceiver<AsyncMessage>,
) {
    out.check("notices and notifications", async {
        while messages.try_recv().is_ok() {}
        client.batch_execute("do $$ begin raise notice 'noticed'; end $$; listen tp_channel").await?;
        client.execute("select pg_notify('tp_channel', 'hello')", &[]).await?;
        let mut seen = Vec::new();
        while let Some(message) = messages.recv().await {
            match message {
                AsyncMessage::Notice(notice) => {
                    seen.push(format!("{} {}", notice.code().code(), notice.message()))
                }
                AsyncMessage::Notification(heard) => {
                    seen.push(format!("{} {}", heard.channel(), heard.payload()));
                    break;
                }
                _ => {}
            }
        }
        Ok(seen.join(", "))
    })
    .await;
    out.check("cancel", async {
        let token = client.cancel_token();
        let mut running = pin!(client.batch_execute("select pg_sleep(60)"));
        loop {
            tokio::select! {
                ended = &mut running => break Ok(ended.err().map_or_else(|| "slept".to_owned(), |error| said(&error))),
                () = tokio::time::sleep(Duration::from_millis(200)) => token.cancel_query(tls.clone()).await?,
            }
        }
    })
    .await;
}
