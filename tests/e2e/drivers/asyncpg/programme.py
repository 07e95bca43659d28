"""What asyncpg is known for: everything binary, a cache of prepared statements, COPY of records, introspection."""

import asyncio
import datetime
import decimal
import io
import ipaddress
import uuid

import asyncpg

from check import check_async

VALUES = [
    ("bool", True), ("int2", -3), ("int4", 70000), ("int8", 2**62), ("float4", 1.5), ("float8", -0.1),
    ("numeric", decimal.Decimal("12345.678900")), ("text", "schön 日本"), ("bytea", b"\x00\xff"), ("bpchar", "a "),
    ("date", datetime.date(2020, 2, 29)), ("time", datetime.time(12, 30, 1, 5)),
    ("timestamp", datetime.datetime(2021, 5, 4, 3, 2, 1)),
    ("timestamptz", datetime.datetime(2021, 5, 4, 3, 2, 1, tzinfo=datetime.timezone.utc)),
    ("interval", datetime.timedelta(days=3, seconds=7)), ("uuid", uuid.UUID(int=77)),
    ("inet", ipaddress.ip_interface("10.1.2.3/8")), ("cidr", ipaddress.ip_network("10.0.0.0/8")),
    ("macaddr", "08:00:2b:01:02:03"), ("json", '{"a": 1}'), ("jsonb", '{"a": [1, null]}'), ("xml", "<a/>"),
    ("bit(4)", asyncpg.BitString("1010")), ("varbit", asyncpg.BitString("101")), ("oid", 4294967295),
    ("point", asyncpg.Point(1, 2)), ("box", asyncpg.Box((3, 4), (1, 2))), ("circle", asyncpg.Circle((1, 2), 3)),
    ("path", asyncpg.Path((1, 2), (3, 4), is_closed=True)), ("polygon", asyncpg.Polygon((1, 2), (3, 4), (5, 6))),
    ("line", asyncpg.Line(1, 2, 3)), ("lseg", asyncpg.LineSegment((1, 2), (3, 4))),
    ("int4range", asyncpg.Range(1, 10)), ("int4multirange", [asyncpg.Range(1, 3), asyncpg.Range(5, 7)]),
    ("int4[]", [1, None, 3]), ("text[]", [["a", "b"], ["c", None]]), ("tid", (1, 2)), ("pg_lsn", 16), ("money", "$12.50"),
    ("regclass", "pg_class"), ("name", "somebody"), ("tsvector", "'a' 'b'"), ("xid", 5),
]


@check_async("the connection")
async def connection(conn):
    settings = conn.get_settings()
    names = ["server_version", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings",
             "integer_datetimes", "session_authorization", "is_superuser"]
    return [getattr(settings, name) for name in names], tuple(conn.get_server_version()), conn.is_in_transaction()


@check_async("the process id is the server's")
async def process(conn):
    return conn.get_server_pid() == await conn.fetchval("select pg_backend_pid()")


@check_async("binary values of forty types")
async def values(conn):
    out = []
    for name, value in VALUES:
        value = await conn.fetchval(f"select $1::{name}", value)
        # Paths and polygons have no words of their own.
        out.append((name, [tuple(point) for point in value] if name in ("path", "polygon") else value))
    return out


@check_async("prepared statements describe themselves")
async def prepared(conn):
    statement = await conn.prepare("select id, note from ap_things where id = $1 and note like $2")
    return [p.name for p in statement.get_parameters()], [(a.name, a.type.name) for a in statement.get_attributes()], \
        await statement.fetch(3, "note%"), statement.get_statusmsg(), [await statement.fetchval(n, "%") for n in range(5)]


@check_async("the cache of statements notices a changed table")
async def cache(conn):
    await conn.execute("create table ap_changing (a int); insert into ap_changing values (1)")
    first = await conn.fetch("select * from ap_changing")
    await conn.execute("alter table ap_changing add b text default 'x'")
    second = await conn.fetch("select * from ap_changing")
    await conn.execute("alter table ap_changing alter a type text")
    third = await conn.fetch("select * from ap_changing where a = $1", "1")
    await conn.execute("drop table ap_changing")
    return first, second, third


