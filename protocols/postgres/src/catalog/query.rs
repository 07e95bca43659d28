//! The question by which the gateway reads a target's catalog.

/// What the gateway asks for, in rows of five texts:
///
/// | oid | schema | name | attribute | last | |
/// | --- | --- | --- | --- | --- | --- |
/// | of a relation | its schema | its name | number, from 1 | name | a column |
/// | of a relation | | | 0 | oid | a view reads that relation |
/// | of a table | | | -2 | number | that column is generated |
/// | of a view | | | -3 | | it is one, and no materialized one |
/// | of a view or materialized view | | | -5 | | it shows what its query gives |
/// | of the same | | | -6 | oid and number | its query uses that column |
/// | of the same | | | -7 | | its query uses whole rows |
/// | of the same | | | -8 | number, oid and number | that column of its own is that one, as it stands |
/// | of the same | | | -11 | a tree | its query's, where -8 does not tell all its columns |
/// | of a table | | | -9 | two numbers | the first column is computed from the second |
/// | of any | | | -10 | | there are rules for changes of it |
/// | of a table | | | -12 | oid | a foreign key of that one is about it: what becomes of its rows may become of that one's |
/// | of a table | | | -4 | oid | that is a child or partition of it, or its parent |
/// | of a view | | | -1 | | it shows what somebody's code gives, or what the target keeps of values |
/// | 0 | | a name | 2 | numbers | of one of PostgreSQL's functions for large objects: its own, and those of its arguments' types |
/// | 0 | a schema | a name | 1 | | a function with the name of one of PostgreSQL's |
/// | 0 | | a name | 3 | | of a function of somebody's that can be called with a row alone: `p.f` for `f(p)` |
/// | 0 | | | 0 | seconds | how old all this is at most: a transaction above READ COMMITTED sees what was there when it began |
///
/// Somebody's code is a function or operator that came neither with the server nor with an extension of which it is known that
/// its functions compute from their arguments only. What a view calls of PostgreSQL's own stands in its rule alone, as the
/// number of a function or relation. A volatile function may keep what it is told, or tell what others have said, and counts as somebody's code
/// unless it is one of those that are known to do neither; those that are known to do so are named, whatever a server says of them.
///
/// The entries of a rule's tree begin with ` :resno `. A name in it can hold no blank without a backslash (`outToken` of the server's `nodes/outfuncs.c`), so
/// what stands between blanks is what it seems to be, or else its entry says nothing. Splitting takes a fiftieth of what a regular expression does.
/// A rule that is larger than any that people write (128 KiB as it is stored, or 512 KiB of text) is not read: what it shows may be anything. A server takes
/// rules of a gigabyte, of which each reading would cost it seconds.
/// Where entries of several queries have one number, columns are computed, something in FROM is `LATERAL`, or a join is an outer one, the gateway gets the tree
/// itself: of no more than 256 KiB each, and 16 MiB of all of them.
///
/// Before version 15, what a generated column is computed from stands as a dependence of the column, and since then as one of its expression.
///
/// Only schema-qualified names are used, so that no `search_path` can put something else in their place. Objects with a number
/// below 16384 came with the server (`FirstNormalObjectId`).
pub const QUERY: &str = "/* gatewright: catalog */ \
with telling as (\
select pg_catalog.concat(':(funcid|aggfnoid|winfnoid|opfuncid) (', pg_catalog.string_agg(p.oid::pg_catalog.text, '|'), ') |:relid (2613|2619|3429) ') as words, \
(select pg_catalog.concat(':varattno (0|', a.attnum, ') ') from pg_catalog.pg_attribute a where a.attrelid operator(pg_catalog.=) 1249::pg_catalog.oid \
and a.attname operator(pg_catalog.=) 'attmissingval'::pg_catalog.name) as missing \
from pg_catalog.pg_proc p where p.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace \
and (p.proname operator(pg_catalog.~) '_to_xml(schema|_and_xmlschema)?$' \
or p.proname operator(pg_catalog.~) '^(pg_logical_slot_(get|peek)_|lo_|pg_(try_)?advisory_|pg_sleep)' \
or p.proname operator(pg_catalog.=) any ('{ts_stat,ts_rewrite,loread,lowrite,pg_read_file,pg_read_binary_file,pg_stat_get_activity,pg_stat_get_backend_activity,\
set_config,setseed,setval,nextval,currval,lastval,pg_notify,\
pg_current_xact_id,pg_current_xact_id_if_assigned,pg_current_snapshot,txid_current,txid_current_if_assigned,txid_current_snapshot}'::pg_catalog.name[]) \
or p.provolatile operator(pg_catalog.=) 'v'::pg_catalog.\"char\" and p.proname operator(pg_catalog.<>) all ('{random,random_normal,gen_random_uuid,\
pg_is_in_recovery,pg_database_size,pg_indexes_size,pg_relation_size,pg_table_size,pg_tablespace_size,pg_total_relation_size}'::pg_catalog.name[]))\
), told as (\
select r.ev_class from pg_catalog.pg_rewrite r, telling t \
where r.ev_class operator(pg_catalog.>=) 16384::pg_catalog.oid and (case when pg_catalog.pg_column_size(r.ev_action) operator(pg_catalog.>) 131072 then true \
when pg_catalog.octet_length(r.ev_action::pg_catalog.text) operator(pg_catalog.>) 524288 then true when r.ev_action::pg_catalog.text operator(pg_catalog.~) t.words then true \
else pg_catalog.strpos(r.ev_action::pg_catalog.text, ':relid 1249 ') operator(pg_catalog.>) 0 and r.ev_action::pg_catalog.text operator(pg_catalog.~) t.missing end)\
), shown as (\
select r.ev_class as view, r.oid as rule, case when pg_catalog.pg_column_size(r.ev_action) operator(pg_catalog.>) 131072 then null \
when pg_catalog.octet_length(r.ev_action::pg_catalog.text) operator(pg_catalog.>) 524288 then null else r.ev_action::pg_catalog.text end as tree \
from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) r.ev_class \
where r.ev_type operator(pg_catalog.=) '1'::pg_catalog.\"char\" and r.ev_class operator(pg_catalog.>=) 16384::pg_catalog.oid \
and c.relkind operator(pg_catalog.=) any ('{v,m}'::pg_catalog.\"char\"[])\
), split as (\
select s.view, s.rule, s.tree, o.origins, \
exists (select from pg_catalog.pg_attribute a where a.attrelid operator(pg_catalog.=) s.view and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped \
and a.attnum::pg_catalog.text operator(pg_catalog.<>) all (coalesce(o.owns, '{}'))) as is_open \
from shown s, lateral (select pg_catalog.array_agg(f.own), pg_catalog.array_agg(f.origin) from (\
select e.own, pg_catalog.concat_ws(' ', e.own, pg_catalog.min(e.relation), pg_catalog.min(e.number)) from (\
select pg_catalog.split_part(t.entry, ' ', 1), pg_catalog.split_part(t.entry, ' ', 9), \
case when pg_catalog.split_part(t.entry, ' ', 2) operator(pg_catalog.=) ':resname' and pg_catalog.split_part(t.entry, ' ', 4) operator(pg_catalog.=) ':ressortgroupref' \
and pg_catalog.split_part(t.entry, ' ', 6) operator(pg_catalog.=) ':resorigtbl' and pg_catalog.split_part(t.entry, ' ', 8) operator(pg_catalog.=) ':resorigcol' \
then pg_catalog.split_part(t.entry, ' ', 7) else '0' end \
from pg_catalog.unnest(pg_catalog.string_to_array(case when pg_catalog.strpos(s.tree, ' :lateral true ') operator(pg_catalog.=) 0 and pg_catalog.strpos(s.tree, ' :jointype 1 ') operator(pg_catalog.=) 0 \
and pg_catalog.strpos(s.tree, ' :jointype 2 ') operator(pg_catalog.=) 0 and pg_catalog.strpos(s.tree, ' :jointype 3 ') operator(pg_catalog.=) 0 then s.tree end, ' :resno ')) with ordinality t(entry, place) where t.place operator(pg_catalog.>) 1\
) e(own, number, relation) \
group by e.own having pg_catalog.count(distinct array[e.relation, e.number]) operator(pg_catalog.=) 1 \
and pg_catalog.min(e.relation) operator(pg_catalog.<>) '0' and pg_catalog.min(e.number) operator(pg_catalog.~) '^[1-9]'\
) f(own, origin)) o(owns, origins)\
), followed as (\
select s.*, pg_catalog.sum(case when s.is_open then pg_catalog.octet_length(s.tree) end) over (order by s.view) as total from split s\
), vouched as (\
select m.classid, m.objid from pg_catalog.pg_depend m \
join pg_catalog.pg_extension e on m.refclassid operator(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass and m.refobjid operator(pg_catalog.=) e.oid \
where m.deptype operator(pg_catalog.=) 'e'::pg_catalog.\"char\" \
and e.extname operator(pg_catalog.=) any ('{btree_gin,btree_gist,citext,cube,earthdistance,fuzzystrmatch,hstore,intarray,isn,ltree,pg_trgm,pgcrypto,seg,unaccent,uuid-ossp}'::pg_catalog.name[])\
) \
select c.oid::pg_catalog.text, n.nspname::pg_catalog.text, c.relname::pg_catalog.text, \
a.attnum::pg_catalog.text, a.attname::pg_catalog.text \
from pg_catalog.pg_class c \
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace \
join pg_catalog.pg_attribute a on a.attrelid operator(pg_catalog.=) c.oid \
where c.relkind operator(pg_catalog.=) any ('{r,v,m,f,p,S}'::pg_catalog.\"char\"[]) and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped \
and n.nspname operator(pg_catalog.<>) 'pg_toast' \
union all \
select distinct r.ev_class::pg_catalog.text, '', '', '0', d.refobjid::pg_catalog.text \
from pg_catalog.pg_rewrite r \
join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
and d.objid operator(pg_catalog.=) r.oid \
where d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
and d.refobjid operator(pg_catalog.<>) r.ev_class \
union all \
select i.inhrelid::pg_catalog.text, '', '', '-4', i.inhparent::pg_catalog.text from pg_catalog.pg_inherits i \
union all \
select i.inhparent::pg_catalog.text, '', '', '-4', i.inhrelid::pg_catalog.text from pg_catalog.pg_inherits i \
union all \
select a.attrelid::pg_catalog.text, '', '', '-2', a.attnum::pg_catalog.text from pg_catalog.pg_attribute a \
where a.attgenerated operator(pg_catalog.<>) ''::pg_catalog.\"char\" and not a.attisdropped \
union all \
select c.oid::pg_catalog.text, '', '', '-3', '' from pg_catalog.pg_class c where c.relkind operator(pg_catalog.=) 'v'::pg_catalog.\"char\" \
union all \
select s.view::pg_catalog.text, '', '', k.kind, k.last from followed s, lateral (\
select '-5', '' \
union all select '-7', '' where pg_catalog.strpos(s.tree, ':varattno 0 ') operator(pg_catalog.>) 0 \
union all select distinct '-6', pg_catalog.concat_ws(' ', d.refobjid, d.refobjsubid) from pg_catalog.pg_depend d \
where d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid operator(pg_catalog.=) s.rule \
and d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid operator(pg_catalog.>) 0 \
union all select '-8', o.origin from pg_catalog.unnest(s.origins) o(origin) \
union all select '-11', s.tree where s.is_open and pg_catalog.octet_length(s.tree) operator(pg_catalog.<=) 262144 and s.total operator(pg_catalog.<=) 16777216\
) k(kind, last) \
union all \
select distinct r.ev_class::pg_catalog.text, '', '', '-10', '' from pg_catalog.pg_rewrite r \
where r.ev_type operator(pg_catalog.<>) '1'::pg_catalog.\"char\" and r.ev_class operator(pg_catalog.>=) 16384::pg_catalog.oid \
union all \
select t.attrelid::pg_catalog.text, '', '', '-9', pg_catalog.concat_ws(' ', t.attnum, d.refobjsubid) from pg_catalog.pg_attribute t \
join pg_catalog.pg_attrdef a on a.adrelid operator(pg_catalog.=) t.attrelid and a.adnum operator(pg_catalog.=) t.attnum \
join pg_catalog.pg_depend d on (d.classid operator(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid operator(pg_catalog.=) a.oid \
or d.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid operator(pg_catalog.=) t.attrelid and d.objsubid operator(pg_catalog.=) t.attnum) \
and d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid operator(pg_catalog.=) t.attrelid \
and d.refobjsubid operator(pg_catalog.>) 0 and d.refobjsubid operator(pg_catalog.<>) t.attnum \
where t.attgenerated operator(pg_catalog.<>) ''::pg_catalog.\"char\" and not t.attisdropped \
union all \
select distinct r.ev_class::pg_catalog.text, '', '', '-1', '' \
from pg_catalog.pg_rewrite r \
join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
and d.objid operator(pg_catalog.=) r.oid \
where r.ev_class operator(pg_catalog.>=) 16384::pg_catalog.oid and (\
d.refclassid operator(pg_catalog.=) any ('{pg_catalog.pg_proc,pg_catalog.pg_operator}'::pg_catalog.regclass[]) \
and d.refobjid operator(pg_catalog.>=) 16384::pg_catalog.oid \
and not exists (select from vouched v where v.classid operator(pg_catalog.=) d.refclassid and v.objid operator(pg_catalog.=) d.refobjid) \
or d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
and exists (select from pg_catalog.pg_class s where s.oid operator(pg_catalog.=) d.refobjid and s.relnamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace \
and s.relname operator(pg_catalog.=) any ('{pg_stats,pg_stats_ext,pg_stats_ext_exprs,pg_stat_activity}'::pg_catalog.name[]))) \
union all \
select told.ev_class::pg_catalog.text, '', '', '-1', '' from told \
union all \
select distinct '0', n.nspname::pg_catalog.text, p.proname::pg_catalog.text, '1', '' \
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) p.pronamespace \
where p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid \
and exists (select from pg_catalog.pg_proc b where b.proname operator(pg_catalog.=) p.proname \
and b.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace and b.oid operator(pg_catalog.<) 16384::pg_catalog.oid) \
and not exists (select from vouched v where v.classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass and v.objid operator(pg_catalog.=) p.oid) \
union all \
select distinct '0', '', p.proname::pg_catalog.text, '3', '' \
from pg_catalog.pg_proc p join pg_catalog.pg_type t on t.oid operator(pg_catalog.=) p.proargtypes[0] left join pg_catalog.pg_type b on b.oid operator(pg_catalog.=) t.typbasetype \
where p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid \
and (p.pronargs::pg_catalog.int4 operator(pg_catalog.-) p.pronargdefaults::pg_catalog.int4 operator(pg_catalog.<=) 1 or p.provariadic operator(pg_catalog.<>) 0::pg_catalog.oid) \
and (t.typtype operator(pg_catalog.=) any ('{c,p}'::pg_catalog.\"char\"[]) or b.typtype operator(pg_catalog.=) any ('{c,d}'::pg_catalog.\"char\"[])) \
and not exists (select from vouched v where v.classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass and v.objid operator(pg_catalog.=) p.oid) \
union all \
select distinct c.confrelid::pg_catalog.text, '', '', '-12', c.conrelid::pg_catalog.text from pg_catalog.pg_constraint c \
where c.contype operator(pg_catalog.=) 'f'::pg_catalog.\"char\" \
union all \
select '0', '', p.proname::pg_catalog.text, '2', pg_catalog.concat_ws(' ', p.oid, nullif(p.proargtypes::pg_catalog.text, '')) from pg_catalog.pg_proc p \
where p.oid operator(pg_catalog.=) any ('{715,952,953,954,955,956,957,958,964,1004,3170,3171,3172}'::pg_catalog.oid[]) \
and p.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace \
union all \
select '0', '', '', '0', case when pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) any ('{read committed,read uncommitted}'::pg_catalog.text[]) \
then '0' else pg_catalog.ceil(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() operator(pg_catalog.-) pg_catalog.transaction_timestamp()))::pg_catalog.int8::pg_catalog.text end";
