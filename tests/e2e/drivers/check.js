// What the programmes for node are written with: each thing that one tries gives a line `== label` and what came of it.
'use strict';

const fs = require('node:fs');
const util = require('node:util');

function show(value) {
  return util.inspect(value, { depth: 10, breakLength: Infinity, maxArrayLength: 200, maxStringLength: 2000, compact: true });
}

async function check(label, run) {
  let text;
  try {
    text = show(await run());
  } catch (error) {
    text = `${error.constructor.name} ${error.code || '-'} ${String(error.message).split('\n')[0]}`;
  }
  console.log(`== ${label}\n${text}`);
}

// The connection of libpq's environment, with the server's certificate verified.
function connection(more = {}) {
  return {
    host: 'localhost',
    port: Number(process.env.PGPORT),
    user: process.env.PGUSER,
    password: process.env.PGPASSWORD,
    database: process.env.PGDATABASE,
    ssl: { ca: fs.readFileSync(process.env.PGSSLROOTCERT) },
    ...more,
  };
}

module.exports = { check, connection };