@check_async("explain of a prepared statement")
async def explain(conn):
    statement = await conn.prepare("select 1 where $1::int = 1")
    return [key for key in (await statement.explain(1))[0]["Plan"] if "Cost" not in key]


@check_async("cursors")
async def cursors(conn):
    out = []
    async with conn.transaction():
        out.append(sum([row["id"] async for row in conn.cursor("select id from ap_things order by id", prefetch=7)]))
        cursor = await conn.cursor("select id from ap_things order by id")
        out.append(await cursor.fetchrow())
        out.append(await cursor.fetch(3))
    return out


@check_async("a cursor that skips rows")
async def skipping(conn):
    async with conn.transaction():
        cursor = await conn.cursor("select id from ap_things order by id")
        return await cursor.forward(10), await cursor.fetchrow()


@check_async("COPY of records, of a query, of a table")
async def copies(conn):
    out = [await conn.copy_records_to_table("ap_things", records=[(n, f"copied {n}", None) for n in range(1000, 3000)])]
    target = io.BytesIO()
    out.append(await conn.copy_from_query("select id, note from ap_things where id >= $1 order by id limit 3", 1000,
                                          output=target, format="csv", header=True))
    out.append(target.getvalue())
    target = io.BytesIO()
    out.append(await conn.copy_from_table("ap_things", columns=["id"], output=target, format="binary"))
    out.append(len(target.getvalue()))
    out.append(await conn.copy_to_table("ap_things", source=io.BytesIO(b"5000;semicolons;\n"), format="csv", delimiter=";"))
    try:
        await conn.copy_records_to_table("ap_things", records=[(1, "double", None)])
    except asyncpg.PostgresError as error:
        out.append((error.sqlstate, error.constraint_name, error.detail, error.context))
    return out


@check_async("executemany, all or nothing")
async def many(conn):
    await conn.executemany("insert into ap_things values ($1, $2, $3)", [(n, "many", n * 2) for n in range(6000, 7000)])
    try:
        await conn.executemany("insert into ap_things values ($1, 'x', 1)", [(8000,), (8001,), (8000,)])
    except asyncpg.UniqueViolationError as error:
        failed = error.sqlstate
    kept = await conn.fetchval("select count(*) from ap_things where id >= 8000")
    rows = await conn.fetchmany("insert into ap_things values ($1, 'returned', 1) returning id", [(9000,), (9001,)])
    return failed, kept, rows


@check_async("types of one's own are introspected")
async def introspection(conn):
    await conn.execute("create type ap_mood as enum ('sad', 'glad'); create type ap_pair as (x int, mood ap_mood);"
                       "create domain ap_small as int check (value < 10); create type ap_span as range (subtype = float8)")
    row = await conn.fetchrow("select $1::ap_mood as m, $2::ap_pair as p, $3::ap_pair[] as l, $4::ap_small as s, $5::ap_span as r",
                              "glad", (1, "sad"), [(2, "glad"), None], 7, asyncpg.Range(1.5, 2.5))
    try:
        await conn.fetchval("select $1::ap_small", 11)
    except asyncpg.CheckViolationError as error:
        refused = error.sqlstate, error.constraint_name
    await conn.set_type_codec("jsonb", encoder=str, decoder=lambda text: ("decoded", text), schema="pg_catalog")
    decoded = await conn.fetchval("select '{\"a\": 1}'::jsonb")
    await conn.reset_type_codec("jsonb", schema="pg_catalog")
    await conn.execute("drop type ap_pair, ap_mood, ap_span; drop domain ap_small")
    return row, refused, decoded


