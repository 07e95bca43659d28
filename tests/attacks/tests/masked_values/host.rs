//! A21: files, programs and other servers, by everything that the server itself has for them.

use gatewright_attacks::Attack;
use gatewright_e2e::{
    Postgres,
    wire::{self, Client, Message},
};

use super::super::print;

/// Statements that reach out of the database, each as it runs where somebody may do that.
const REACHING: &[&str] = &[
    "copy (select 1) to program 'cat > /dev/null'",
    "copy people to program 'cat > /dev/null' (format csv)",
    "copy scratch from program 'echo 1'",
    "copy people to '/dev/null'",
    "copy (table people) to '/dev/null' (format binary)",
    "copy scratch from '/dev/null'",
    "select pg_read_file('PG_VERSION')",
    "select pg_read_file('PG_VERSION', 0, 1)",
    "select pg_catalog.pg_read_binary_file('PG_VERSION')",
    "select pg_stat_file('PG_VERSION')",
    "select (pg_stat_file('PG_VERSION', true)).size",
    "select * from pg_ls_dir('base')",
    "select pg_ls_dir('.', true, true)",
    "select pg_ls_waldir()",
    "select * from pg_ls_tmpdir()",
    "select pg_ls_archive_statusdir()",
    "select lo_import('/dev/null')",
    "select lo_import('/dev/null', 4711)",
    "select lo_export(4712, '/dev/null')",
    "select case when exists (select pg_read_file('PG_VERSION')) then 1 end",
    "with f as (select pg_read_file('PG_VERSION') as text) select length(text) from f",
    "values (pg_read_file('PG_VERSION'))",
    "insert into scratch values (pg_read_file('PG_VERSION'))",
    "create temp table t as select pg_read_file('PG_VERSION')",
    "create temp table t (a text default pg_read_file('PG_VERSION'))",
    "create view lab_view as select pg_read_file('PG_VERSION')",
    "prepare p as select pg_read_file('PG_VERSION')",
    "explain select pg_read_file('PG_VERSION')",
    "declare c cursor for select pg_read_file('PG_VERSION')",
    "do $$ begin perform pg_read_file('PG_VERSION'); end $$",
    "do $$ begin execute 'copy scratch from program ''echo 1'''; end $$",
    "create function f() returns text language sql as 'select pg_read_file(''PG_VERSION'')'",
    "select query_to_xml('select pg_read_file(''PG_VERSION'')', true, true, '')",
    "select pg_reload_conf()",
    "select pg_rotate_logfile()",
    "select pg_terminate_backend(0)",
    "select pg_cancel_backend(0)",
    "select pg_switch_wal()",
    "select pg_create_restore_point('x')",
    "select pg_log_backend_memory_contexts(pg_backend_pid())",
    "alter system set work_mem = '4MB'",
    "alter system reset work_mem",
    "load 'plpgsql'",
    "create extension postgres_fdw",
    "create extension file_fdw cascade",
    "create server elsewhere foreign data wrapper lab_wrapper",
    "create foreign data wrapper other_wrapper",
    "create user mapping for current_user server lab_server options (password 'x')",
    "create foreign table f (a int) server lab_server",
    "alter server lab_server options (add host 'elsewhere')",
    "create subscription s connection 'host=elsewhere' publication p with (connect = false)",
    "select public.dblink_connect('x', 'host=SOCKET user=postgres dbname=postgres')",
    "select * from public.dblink('host=SOCKET user=postgres dbname=postgres', 'select 1') d (a int)",
    "select public.dblink_exec('host=SOCKET user=postgres dbname=postgres', 'create temp table t ()')",
];

/// What statements above name.
const DEFINITIONS: &str = "
create extension dblink schema public; create foreign data wrapper lab_wrapper;
create server lab_server foreign data wrapper lab_wrapper; select lo_from_bytea(4712, 'x')";

/// Functions that the server does not let everybody call and that reach neither files nor programs: they are about its own state, and who may call
/// them is left to it. By the beginning of their name.
const OWN_STATE: [&str; 6] = [
    "pg_replication_origin_",
    "pg_stat_reset",
    "pg_stat_have_stats",
    "pg_get_backend_memory_contexts",
    "pg_get_shmem_allocations_numa",
    "pg_get_aios",
];

#[test]
fn a021_what_reaches_out_of_the_database_does_not_reach_the_server() {
    let attack = Attack::prepare().unwrap();
    let postgres = &attack.scene.postgres;
    postgres.sql("postgres", DEFINITIONS).unwrap();
    let socket = postgres.socket();
    let host = format!("{} port={}", socket.parent().unwrap().display(), postgres.port());
    let mut admin = superuser(postgres);
    let mut mallory = attack.session().unwrap();
    for text in REACHING {
        let text = text.replace("SOCKET", &host);
        let is_outside = text.starts_with("alter system");
        let around = |text: &'static str| if is_outside { "" } else { text };
        admin.query(around("begin")).unwrap();
        let told = admin.query(&text).unwrap();
        assert!(wire::states(&told).is_empty(), "it does nothing: {text}: {}", print(&told));
        admin.query(around("rollback")).unwrap();
        refused(&attack, &mut mallory, &text);
    }
}

#[test]
fn a021_functions_that_not_everybody_may_call_are_refused_before_they_run() {
    let attack = Attack::prepare().unwrap();
    let list = "select p.proname || '(' || coalesce((select string_agg('null::' || format_type(t, null), ', ' order by o)
                                                      from unnest(p.proargtypes) with ordinality a (t, o)), '') || ')'
                from pg_proc p where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and proacl is not null
                    and not exists (select from aclexplode(proacl) where grantee = 0)";
    let list = attack.scene.postgres.sql("postgres", list).unwrap();
    let left_out = |call: &&str| OWN_STATE.iter().any(|begin| call.starts_with(begin));
    let (_, reaching): (Vec<_>, Vec<_>) = list.lines().partition(left_out);
    assert!(reaching.len() > 30, "{list}");
    let mut mallory = attack.session().unwrap();
    for call in reaching {
        for text in [format!("select {call}"), format!("select pg_catalog.{call}")] {
            refused(&attack, &mut mallory, &text);
        }
    }
}

/// A rule denies it, in both protocols, and nothing of it reaches the server.
#[track_caller]
fn refused(attack: &Attack, client: &mut Client, text: &str) {
    attack.forget();
    let told = client.query(text).unwrap();
    let denied =
        |told: &[Message]| told[0].field('D').is_some_and(|detail| detail.ends_with("code: sql.denied"));
    assert!(wire::tags(&told) == "EZ" && denied(&told), "{text}: {}", print(&told));
    assert_eq!(attack.upstream_bytes(), 0, "{text}");
    client
        .send(
            &[wire::parse("", text), wire::bind("", "", &[]), wire::execute("", 0), wire::sync()].concat(),
        )
        .unwrap();
    let told = client.until_ready().unwrap();
    assert!(wire::tags(&told) == "EZ" && denied(&told), "{text}: {}", print(&told));
    assert!(!attack.reached(text), "{text}");
}

fn superuser(postgres: &Postgres) -> Client {
    let mut client = Client::connect_socket(postgres).unwrap();
    client.send(&wire::startup(&[("user", "postgres"), ("database", "postgres")])).unwrap();
    client.until_ready().unwrap();
    client
}
