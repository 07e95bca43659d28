"""What psycopg2 is known for: values composed by the client, named cursors, batches, copy_expert, polling."""

import io
import select
import threading

import psycopg2
import psycopg2.extras
from psycopg2 import errorcodes, extensions, sql

from check import check

conn = psycopg2.connect("")
conn.autocommit = True
cur = conn.cursor()
cur.execute("drop table if exists p2_things")
cur.execute("create table p2_things (id int primary key, note text, tags text[], doc jsonb)")


def wait(connection):
    """psycopg2's own loop for a connection that does not block."""
    while True:
        state = connection.poll()
        if state == extensions.POLL_OK:
            return
        if state == extensions.POLL_READ:
            select.select([connection.fileno()], [], [])
        else:
            select.select([], [connection.fileno()], [])


@check("execute_batch and execute_values")
def _():
    psycopg2.extras.execute_batch(cur, "insert into p2_things (id, note) values (%s, %s)",
                                  [(n, f"it's {n}") for n in range(250)], page_size=100)
    psycopg2.extras.execute_values(cur, "insert into p2_things (id, note, tags) values %s returning id",
                                   [(n, None, ["a", "b\\"]) for n in range(250, 500)], page_size=1000)
    rows = cur.fetchall()
    cur.execute("select count(*), count(note), sum(id) from p2_things")
    return len(rows), cur.fetchone()


@check("values composed by the client")
def _():
    cur.execute("select %s, %s, %s, %s, %s, %s", ["it's \\ \"", b"\x00\xff", [1, None], psycopg2.extras.Json({"a": 1}), True, None])
    row = cur.fetchone()
    return row[0], bytes(row[1]), row[2:], cur.mogrify("%s", ["\\"])


@check("named cursors")
def _():
    out = []
    conn.autocommit = False
    with conn, conn.cursor("plain") as named:
        named.itersize = 50
        named.execute("select id from p2_things order by id")
        out.append(sum(row[0] for row in named))
    with conn, conn.cursor("scrolling", scrollable=True) as named:
        named.execute("select id from p2_things order by id")
        named.scroll(100)
        out.append(named.fetchone())
        named.scroll(-50)
        out.append(named.fetchmany(3))
    held = conn.cursor("held", withhold=True)
    held.execute("select id from p2_things order by id")
    conn.commit()
    out.append(len(held.fetchall()))
    held.close()
    conn.commit()
    conn.autocommit = True
    return out


@check("copy_expert, copy_from, copy_to")
def _():
    cur.copy_expert("copy p2_things (id, note) from stdin (format csv)", io.StringIO("1000,\"a, b\"\n1001,\n"))
    cur.copy_from(io.StringIO("1002\tc\n1003\t\\N\n"), "p2_things", columns=("id", "note"))
    csv, text = io.StringIO(), io.StringIO()
    cur.copy_expert("copy (select id, note from p2_things where id >= 1000 order by id) to stdout (format csv, header)", csv)
    cur.copy_to(text, "p2_things", columns=("id", "tags"))
    return csv.getvalue(), cur.rowcount, len(text.getvalue())


@check("a COPY that fails")
def _():
    try:
        cur.copy_expert("copy p2_things (id) from stdin", io.StringIO("1\n"))
    except psycopg2.Error as error:
        return errorcodes.lookup(error.pgcode), error.diag.constraint_name, error.diag.context


@check("notifies")
def _():
    listener = psycopg2.connect("")
    listener.autocommit = True
    listener.cursor().execute("listen p2_channel")
    cur.execute("notify p2_channel, 'hello'")
    while not listener.notifies:
        select.select([listener], [], [], 10)
        listener.poll()
    got = [(n.channel, n.payload) for n in listener.notifies]
    listener.close()
    return got


@check("the process id is the server's")
def _():
    cur.execute("select pg_backend_pid()")
    return cur.fetchone()[0] == conn.get_backend_pid()


@check("notices")
def _():
    del conn.notices[:]
    cur.execute("drop table if exists p2_nothing")
    cur.execute("do $$ begin raise notice 'from a block'; end $$")
    return conn.notices