@check_async("transactions and savepoints")
async def transactions(conn):
    out = []
    transaction = conn.transaction(isolation="serializable", readonly=False, deferrable=False)
    await transaction.start()
    await conn.execute("insert into ap_things values (20000, 'outer', 1)")
    try:
        async with conn.transaction():
            await conn.execute("insert into ap_things values (20001, 'inner', 1)")
            await conn.execute("select 1 / 0")
    except asyncpg.DivisionByZeroError as error:
        out.append(error.sqlstate)
    out.append(await conn.fetch("select id from ap_things where id >= 20000"))
    out.append(await conn.fetchval("show transaction_isolation"))
    await transaction.rollback()
    out.append(await conn.fetchval("select count(*) from ap_things where id >= 20000"))
    try:
        async with conn.transaction(readonly=True):
            await conn.execute("delete from ap_things")
    except asyncpg.PostgresError as error:
        out.append(error.sqlstate)
    return out


@check_async("everything that an error says")
async def errors(conn):
    out = []
    for text in ["insert into ap_things values (1)", "insert into ap_things values (null)", "select * from ap_nowhere",
                 "select 'x'::int"]:
        try:
            await conn.fetch(text)
        except asyncpg.PostgresError as error:
            known = error.as_dict()
            out.append([known.get(name) for name in ("sqlstate", "severity", "message", "detail", "hint", "position",
                                                     "table_name", "column_name", "constraint_name")])
    return out


@check_async("listeners")
async def listeners(conn):
    got, notices, all_there = [], [], asyncio.Event()

    def heard(_, pid, channel, payload):
        got.append((channel, payload))
        if len(got) == 2:
            all_there.set()

    await conn.add_listener("ap_channel", heard)
    conn.add_log_listener(lambda _, message: notices.append((message.severity, message.message)))
    other = await asyncpg.connect()
    await other.execute("notify ap_channel, 'one'")
    await other.execute("select pg_notify($1, $2)", "ap_channel", "two")
    await asyncio.wait_for(all_there.wait(), 30)
    await conn.remove_listener("ap_channel", heard)
    await conn.execute("do $$ begin raise notice 'noticed'; end $$")
    await other.close()
    return got, notices


@check_async("a time-out cancels")
async def timeout(conn):
    try:
        await conn.execute("select pg_sleep(60)", timeout=0.3)
    except asyncio.TimeoutError:
        return "timed out", await conn.fetchval("select 'goes on'")


@check_async("a cancelled task cancels")
async def cancelled(conn):
    task = asyncio.create_task(conn.execute("select pg_sleep(60)"))
    await asyncio.sleep(0.3)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "cancelled", await conn.fetchval("select 'goes on'")


@check_async("a pool resets what it lends")
async def pool(conn):
    async with asyncpg.create_pool(min_size=2, max_size=4) as own:
        async def ask(n):
            async with own.acquire() as lent:
                await lent.execute("set time zone 'Europe/Vienna'")
                return await lent.fetchval("select $1::int", n)

        total = sum(await asyncio.gather(*[ask(n) for n in range(40)]))
        async with own.acquire() as lent:
            return total, await lent.fetchval("show time zone")


@check_async("an advisory lock ends with its pool's loan")
async def locks(conn):
    await conn.execute("select pg_advisory_lock(77)")
    await conn.reset()
    return await conn.fetchval("select count(*) from pg_locks where locktype = 'advisory'")


@check_async("settings in the startup packet")
async def settings(conn):
    own = await asyncpg.connect(server_settings={"application_name": "mine", "search_path": "pg_catalog"})
    out = await own.fetchrow("select current_setting('application_name'), current_setting('search_path')")
    await own.close()
    return tuple(out)


async def main():
    conn = await asyncpg.connect()
    await conn.execute("drop table if exists ap_things; create table ap_things (id int primary key, note text, n numeric);"
                       "insert into ap_things select n, 'note ' || n, n from generate_series(1, 50) n")
    for tried in (connection, process, values, prepared, cache, explain, cursors, skipping, copies, many, introspection, transactions,
                  errors, listeners, timeout, cancelled, pool, locks, settings):
        await tried(conn)
    await conn.execute("drop table ap_things")
    await conn.close()


asyncio.run(main())
