"""What psycopg 3 is known for: pipelines, server-side cursors, binary values, COPY, notifications."""

import asyncio
import datetime
import decimal
import ipaddress
import threading
import uuid

import psycopg
from psycopg import errors, sql
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo
from psycopg.types.enum import EnumInfo
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

from check import check, check_async

conn = psycopg.connect(autocommit=True)
conn.execute("drop table if exists p3_things, p3_log")
conn.execute("drop type if exists p3_mood, p3_point")
conn.execute("create table p3_things (id int primary key, note text not null, price numeric(10, 2) check (price >= 0))")


@check("what the connection says of itself")
def _():
    names = ["server_version", "server_encoding", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone",
             "integer_datetimes", "standard_conforming_strings", "is_superuser", "session_authorization",
             "in_hot_standby", "default_transaction_read_only", "application_name"]
    info = conn.info
    return [info.parameter_status(name) for name in names], info.user, info.dbname, info.transaction_status.name, \
        conn.pgconn.ssl_in_use, conn.pgconn.protocol_version


@check("the process id is the server's")
def _():
    return conn.info.backend_pid == conn.execute("select pg_backend_pid()").fetchone()[0]


VALUES = [
    True, 1, 2**40, -(2**62), 1.5, decimal.Decimal("12345.678900"), "schön \\ ' \" 日本", b"\x00\xff\\",
    datetime.date(2020, 2, 29), datetime.time(12, 30, 1, 5), datetime.timedelta(days=3, seconds=7),
    datetime.datetime(2021, 5, 4, 3, 2, 1, tzinfo=datetime.timezone.utc), uuid.UUID(int=77),
    ipaddress.ip_network("10.0.0.0/8"), [1, None, 3], [["a", "b"], ["c", None]], Jsonb({"a": [1, None]}),
    Range(1, 10, "[)"), None,
]

def there_and_back(binary):
    row = []
    for value in VALUES:
        with conn.cursor(binary=binary) as cur:
            cur.execute("select %b" if binary else "select %t", [value])
            row.append((cur.fetchone()[0], cur.description[0].type_code, cur.description[0].internal_size))
    return row


@check("values there and back as text")
def _():
    return there_and_back(False)


@check("values there and back in binary")
def _():
    return there_and_back(True)


@check("columns are described")
def _():
    cur = conn.execute("select id, note, price, 1::int8 as big, array[1.5] from p3_things")
    return [(c.name, c.type_code, c.internal_size, c.precision, c.scale) for c in cur.description]


@check("statements are prepared on their fifth use")
def _():
    counts = []
    for n in range(7):
        conn.execute("select note from p3_things where id = %s", [n])
        counts.append(len(conn._prepared._names))
    count = conn.execute("select count(*) from pg_prepared_statements where statement like '%where id = $1%'")
    return counts, count.fetchone()[0]


@check("a prepared statement outlives a change of its table")
def _():
    conn.execute("create table if not exists p3_log (a int)")
    conn.execute("insert into p3_log values (1)")
    first = conn.execute("select * from p3_log", prepare=True).fetchall()
    conn.execute("alter table p3_log add b text default 'x'")
    try:
        second = conn.execute("select * from p3_log", prepare=True).fetchall()
    except errors.FeatureNotSupported as error:
        second = error.diag.message_primary
    return first, second


@check("deallocate all")
def _():
    conn.execute("deallocate all")
    return conn.execute("select count(*) from pg_prepared_statements").fetchone()[0]


@check("many rows at once, with what they return")
def _():
    with conn.cursor() as cur:
        cur.executemany("insert into p3_things values (%s, %s, %s) returning id",
                        [(n, f"note {n}", n * 2) for n in range(50)], returning=True)
        total, results = cur.rowcount, []
        while True:
            results.append(cur.fetchone()[0])
            if not cur.nextset():
                break
    return total, sum(results), len(results)


@check("several statements in one text")
def _():
    cur = conn.execute("select 1; select 'two', 2; update p3_things set note = note where id < 5")
    out = []
    while True:
        out.append((cur.statusmessage, cur.rowcount, cur.fetchall() if cur.description else None))
        if not cur.nextset():
            return out


@check("an empty text")
def _():
    cur = conn.execute("")
    return cur.statusmessage, cur.rowcount, cur.description


