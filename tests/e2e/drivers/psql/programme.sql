-- What psql is known for, as far as a script can try it. Each part begins with `== what it tries`.
\set ON_ERROR_STOP 0
\pset pager off
\pset footer on
\echo '== a table and its rows'
drop table if exists psql_things;
create table psql_things (id int primary key, note text not null default 'x', price numeric(10, 2) check (price >= 0), made date);
comment on table psql_things is 'things of psql';
comment on column psql_things.note is 'what it says';
create index psql_partial on psql_things (lower(note)) where price > 1;
insert into psql_things select n, 'note ' || n, n, date '2020-01-01' + n from generate_series(1, 30) n;
select * from psql_things where id < 4;
\echo '== \\copy in and out'
\copy psql_things (id, note) from program 'printf "101\ta\n102\tb\n"'
\copy (select id, note from psql_things where id > 100 order by id) to stdout with (format csv, header)
\copy psql_things (id, note) from program 'printf "103,c\n"' with (format csv)
\copy psql_things (id) from program 'printf "1\n"'
\echo '== COPY in the middle of a script'
copy psql_things (id, note) from stdin;
201	from the script
202	\N
\.
copy psql_things (id, note) from stdin;
201	from the script
202	more of it
\.
copy psql_things (id, note) to stdout (format csv, force_quote *);
select count(*) from psql_things;
\echo '== \\gset, \\gexec, \\gdesc, \\gx, \\g'
select 40 + 2 as answer, 'text' as word \gset
\echo :answer :word
select format('select %s * 2 as twice', n) from generate_series(1, 3) n \gexec
select 1 as a, 'b'::text as b, null::numeric(10,2) as c \gdesc
select * from psql_things where id = 1 \gx
select 'through a pipe' \g (tuples_only=on format=unaligned) |cat
\echo '== \\crosstabview'
select n % 3 as row, 'c' || n % 2 as col, n as value from generate_series(1, 6) n \crosstabview row col value
\echo '== \\watch, until an error ends it'
create temp sequence psql_times;
\t on
select 10 / (3 - nextval('psql_times')) \watch 0.01
\t off
drop sequence psql_times;
\echo '== \\d of a table'
\d psql_things
\d+ psql_things
\d people
\d+ people_public
\echo '== \\d of everything else'
\d
\dt+ people
\dv
\di
\ds
\dn+
\df pg_catalog.lower
\df+ pg_catalog.upper
\dT pg_catalog.int4range
\du
\dp people
\ddp
\l postgres
\dx
\db
\dC int4
\dD
\dO pg_catalog."C"
\da pg_catalog.count
\do pg_catalog.<@
\dF
\dL
\dy
\dRp
\dP
\dconfig work_mem
\sf pg_catalog.obj_description(oid)
\sv people_public
\z psql_things
\echo '== errors, told as fully as psql can'
\set VERBOSITY verbose
insert into psql_things values (1);
\set VERBOSITY default
select * from psql_nowhere;
select note
from psql_things
where nothing = 1;
\errverbose
\set SHOW_CONTEXT always
do $$ begin raise notice 'noticed'; perform 1 / 0; end $$;
\echo :ERROR :SQLSTATE :ROW_COUNT
\echo '== a text that is not SQL'
select 1 +;
\echo '== transactions'
begin;
insert into psql_things (id) values (301);
savepoint one;
insert into psql_things (id) values (301);
select 1;
rollback to one;
select count(*) from psql_things where id = 301;
commit;
\echo '== errors rolled back on their own'
\set ON_ERROR_ROLLBACK on
begin;
insert into psql_things (id) values (302);
insert into psql_things (id) values (302);
select count(*) from psql_things where id = 302;
rollback;
\set ON_ERROR_ROLLBACK off
\echo '== rows fetched some at a time'
\set FETCH_COUNT 7
select id from psql_things order by id limit 20;
\unset FETCH_COUNT
\echo '== several statements in one text'
select 1 \; select 2 \; select 3;
select 1 \; select 1 / 0 \; select 3;
\echo '== formats'
\pset format csv
select id, note from psql_things order by id limit 2;
\pset format html
select id, note from psql_things order by id limit 1;
\pset format wrapped
\pset columns 30
select repeat('long ', 20) as text;
\pset format aligned
\x on
select id, note from psql_things order by id limit 1;
\x off
\echo '== variables of psql in SQL'
\set name psql_things
\set value 'it''s'
select :'value' as literal, (select count(*) from :"name") as count;
\if :{?value}
\echo set
\else
\echo not set
\endif
\echo '== a parameter bound by psql, where it can (16 and later)'
select :VERSION_NUM >= 160000 as can_bind \gset
\if :can_bind
select $1::int * $2::int as product \bind 6 7 \g
\else
\echo not in this version
\endif
\echo '== notifications'
listen psql_channel;
notify psql_channel, 'hello';
\echo '== settings'
\encoding
set time zone 'Europe/Vienna';
select timestamptz '2020-07-01 00:00+00';
show server_version_num;
\echo '== prepared statements of SQL'
prepare psql_statement (int) as select $1 * 2 as twice;
execute psql_statement (21);
deallocate psql_statement;
\echo '== plans'
explain (costs off) select * from psql_things where id = 1;
\echo '== large objects by SQL'
begin;
select lo_from_bytea(0, 'large') as large \gset
select lo_get(:large);
rollback;
\echo '== \\lo_import'
\lo_import /dev/null
\echo '== another client encoding'
\encoding latin1
\encoding
\echo '== who is asked'
\connect
select current_user, current_database();
drop table psql_things;
