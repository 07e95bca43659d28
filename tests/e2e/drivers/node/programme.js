// What node-postgres is known for: queries that queue up, named statements, cursors and streams, COPY streams, pools.
'use strict';

const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const { Client, Pool, Query } = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const copy = require('pg-copy-streams');
const { check, connection } = require('../check.js');

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function main() {
  const client = new Client(connection({ application_name: 'of node' }));
  const notices = [];
  client.on('notice', (notice) => notices.push([notice.severity, notice.code, notice.message]));
  await client.connect();
  await client.query('drop table if exists js_things');
  await client.query('create table js_things (id int primary key, note text, price numeric(10, 2), doc jsonb, tags text[])');

  await check("the process id is the server's", async () => {
    const { rows } = await client.query('select pg_backend_pid() as pid');
    return rows[0].pid === client.processID;
  });

  await check('simple queries, one and several', async () => {
    const one = await client.query("select 1 as a, 'x' as b, current_setting('application_name') as c");
    const many = await client.query("insert into js_things (id, note) values (1, 'one'), (2, null); select * from js_things; update js_things set note = 'z' where id = 5");
    return [one.rows, one.fields.map((f) => [f.name, f.dataTypeID, f.format]), many.map((r) => [r.command, r.rowCount, r.rows])];
  });

  await check('values by parameter', async () => {
    const { rows } = await client.query('select $1::int as a, $2::text as b, $3::jsonb as c, $4::text[] as d, $5::timestamptz as e, $6::bytea as f, $7::numeric as g, $8::bool as h, $9::int8 as i',
      [1, 'schön', { a: [1, null] }, ['x', null], new Date(0), Buffer.from([0, 255]), '12345.67', true, '9007199254740993']);
    return rows;
  });

  await check('binary results', async () => {
    const { rows } = await client.query({ text: "select 1::int4 as a, 2::int8 as b, 'x'::text as c, true as d, 1.5::float8 as e", values: [], binary: true });
    return rows;
  });

  await check('rows as arrays', async () => (await client.query({ text: 'select 1, 1, 2', rowMode: 'array' })).rows);

  await check('a named statement, again and again', async () => {
    const out = [];
    for (let n = 0; n < 5; n += 1) {
      const { rows } = await client.query({ name: 'js-named', text: 'select $1::int * 2 as twice', values: [n] });
      out.push(rows[0].twice);
    }
    const { rows } = await client.query('select name, statement from pg_prepared_statements');
    return [out, rows];
  });

  await check('queries that queue up', async () => {
    const answers = await Promise.allSettled([...Array(100).keys()].map((n) => client.query('select 100 / $1::int as q', [n])));
    return answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].q : answer.reason.code));
  });

  await check('a cursor', async () => {
    const cursor = client.query(new Cursor('select n from generate_series(1, $1::int) n', [10]));
    const parts = [await cursor.read(4), await cursor.read(4), await cursor.read(4), await cursor.read(4)];
    await cursor.close();
    const early = client.query(new Cursor('select n from generate_series(1, 100000) n'));
    await early.read(3);
    await early.close();
    return [parts.map((rows) => rows.map((row) => row.n)), (await client.query("select 'goes on' as s")).rows];
  });

  await check('a stream of rows', async () => {
    const stream = client.query(new QueryStream('select n from generate_series(1, 5000) n', [], { batchSize: 100 }));
    let sum = 0;
    for await (const row of stream) sum += row.n;
    let first;
    for await (const row of client.query(new QueryStream('select n from generate_series(1, 5000) n'))) {
      first = row;
      break;
    }
    return [sum, first, (await client.query("select 'goes on' as s")).rows];
  });

  await check('COPY in and out', async () => {
    const into = client.query(copy.from('copy js_things (id, note) from stdin'));
    await pipeline(Readable.from(Array.from({ length: 2000 }, (_, n) => `${1000 + n}\trow ${n}\n`)), into);
    const out = await collect(client.query(copy.to('copy (select id, note from js_things where id >= 1000 order by id) to stdout (format csv)')));
    return [into.rowCount, out.length, out.slice(0, 30), (await client.query('select count(*) from js_things')).rows];
  });

  await check('COPY that fails, and COPY that is given up', async () => {
    const out = [];
    for (const rows of [['1\tdouble\n'], ['5000\tgood\n', 'bad\n']]) {
      try {
        await pipeline(Readable.from(rows), client.query(copy.from('copy js_things (id, note) from stdin')));
      } catch (error) {
        out.push([error.code, error.constraint, error.where]);
      }
    }
    const given = client.query(copy.from('copy js_things (id, note) from stdin'));
    try {
      await pipeline(Readable.from((function* rows() {
        yield '6000\tgood\n';
        throw new Error('the client has had enough');
      }())), given);
    } catch (error) {
      out.push(error.message);
    }
    out.push((await client.query('select count(*) from js_things where id >= 5000')).rows);
    return out;
  });

  await check('a batch behind a COPY', async () => {
    const into = client.query(copy.from('copy js_things (id, note) from stdin'));
    const after = client.query('select count(*) from js_things where id >= $1', [7000]);
    await pipeline(Readable.from(['7000\ta\n', '7001\tb\n']), into);
    return (await after).rows;
  });

  await check('transactions', async () => {
    const out = [];
    await client.query('begin');
    await client.query('savepoint one');
    for (const text of ["insert into js_things (id) values (1)", 'select 1']) {
      await client.query(text).catch((error) => out.push([error.code, error.detail, error.table, error.constraint, error.routine !== undefined]));
    }
    await client.query('rollback to one');
    out.push((await client.query('select 1 as a')).rows);
    await client.query('rollback');
    return out;
  });

  await check('notices', async () => {
    notices.length = 0;
    await client.query('drop table if exists js_nothing');
    await client.query("do $$ begin raise warning 'beware'; end $$");
    return notices;
  });

  await check('notifications', async () => {
    const listener = new Client(connection());
    await listener.connect();
    const got = [];
    const both = new Promise((resolve) => listener.on('notification', (one) => {
      got.push([one.channel, one.payload]);
      if (got.length === 2) resolve();
    }));
    await listener.query('listen js_channel');
    await client.query("notify js_channel, 'one'");
    await client.query('select pg_notify($1, $2)', ['js_channel', 'two']);
    await both;
    await listener.end();
    return got;
  });

  await check("types are parsed by the client's own rules", async () => {
    const { rows } = await client.query({
      text: "select 1::int8 as a, date '2020-02-29' as b, interval '1 day 2 hours' as c, '{1,2}'::int[] as d, point(1, 2) as e",
      types: { getTypeParser: (oid) => (text) => [oid, text] },
    });
    return rows;
  });

  await check('cancel', async () => {
    const own = new Client(connection());
    await own.connect();
    const query = new Query('select pg_sleep(60)');
    const failed = new Promise((resolve) => {
      query.on('error', (error) => resolve([error.code, error.message]));
      query.on('end', () => resolve('slept'));
    });
    own.query(query);
    // It asks in the clear, on a connection of its own, and hears nothing of what becomes of it.
    const again = setInterval(() => {
      const canceller = new Client(connection({ ssl: false }));
      canceller.on('error', () => {});
      canceller.cancel(own, query);
    }, 200);
    const out = await failed;
    clearInterval(again);
    await own.end();
    return out;
  });

  await check('cancel by a statement', async () => {
    const own = new Client(connection());
    await own.connect();
    const { rows } = await own.query('select pg_backend_pid() as pid');
    const asked = own.query('select pg_sleep(60)').then(() => 'slept', (error) => [error.code, error.message]);
    await pause(300);
    await client.query('select pg_cancel_backend($1)', [rows[0].pid]);
    const out = await asked;
    await own.end();
    return out;
  });

  await check('a statement times out', async () => {
    const own = new Client(connection({ query_timeout: 200 }));
    await own.connect();
    const out = await own.query('select pg_sleep(1)').catch((error) => error.message);
    await own.end();
    return out;
  });

  await check('a timeout in the startup packet', async () => {
    const own = new Client(connection({ statement_timeout: 200 }));
    own.on('error', () => {});
    await own.connect();
    const out = await own.query('select pg_sleep(60)').catch((error) => error.code);
    await own.end();
    return out;
  });

  await check('a pool', async () => {
    const pool = new Pool(connection({ max: 4 }));
    const answers = await Promise.all([...Array(40).keys()].map((n) => pool.query('select $1::int as n', [n])));
    await pool.end();
    return answers.reduce((sum, answer) => sum + answer.rows[0].n, 0);
  });

  await check('an empty text', async () => {
    const answer = await client.query('');
    return [answer.command, answer.rowCount, answer.rows];
  });

  await client.query('drop table js_things');
  await client.end();
}

main();