@check("a pipeline of two hundred")
def _():
    with conn.pipeline() as p:
        cursors = [conn.execute("select %s::int * 2", [n]) for n in range(200)]
        p.sync()
        return sum(c.fetchone()[0] for c in cursors)


@check("an error in a pipeline")
def _():
    out = []
    with conn.pipeline() as p:
        before = conn.execute("select 'before'")
        try:
            conn.execute("select 1 / %s::int", [0]).fetchone()
        except errors.DivisionByZero as error:
            out.append(error.sqlstate)
        out.append(before.fetchone())
        p.sync()
        out.append(conn.execute("select 'after'").fetchone())
    return out, conn.info.transaction_status.name


@check("a transaction in a pipeline")
def _():
    with conn.pipeline():
        with conn.transaction():
            conn.execute("insert into p3_things values (100, 'in a pipeline', 1)")
            cur = conn.execute("select count(*) from p3_things")
        count = cur.fetchone()
    return count


@check("server-side cursors")
def _():
    out = []
    with conn.transaction():
        with conn.cursor(name="named") as cur:
            cur.itersize = 7
            cur.execute("select id from p3_things order by id")
            out.append(sum(row[0] for row in cur))
        with conn.cursor(name="scrolling", scrollable=True) as cur:
            cur.execute("select id from p3_things order by id")
            cur.scroll(10)
            out.append(cur.fetchone())
            cur.scroll(-5)
            out.append(cur.fetchmany(2))
            cur.scroll(0, mode="absolute")
            out.append(cur.fetchone())
        with conn.cursor(name="binary one", binary=True) as cur:
            cur.execute("select id, price from p3_things order by id")
            out.append(cur.fetchmany(2))
    with conn.cursor(name="held", withhold=True) as cur:
        cur.execute("select id from p3_things order by id")
        out.append(len(cur.fetchall()))
    return out


@check("rows one at a time")
def _():
    with conn.cursor() as cur:
        return sum(row[0] for row in cur.stream("select generate_series(1, 3000)"))


@check("COPY in and out as text")
def _():
    out = []
    with conn.cursor() as cur:
        with cur.copy("copy p3_things from stdin") as copy:
            for n in range(1000, 3000):
                copy.write_row([n, f"row\t{n}\\", n])
        out.append((cur.statusmessage, cur.rowcount))
        with cur.copy("copy (select * from p3_things where id >= 1000 order by id) to stdout") as copy:
            rows = list(copy.rows())
        out.append((len(rows), rows[-1], cur.statusmessage))
    return out