@check("rows as dictionaries and named tuples")
def _():
    with conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as own:
        own.execute("select id, note, tags, doc from p2_things where id = 250")
        first = dict(own.fetchone())
    with conn.cursor(cursor_factory=psycopg2.extras.NamedTupleCursor) as own:
        own.execute("select 1 as a, 'b' as b")
        return first, own.fetchone()._asdict()


@check("transactions and their errors")
def _():
    out = []
    conn.autocommit = False
    cur.execute("insert into p2_things (id) values (2000)")
    cur.execute("savepoint one")
    for text in ("insert into p2_things (id) values (2000)", "select 1"):
        try:
            cur.execute(text)
        except psycopg2.Error as error:
            out.append((type(error).__name__, error.pgcode, error.diag.message_detail))
    out.append(conn.info.transaction_status)
    cur.execute("rollback to savepoint one")
    cur.execute("select count(*) from p2_things where id = 2000")
    out.append(cur.fetchone())
    conn.rollback()
    cur.execute("select count(*) from p2_things where id = 2000")
    out.append(cur.fetchone())
    conn.rollback()
    conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
    cur.execute("show transaction_isolation")
    out.append(cur.fetchone())
    conn.rollback()
    conn.set_session(isolation_level="DEFAULT", readonly="DEFAULT", autocommit=True)
    return out


@check("composed names, composite and range types, hstore")
def _():
    out = []
    cur.execute(sql.SQL("select {} from {} where id = {}").format(
        sql.Identifier("note"), sql.Identifier("p2_things"), sql.Placeholder()), [7])
    out.append(cur.fetchone())
    out.append(psycopg2.extras.register_composite("p2_things", cur).name)
    cur.execute("select t from p2_things t where id = 250")
    out.append(cur.fetchone()[0]._asdict())
    cur.execute("select int4range(1, 5), '{\"a\": [1]}'::json")
    out.append(cur.fetchone())
    out.append(psycopg2.extras.HstoreAdapter.get_oids(conn))
    return out


@check("asynchronous connection")
def _():
    own = psycopg2.connect("", async_=1)
    wait(own)
    asked = own.cursor()
    asked.execute("select 42")
    wait(own)
    value = asked.fetchone()
    own.close()
    return value


@check("cancel")
def _():
    own = psycopg2.connect("")
    done = threading.Event()

    def again():
        while not done.wait(0.2):
            own.cancel()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        own.cursor().execute("select pg_sleep(60)")
    except psycopg2.Error as error:
        out = type(error).__name__, error.pgcode
    done.set()
    thread.join()
    own.close()
    return out


@check("two-phase commit")
def _():
    own = psycopg2.connect("")
    own.tpc_begin(own.xid(1, "global", "branch"))
    own.cursor().execute("select 1")
    try:
        own.tpc_prepare()
    except psycopg2.Error as error:
        return type(error).__name__, error.pgcode, error.pgerror


@check("large objects")
def _():
    conn.autocommit = False
    try:
        large = conn.lobject(0, "wb")
        large.write(b"some bytes")
        large.seek(5)
        large.close()
        again = conn.lobject(large.oid, "rb")
        return again.read()
    finally:
        conn.rollback()
        conn.autocommit = True


@check("another client encoding")
def _():
    own = psycopg2.connect("")
    own.set_client_encoding("LATIN1")
    asked = own.cursor()
    asked.execute("select 'sch\u00f6n'")
    return asked.fetchone()


@check("connections in a pool come back clean")
def _():
    from psycopg2.pool import SimpleConnectionPool
    pool = SimpleConnectionPool(1, 2, "")
    one = pool.getconn()
    one.cursor().execute("set time zone 'Europe/Vienna'")
    one.commit()
    one.reset()
    asked = one.cursor()
    asked.execute("show time zone")
    out = asked.fetchone()
    pool.putconn(one)
    pool.closeall()
    return out


cur.execute("drop table p2_things")
