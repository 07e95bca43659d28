#!/bin/sh
# What psql is known for: a long script, and then what only its options and a terminal give.
here=$(dirname "$0")
ask() { psql -X -q "$@" 2>&1; }

ask -f "$here/programme.sql"

echo '== --single-transaction'
ask -c 'drop table if exists psql_more' -c 'create table psql_more (a int)'
printf 'insert into psql_more values (1);\nselect 1 / 0;\ninsert into psql_more values (2);\n' | ask -1 -f -
ask -A -t -c 'select count(*) from psql_more'

echo '== ON_ERROR_STOP'
printf 'insert into psql_more values (1);\nselect 1 / 0;\ninsert into psql_more values (2);\n' | ask -v ON_ERROR_STOP=1 -f -
echo "status $?"
ask -A -t -c 'select count(*) from psql_more'

echo '== several -c, and a list of databases'
ask -A -t -c 'select 1; select 2' -c 'select 3'
ask -A -t -l | cut -d '|' -f 1

echo '== Ctrl-C'
psql -X -q -c "select pg_sleep(60)" -c "select 'goes on'" 2>&1 &
sleep 0.3
while kill -INT $! 2> /dev/null; do
    sleep 0.3
done
wait $!
echo "status $?"

echo '== a connection string with several hosts'
ask -A -t "host=localhost,localhost hostaddr=127.0.0.1,127.0.0.1 port=1,$PGPORT target_session_attrs=read-write" -c "select 'reached'"

for wanted in any read-write read-only primary standby prefer-standby; do
    echo "== target_session_attrs=$wanted"
    ask -A -t "target_session_attrs=$wanted" -c "select 'reached'" | sed "s/port [0-9]*/port N/"
done

echo '== settings in PGOPTIONS'
PGOPTIONS='-c statement_timeout=7s' ask -A -t -c 'show statement_timeout' | sed "s/port [0-9]*/port N/"

ask -c 'drop table psql_more'