@check("COPY in and out as binary and CSV")
def _():
    out = []
    with conn.cursor() as cur:
        with cur.copy("copy p3_things (id, note) from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(3000, 3100):
                copy.write_row([n, f"binary {n}"])
        with cur.copy("copy (select id, note from p3_things where id >= 3000 order by id) to stdout (format binary)") as copy:
            copy.set_types(["int4", "text"])
            rows = list(copy.rows())
        out.append((len(rows), rows[0]))
        with cur.copy("copy (select id, note from p3_things order by id limit 3) to stdout (format csv, header)") as copy:
            out.append(b"".join(bytes(part) for part in copy))
    return out


@check("COPY that the server or the client breaks off")
def _():
    out = []
    for rows in (["1\tdouble\t1\n"], ["5000\tgood\t1\n", "bad\n"]):
        try:
            with conn.cursor() as cur, cur.copy("copy p3_things from stdin") as copy:
                for row in rows:
                    copy.write(row)
        except psycopg.Error as error:
            out.append((error.sqlstate, error.diag.message_primary, error.diag.context))
    try:
        with conn.cursor() as cur, cur.copy("copy p3_things from stdin") as copy:
            copy.write("6000\tgood\t1\n")
            raise ValueError("the client has had enough")
    except ValueError as error:
        out.append(str(error))
    out.append(conn.execute("select count(*) from p3_things where id >= 5000").fetchone())
    out.append(conn.execute("select 'goes on'").fetchone())
    return out


@check("everything that an error says")
def _():
    out = []
    for text in ["insert into p3_things values (1, 'twice', 1)", "insert into p3_things values (9999, null, 1)",
                 "insert into p3_things values (9999, 'x', -1)", "select * from p3_nowhere", "select 1; select p3_nocolumn",
                 "select p3_nofunction(1)", "select 'x'::int", "select note from p3_things group by id, nothing"]:
        try:
            conn.execute(text)
        except psycopg.Error as error:
            d = error.diag
            out.append((type(error).__name__, d.severity, d.sqlstate, d.message_primary, d.message_detail,
                        d.message_hint, d.statement_position, d.schema_name, d.table_name, d.column_name,
                        d.datatype_name, d.constraint_name, bool(d.source_file)))
    return out


@check("a text that is not SQL")
def _():
    try:
        conn.execute("select 1 +")
    except psycopg.Error as error:
        return type(error).__name__, error.sqlstate, error.diag.message_primary, error.diag.statement_position


@check("an error in a transaction")
def _():
    out = []
    try:
        with conn.transaction():
            try:
                conn.execute("select 1 / 0")
            except psycopg.Error as error:
                out.append(error.sqlstate)
            out.append(conn.info.transaction_status.name)
            conn.execute("select 1")
    except psycopg.Error as error:
        out.append((error.sqlstate, error.diag.message_primary))
    out.append(conn.info.transaction_status.name)
    return out


@check("savepoints")
def _():
    with conn.transaction(force_rollback=True):
        conn.execute("insert into p3_things values (7001, 'outer', 1)")
        try:
            with conn.transaction("inner"):
                conn.execute("insert into p3_things values (7002, 'inner', 1)")
                conn.execute("select 1 / 0")
        except errors.DivisionByZero:
            pass
        with conn.transaction():
            conn.execute("insert into p3_things values (7003, 'second', 1)")
        inside = conn.execute("select array_agg(id order by id) from p3_things where id > 7000").fetchone()
    return inside, conn.execute("select count(*) from p3_things where id > 7000").fetchone()


@check("transactions have their characteristics")
def _():
    with psycopg.connect() as own:
        own.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        own.read_only = True
        own.deferrable = True
        out = own.execute("select current_setting('transaction_isolation'), current_setting('transaction_read_only'), "
                          "current_setting('transaction_deferrable')").fetchone()
        try:
            own.execute("delete from p3_things")
        except psycopg.Error as error:
            return out, error.sqlstate


@check("two-phase commit")
def _():
    with psycopg.connect() as own:
        own.tpc_begin(own.xid(1, "global", "branch"))
        own.execute("select 1")
        own.tpc_prepare()


@check("notices")
def _():
    heard = []
    conn.add_notice_handler(lambda diag: heard.append((diag.severity, diag.sqlstate, diag.message_primary, diag.message_hint)))
    conn.execute("drop table if exists p3_nothing")
    conn.execute("do $$ begin raise notice 'said % times', 3; raise warning 'and' using hint = 'listen'; end $$")
    conn.execute("commit")
    return heard


@check("notifications")
def _():
    with psycopg.connect(autocommit=True) as listener:
        listener.execute("listen p3_channel")
        conn.execute("notify p3_channel, 'one'")
        conn.execute("select pg_notify('p3_channel', 'two')")
        got = [(n.channel, n.payload) for n in listener.notifies(timeout=20, stop_after=2)]
        own = []
        conn.add_notify_handler(lambda n: own.append(n.payload))
        conn.execute("listen p3_channel")
        conn.execute("notify p3_channel, 'to itself'")
        conn.execute("unlisten *")
        return got, own


@check("parameters change")
def _():
    conn.execute("set time zone 'Europe/Vienna'")
    first = conn.info.parameter_status("TimeZone"), conn.execute("select timestamptz '2020-07-01 00:00+00'").fetchone()[0].isoformat()
    conn.execute("set application_name to 'renamed'")
    second = conn.info.parameter_status("application_name")
    conn.execute("reset application_name")
    conn.execute("set time zone 'UTC'")
    return first, second


@check("types of one's own")
def _():
    conn.execute("create type p3_mood as enum ('sad', 'glad')")
    conn.execute("create type p3_point as (x int, label text)")
    mood, point = EnumInfo.fetch(conn, "p3_mood"), CompositeInfo.fetch(conn, "p3_point")
    from psycopg.types.composite import register_composite
    from psycopg.types.enum import register_enum
    register_enum(mood, conn)
    register_composite(point, conn)
    info = TypeInfo.fetch(conn, "p3_point")
    cur = conn.cursor(binary=True)
    row = cur.execute("select 'glad'::p3_mood, row(1, 'a')::p3_point, array[row(2, 'b')::p3_point]").fetchone()
    back = cur.execute("select (%s::p3_point).label", [point.python_type(3, "c")]).fetchone()
    return mood.labels, point.field_names, info.name, row[0].name, tuple(row[1]), tuple(row[2][0]), back


@check("names that are composed")
def _():
    query = sql.SQL("select {} from {} where {} = {}").format(
        sql.Identifier("note"), sql.Identifier("public", "p3_things"), sql.Identifier("id"), sql.Literal(3))
    return query.as_string(conn), conn.execute(query).fetchone()


@check("values of megabytes")
def _():
    text = "x" * 5_000_000
    row = conn.execute("select length(%s), %s", [text, text]).fetchone()
    wide = conn.execute("select repeat('y', 20000000)").fetchone()[0]
    return row[0], row[1] == text, len(wide)


@check("a request of twenty megabytes")
def _():
    try:
        with psycopg.connect() as own:
            return own.execute("select length(%s)", ["x" * 20_000_000]).fetchone()
    except psycopg.OperationalError:
        # It may be cut off before it can read why.
        return "the connection ends"


@check("cancel")
def _():
    with psycopg.connect(autocommit=True) as own:
        done = threading.Event()

        def again():
            while not done.wait(0.2):
                own.cancel()

        thread = threading.Thread(target=again)
        thread.start()
        try:
            own.execute("select pg_sleep(60)")
        except errors.QueryCanceled as error:
            out = error.sqlstate, error.diag.message_primary
        finally:
            done.set()
            thread.join()
        while True:
            try:
                return out, own.execute("select 'goes on'").fetchone()
            except errors.QueryCanceled:
                pass


@check("a statement times out")
def _():
    conn.execute("set statement_timeout to '100ms'")
    try:
        conn.execute("select pg_sleep(60)")
    except psycopg.Error as error:
        return error.sqlstate, error.diag.message_primary
    finally:
        conn.execute("reset statement_timeout")


@check("prepare and execute as statements")
def _():
    conn.execute("prepare p3_statement (int) as select $1 * 2")
    row = conn.execute("execute p3_statement (21)").fetchone()
    conn.execute("deallocate p3_statement")
    return row


@check("large objects")
def _():
    with conn.transaction(force_rollback=True):
        oid = conn.execute("select lo_from_bytea(0, 'large'::bytea)").fetchone()[0]
        return conn.execute("select lo_get(%s)", [oid]).fetchone()


@check("another client encoding")
def _():
    with psycopg.connect(client_encoding="latin1") as own:
        return own.execute("select 'schön'").fetchone()


@check("settings in the connection string")
def _():
    with psycopg.connect(options="-c statement_timeout=7s", application_name="mine") as own:
        return own.execute("select current_setting('statement_timeout'), current_setting('application_name')").fetchone()


@check_async("async")
async def in_async():
    async with await psycopg.AsyncConnection.connect(autocommit=True) as own:
        async def ask(n):
            cur = await own.execute("select %s::int", [n])
            return (await cur.fetchone())[0]

        total = sum(await asyncio.gather(*[ask(n) for n in range(20)]))
        async with own.pipeline():
            cursors = [await own.execute("select %s::int", [n]) for n in range(10)]
        piped = [(await cur.fetchone())[0] for cur in cursors]
        async with own.cursor() as cur:
            async with cur.copy("copy (select generate_series(1, 3)) to stdout") as copy:
                rows = [row async for row in copy.rows()]
        task = asyncio.create_task(own.execute("select pg_sleep(60)"))
        await asyncio.sleep(0.5)
        cancelled = None
        while not task.done():
            await own.cancel_safe()
            await asyncio.wait([task], timeout=0.3)
        try:
            await task
        except errors.QueryCanceled as error:
            cancelled = error.sqlstate
        return total, piped, rows, cancelled


asyncio.run(in_async())
conn.execute("drop table p3_things, p3_log")
conn.execute("drop type p3_mood, p3_point")
