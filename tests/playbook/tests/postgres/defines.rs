//! What somebody for whom columns are masked may define: whatever holds nothing masked.

use gatewright_playbook::messages::query;

use super::masks::{masking, plan, refused};

#[track_caller]
fn sent(statement: &str) {
    let mut play = masking();
    play.client(query(statement));
    play.permit_masked(plan());
    assert!(!play.transcript().target_bytes().is_empty(), "{statement}: {}", play.transcript());
}

#[test]
fn what_holds_nothing_masked_is_made_and_dropped() {
    for statement in [
        "create table notes (id int primary key references orders (id), text text)",
        "create table notes (like orders)",
        "create table notes as select id from orders",
        "create temp table notes as select id from orders",
        "select id into notes from orders",
        "create view recent as select id from orders where id > 7",
        "create or replace view recent as select lower(id::text) from orders",
        "create materialized view recent as select count(*) from orders",
        "create sequence numbers",
        "create index on orders (id)",
        "alter table orders add column x int",
        "alter table orders rename to orders_of_before",
        "alter table orders rename column id to number",
        "drop view recent",
        "drop materialized view recent",
        "drop sequence numbers",
        "drop index orders_id",
        "drop table notes, orders",
        "drop foreign table elsewhere",
    ] {
        sent(statement);
    }
}

/// A new place for masked values, under a name or in a form that no mask finds again.
#[test]
fn a027_nothing_masked_flows_into_what_is_made() {
    for statement in [
        "create view mine as select id, name from people",
        "create view mine as select 1 from people",
        "create view mine (x) as table people_view",
        "create recursive view mine (n) as select id from people union all select n from mine where n < 9",
        "create table mine as select id from people",
        "create table mine as table people",
        "create table mine as with x as (select * from people) select * from x",
        "create table mine as select (select max(id) from people)",
        "select id into mine from people",
        "create materialized view mine as select id from people_view",
        "create table mine (like people including all)",
        "create table mine () inherits (people)",
        "create table mine partition of people default",
        // What it reads came after the catalog was read, and may be a view over anything.
        "create view mine as select x from unheard_of",
        "create table mine as select x from unheard_of",
    ] {
        refused(statement, "mask.sink_denied");
    }
    for statement in [
        "create table mine as execute prepared_before",
        "create view mine as select query_to_xml('select ssn from people', true, false, '')",
        "create table mine as select somebodys()",
        "create materialized view mine as select * from somebodys()",
        "select somebodys() into mine",
    ] {
        refused(statement, "mask.hidden_code");
    }
    refused("create view mine as select most_common_vals from pg_stats", "mask.statistics");
}

/// Another relation under the name of one that is masked, wherever: which of them a name means, only the server knows.
#[test]
fn a025_no_relation_takes_the_name_of_a_masked_one() {
    for statement in [
        "create view people as select 1 as ssn",
        "create temp view people as select id as ssn from orders",
        "create or replace temp view people as select id as ssn from orders",
        "create view hr.people as select id as ssn from orders",
        "create temp table people as select id as ssn from orders",
        "create table if not exists hr.people as select id as ssn from orders",
        "create materialized view hr.people as select id as ssn from orders",
        "select id as ssn into temp people from orders",
        "create sequence people",
        "create table people_view as select id from orders",
        "alter table orders rename to people",
        "alter table hr.orders rename to people",
        "alter view orders rename to people",
        "alter materialized view orders rename to people",
        "alter foreign table orders rename to people",
        "alter sequence orders rename to people",
        "alter index orders rename to people",
        "alter table if exists orders rename to people_view",
        "alter table people rename to others",
    ] {
        refused(statement, "mask.sink_denied");
    }
}
