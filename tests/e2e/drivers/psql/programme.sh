#!/bin/sh
# What psql is known for: a long script, and then what only its options and a terminal give.
here=$(dirname "$0")
ask() { psql -X -q "$@" 2>&1; }
# The server and the gateway have ports of their own, and each session a process.
plain() { sed 's/port [0-9]*/port N/; s/PID [0-9]*/PID N/'; }

ask -f "$here/programme.sql" | plain

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
psql -X -q -c 'select pg_sleep(60)' 2>&1 &
sleep 0.3
while kill -INT $! 2> /dev/null; do
    sleep 0.3
done
wait $!
echo "status $?"

echo '== a connection string with several hosts'
ask -A -t "host=localhost,localhost hostaddr=127.0.0.1,127.0.0.1 port=1,$PGPORT target_session_attrs=read-write" -c "select 'reached'"

wanting() { ask -A -t "target_session_attrs=$1" -c "select 'reached'" | plain; }
echo '== target_session_attrs=any'
wanting any
echo '== target_session_attrs=read-write'
wanting read-write
echo '== target_session_attrs=read-only'
wanting read-only
echo '== target_session_attrs=primary'
wanting primary
echo '== target_session_attrs=standby'
wanting standby
echo '== target_session_attrs=prefer-standby'
wanting prefer-standby

in_mode() { PGSSLMODE=$1 ask -A -t -c 'select ssl from pg_stat_ssl where pid = pg_backend_pid()' | plain; }
echo '== sslmode=disable'
in_mode disable
echo '== sslmode=allow'
in_mode allow
echo '== sslmode=prefer'
in_mode prefer
echo '== sslmode=require'
in_mode require
echo '== sslmode=verify-ca'
in_mode verify-ca
echo '== sslmode=verify-full'
in_mode verify-full
echo '== sslmode=verify-full and another name'
ask -A -t 'host=127.0.0.2 hostaddr=127.0.0.1' -c "select 'reached'" | plain

bound() { PGCHANNELBINDING=$1 ask -A -t -c "select 'reached'" | plain; }
echo '== channel_binding=disable'
bound disable
echo '== channel_binding=prefer'
bound prefer
echo '== channel_binding=require'
bound require

echo '== settings in PGOPTIONS'
PGOPTIONS='-c statement_timeout=7s' ask -A -t -c 'show statement_timeout' | plain

ask -c 'drop table psql_more'
