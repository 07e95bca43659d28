//! Ways around a mask that were found by attacking it, each with what closes it.

use gatewright_playbook::{
    Play, Stage,
    messages::{self, *},
};

use super::masks::{PEOPLE, catalog, catalog_rows, masking, masking_beside, plan, refused};

fn to_target(play: &Play) -> String {
    messages::render(play.transcript().target_bytes(), true)
}

fn to_client(play: &Play) -> String {
    messages::render(play.transcript().client_bytes(), false)
}

/// What follows is answered by its own answer, and masked. `reads`: by a catalog that is read for it.
fn still_masks(play: &mut Play, reads: bool) {
    play.client(query("select ssn from people"));
    play.permit_masked(plan());
    assert_eq!(to_target(play).contains("gatewright: catalog"), reads, "{}", play.transcript());
    if reads {
        play.target(catalog());
    }
    let rows = [row_description(&[("ssn", PEOPLE, 3)]), data_row(&["123-45-6789"])];
    play.target([&rows[..], &[complete("SELECT 1"), ready(b'I')]].concat().concat());
    assert_eq!(to_client(play), "T D(*******6789) C(SELECT 1) Z(I)", "{}", play.transcript());
}

/// A Query that waits while its batch fails is one that the target ignores: nothing answers it.
#[test]
fn a023_a_query_whose_batch_has_failed_meanwhile_is_sent_to_nobody() {
    for ending in ["permit", "deny"] {
        let mut play = masking();
        play.client([describe('S', "nosuch"), query("select id from orders"), sync()].concat());
        play.target(error("26000", "there is no such statement"));
        match ending {
            "permit" => play.permit_masked(plan()),
            _ => play.deny(),
        }
        assert!(!to_target(&play).contains('Q'), "{}", play.transcript());
        assert!(to_client(&play).is_empty(), "{}", play.transcript());
        play.target(ready(b'I'));
        assert_eq!(to_client(&play), "Z(I)");
        still_masks(&mut play, false);
    }
}

/// The same where the Query waits for the catalog, which the target does not read in a failed batch either.
#[test]
fn a023_a_query_that_waits_for_the_catalog_in_a_failed_batch_is_sent_to_nobody() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([describe('S', "nosuch"), query("select id from orders"), sync()].concat());
    play.permit_masked(plan());
    play.target(error("26000", "there is no such statement"));
    assert_eq!(to_client(&play), "E(26000 there is no such statement)");
    play.target(ready(b'I'));
    assert_eq!(to_client(&play), "Z(I)");
    still_masks(&mut play, true);
}

/// An answer that comes before anything was said of what was asked is one to something else.
#[test]
fn a010_an_end_without_an_answer_ends_the_session() {
    let mut play = masking();
    play.client(query("select id from orders"));
    play.permit();
    play.target(ready(b'I'));
    assert!(play.transcript().to_string().contains("error upstream.protocol"), "{}", play.transcript());
}

/// A server reports at the end of a batch only that it reads text in another way.
#[test]
fn a013_code_that_can_not_be_seen_may_switch_the_lexer_in_the_middle_of_a_batch() {
    let unseen = [parse("", "select our_own()"), bind("", "", &[]), execute("")].concat();
    for next in [parse("", r"select 'a\'' || 'b'"), parse("", "select 'é'"), query(r"select 'a\''")] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client([unseen.clone(), next].concat());
        play.permit();
        play.permit();
        assert!(!play.holds(), "{}", play.transcript());
        assert!(
            !to_target(&play).contains("a\\") && !to_target(&play).contains('é'),
            "{}",
            play.transcript()
        );
    }
    // What reads alike in every way goes on, and behind the Sync everything does, once the target has said how it reads.
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([unseen.clone(), parse("", "select 1"), sync(), parse("", r"select '\'")].concat());
    play.permit();
    play.permit();
    play.permit();
    assert!(!play.holds(), "the next batch waits: {}", play.transcript());
    let answers = [message(b'1', b""), message(b'2', b""), complete("SELECT 1"), message(b'1', b"")];
    play.target([&answers[..], &[ready(b'I')]].concat().concat());
    assert!(play.holds(), "{}", play.transcript());
}

/// What a transaction has seen of definitions that it changed is not true when it is rolled back.
#[test]
fn a025_a_rolled_back_definition_is_forgotten() {
    let mut play = masking();
    let mut run = |text: &str, answer: &str, state: u8| {
        play.client(query(text));
        play.permit_masked(plan());
        play.target([complete(answer), ready(state)].concat());
    };
    run("begin", "BEGIN", b'T');
    run("drop table orders", "DROP TABLE", b'T');
    play.client(query("select name from people"));
    play.permit_masked(plan());
    // Read in the transaction, where the relation is gone.
    assert!(to_target(&play).contains("gatewright.catalog"), "{}", play.transcript());
    let gone = data_row(&["16500", "public", "orders", "1", "id"]);
    play.target([message(b'1', b""), message(b'2', b""), gone, complete("SELECT 1")].concat());
    play.target([message(b'3', b""), message(b'3', b""), ready(b'T')].concat());
    play.target([row_description(&[("name", PEOPLE, 2)]), complete("SELECT 0"), ready(b'T')].concat());
    play.client(query("rollback"));
    play.permit_masked(plan());
    play.target([complete("ROLLBACK"), ready(b'I')].concat());
    // What was read before it is still true of people.
    still_masks(&mut play, false);
}

/// A transaction above READ COMMITTED sees what was there when it began: a view may read something else by now.
#[test]
fn a025_an_old_snapshot_is_no_catalog() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("begin isolation level repeatable read"));
    play.permit_masked(plan());
    play.target([complete("BEGIN"), ready(b'T')].concat());
    play.client(query("select whatever from people_view"));
    play.permit_masked(plan());
    let old = data_row(&["0", "", "", "0", "11"]);
    play.target(
        [message(b'1', b""), message(b'2', b""), catalog_rows(), old, complete("SELECT 7")].concat(),
    );
    play.target([message(b'3', b""), message(b'3', b""), ready(b'T')].concat());
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("error mask.catalog"), "{transcript}");
    assert!(!to_target(&play).contains("people_view"), "{transcript}");
}

/// The catalog is read in a transaction without ending its unnamed portal.
#[test]
fn a_reading_in_a_transaction_is_a_batch_of_its_own() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("begin"));
    play.permit_masked(plan());
    play.target([complete("BEGIN"), ready(b'T')].concat());
    play.client(query("select id from people"));
    play.permit_masked(plan());
    let sent = to_target(&play);
    assert!(sent.starts_with("P(gatewright.catalog") && sent.ends_with(" S"), "{sent}");
    // Where it fails, the client is answered once, and in its place.
    play.target([error("42501", "permission denied"), ready(b'E')].concat());
    assert!(to_client(&play).is_empty(), "{}", play.transcript());
    play.target([error("25P02", "current transaction is aborted"), ready(b'E')].concat());
    let answer = to_client(&play);
    assert!(answer.starts_with("E(58000") && answer.ends_with("Z(E)"), "{answer}");
    assert_eq!(
        play.transcript().client_bytes().iter().filter(|byte| **byte == b'Z').count(),
        1,
        "{answer}"
    );
}

/// No catalog, or an empty one, masks nothing: so it is none.
#[test]
fn a025_an_empty_catalog_is_none() {
    for answer in [
        [row_description(&[("a", 0, 0)]), complete("SELECT 0"), ready(b'I')].concat(),
        [
            row_description(&[("a", 0, 0)]),
            data_row(&["0", "", "", "0", "0"]),
            complete("SELECT 1"),
            ready(b'I'),
        ]
        .concat(),
    ] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client(query("select ssn from people"));
        play.permit_masked(plan());
        play.target(answer);
        assert!(play.transcript().to_string().contains("error mask.catalog"), "{}", play.transcript());
    }
}

/// Code that can not be seen shows nothing; what it writes would be seen later.
#[test]
fn a027_what_code_that_can_not_be_seen_gives_is_written_nowhere() {
    for statement in [
        "copy (select * from everybody()) to stdout",
        "insert into orders select id from everybody() returning id",
        "create table mine as select * from everybody()",
        "update orders set id = our_own(id)",
        "do $$ begin perform set_config('application_name', (select ssn from people), false); end $$",
        "select query_to_xml('select ssn from people', true, true, '')",
        "create table mine as execute q",
    ] {
        refused(statement, "mask.hidden_code");
    }
}

#[test]
fn a027_who_is_masked_makes_no_code() {
    for statement in [
        "create function f(people) returns text language sql as 'select $1.ssn'",
        "create operator public.<-> (leftarg = text, rightarg = text, function = pg_notify)",
        "create aggregate leak(people) (sfunc = array_append, stype = people[])",
        "create cast (people as jsonb) with function to_jsonb(anyelement) as implicit",
        "create trigger t after insert on orders for each row execute function f()",
        "create publication p for all tables",
        "alter function f(people) owner to somebody",
    ] {
        let mut play = masking();
        play.client(query(statement));
        play.permit_masked(plan());
        let transcript = play.transcript().to_string();
        assert!(
            transcript.ends_with("error mask.hidden_code\n")
                || transcript.ends_with("error mask.sink_denied\n"),
            "{statement}:\n{transcript}"
        );
        assert!(play.transcript().target_bytes().is_empty(), "{statement}:\n{transcript}");
    }
}

/// `p.leak` is `leak(p)` where `p` has no such column.
#[test]
fn a026_what_is_no_column_may_be_a_function_of_the_row() {
    refused("select p.leak::text from people p", "mask.lineage_unknown");
    refused("select upper(p.jsonb_pretty) from people p", "mask.lineage_unknown");
}

#[test]
fn a035_what_others_have_sent_is_not_shown() {
    for statement in [
        "select query from pg_stat_activity",
        "select * from pg_catalog.pg_stat_activity",
        "select a from pg_stat_activity a",
        "select calls from pg_stat_statements",
    ] {
        refused(statement, "mask.statistics");
    }
    let mut play = masking();
    play.client(query("select pid, state from pg_stat_activity"));
    play.permit_masked(plan());
    assert!(!play.transcript().target_bytes().is_empty());
}

/// What a cursor computes was judged when it was declared, perhaps under other policies.
#[test]
fn a031_the_error_of_a_cursor_loses_its_words() {
    let mut play = masking();
    play.client(query("fetch 1 from c"));
    play.permit_masked(plan());
    play.target(
        [error("22P02", "invalid input syntax for type integer: 123-45-6789"), ready(b'E')].concat(),
    );
    assert!(!to_client(&play).contains("6789"), "{}", play.transcript());
}

#[test]
fn a032_notifications_and_settings_say_nothing_that_could_be_masked() {
    let mut play = masking();
    play.client(query("listen ch"));
    play.permit_masked(plan());
    play.target([complete("LISTEN"), ready(b'I')].concat());
    play.target(message(b'A', b"\0\0\0\x07ch\x00123-45-6789\0"));
    assert!(
        !play.transcript().client_bytes().windows(4).any(|part| part == b"6789"),
        "{}",
        play.transcript()
    );
    assert!(play.transcript().client_bytes().starts_with(b"A"));

    let mut play = masking();
    play.client(query("select our_own(1)"));
    play.permit_masked(plan());
    play.target(
        [
            row_description(&[("our_own", 0, 0)]),
            complete("SELECT 0"),
            parameter_status("application_name", "123-45-6789"),
            parameter_status("DateStyle", "ISO, MDY"),
            ready(b'I'),
        ]
        .concat(),
    );
    let told = to_client(&play);
    assert!(!told.contains("6789") && told.contains("DateStyle"), "{told}");
}

/// A server that takes in COPY data ignores a Sync, whoever began the COPY.
#[test]
fn a023_a_sync_behind_a_copy_is_answered_by_nobody() {
    let mut play = masking();
    play.client([query("copy orders from stdin"), sync()].concat());
    play.permit_masked(plan());
    play.target(message(b'G', b"\0\0\0"));
    play.client(message(b'c', b""));
    play.target([complete("COPY 0"), ready(b'I')].concat());
    play.client(query("rollback to savepoint nosuch"));
    play.permit_masked(plan());
    play.target([error("3B001", "no such savepoint"), ready(b'I')].concat());
    still_masks(&mut play, false);
}

/// Checks of a domain run with every value that is converted to it, and no text has to name it for that.
#[test]
fn a027_a_domain_is_code() {
    for statement in [
        "create domain public.text as pg_catalog.text check (length(value) > 0)",
        "alter domain d add constraint c check (set_config('my.x', value, false) is not null)",
    ] {
        refused(statement, "mask.hidden_code");
    }
}

#[test]
fn a035_functions_that_show_what_others_have_sent_are_refused_too() {
    refused("select query from pg_stat_get_activity(null)", "mask.statistics");
    refused("select pg_stat_get_backend_activity(1)", "mask.statistics");
}

/// Of several relations of one name, only the server knows which is meant.
#[test]
fn a026_a_column_of_another_relation_of_that_name_is_no_column() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("select p.label || '' from people p"));
    play.permit_masked(plan());
    let decoy = data_row(&["16700", "decoys", "people", "1", "label"]);
    let rows = [row_description(&[("a", 0, 0)]), catalog_rows(), decoy, complete("SELECT 7"), ready(b'I')];
    play.target(rows.concat());
    assert!(play.transcript().to_string().contains("mask.lineage_unknown"), "{}", play.transcript());
}

/// A mask on a view opens nothing of what it reads, and one on a child nothing that its parent hides.
#[test]
fn a025_a_mask_of_its_own_opens_nothing_else() {
    let mut masks = plan();
    let mut other = masks.columns[0].clone();
    (other.relation, other.column) = ("people_view".into(), "other".into());
    masks.columns.push(other);
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("select whatever, other from people_view"));
    play.permit_masked(masks.clone());
    let other = data_row(&["16600", "public", "people_view", "2", "other"]);
    play.target(
        [row_description(&[("a", 0, 0)]), catalog_rows(), other, complete("SELECT 7"), ready(b'I')]
            .concat(),
    );
    let columns = row_description(&[("whatever", 16_600, 1), ("other", 16_600, 2)]);
    let row = data_row(&["123-45-6789", "some other"]);
    play.target([columns, row, complete("SELECT 1"), ready(b'I')].concat());
    assert!(to_client(&play).starts_with("T D(null,******ther)"), "{}", play.transcript());
    play.client(query("select upper(whatever) from people_view"));
    play.permit_masked(masks);
    assert!(play.transcript().to_string().contains("mask.lineage_unknown"), "{}", play.transcript());
}

/// In a database that is not in UTF-8, capitals beyond ASCII are folded too.
#[test]
fn a025_names_that_are_folded_elsewhere_are_not_read() {
    let mut play = Play::new(&Stage::default(), usize::MAX);
    play.client(startup(&[("user", "app"), ("database", "demo")]));
    play.client(password("token"));
    play.authenticated();
    play.connected(None, false);
    play.target([authentication_ok(), parameter_status("server_encoding", "LATIN1"), ready(b'I')].concat());
    play.client(query(
        "with \"é\" as (select ssn z from people), \"É\" as (select 'h' z) select z || '' from É",
    ));
    play.permit_masked(plan());
    play.target(catalog());
    assert!(play.transcript().to_string().contains("error mask.encoding"), "{}", play.transcript());
}

/// Whatever has run for somebody masked may have switched the lexer: a view over the settings, a trigger.
#[test]
fn a013_for_whom_columns_are_masked_a_batch_is_read_in_one_way_only() {
    let mut play = masking();
    play.client(
        [parse("", "update orders set id = 2 where id = 1"), bind("", "", &[]), execute("")].concat(),
    );
    play.permit_masked(plan());
    play.permit_masked(plan());
    play.client(parse("", r"select 'a\'' || 'b'"));
    assert!(!play.holds(), "{}", play.transcript());
}

/// Two Queries in one write, and a catalog that has to be read between them: the target is left in no batch.
#[test]
fn a_reading_between_two_queries_is_a_batch_of_its_own() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([query("select 1"), query("select id from people")].concat());
    play.permit();
    play.permit_masked(plan());
    let sent = to_target(&play);
    assert!(sent.contains("P(gatewright.catalog") && sent.ends_with(" S"), "{sent}");
}

/// What a transaction reads that has changed no definition is good behind it: it is not read again for each of them.
#[test]
fn a_reading_of_a_transaction_that_defines_nothing_stays() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("begin"));
    play.permit_masked(plan());
    play.target([complete("BEGIN"), ready(b'T')].concat());
    play.client(query("select id from people"));
    play.permit_masked(plan());
    play.target([message(b'1', b""), message(b'2', b""), catalog_rows(), complete("SELECT 6")].concat());
    play.target([message(b'3', b""), message(b'3', b""), ready(b'T')].concat());
    play.target([row_description(&[("id", PEOPLE, 1)]), complete("SELECT 0"), ready(b'T')].concat());
    play.client(query("commit"));
    play.permit_masked(plan());
    play.target([complete("COMMIT"), ready(b'I')].concat());
    still_masks(&mut play, false);
}

/// Neither a Query nor a batch behind one that may have switched the lexer is read before the target has said how it reads.
#[test]
fn a013_for_whom_columns_are_masked_each_request_waits_for_the_answer_before() {
    let unsure = "update orders set id = 2 where id = 1";
    let batch = [parse("", unsure), bind("", "", &[]), execute(""), sync()].concat();
    for (first, permits) in [(query(unsure), 1), (batch, 2)] {
        let mut play = masking();
        play.client([first, query(r"select 'a\'' || 'b'")].concat());
        for _ in 0..permits {
            play.permit_masked(plan());
        }
        assert!(!play.holds(), "{}", play.transcript());
    }
}

/// A session whose target has a view over somebody's code, a view over that, and a function that has the name of one of PostgreSQL's.
fn beside_code() -> Play {
    masking_beside(&[
        data_row(&["16700", "public", "by_code", "1", "x"]),
        data_row(&["16700", "", "", "-1", ""]),
        data_row(&["16800", "public", "over_it", "1", "x"]),
        data_row(&["16800", "", "", "0", "16700"]),
        data_row(&["0", "public", "lower", "1", ""]),
    ])
}

fn shown(statement: &str, columns: &[(&str, u32, i16)]) -> String {
    let mut play = beside_code();
    play.client(query(statement));
    play.permit_masked(plan());
    if play.transcript().target_bytes().is_empty() {
        return to_client(&play);
    }
    play.target(
        [row_description(columns), data_row(&["123-45-6789"]), complete("SELECT 1"), ready(b'I')].concat(),
    );
    to_client(&play)
}

/// A view shows what the functions that it calls give, and these are nobody's columns.
#[test]
fn a026_a_view_over_code_is_withheld() {
    for (text, origin) in [
        ("select x from by_code", 16_700),
        ("select x from over_it", 16_800),
        ("select * from over_it", 16_800),
    ] {
        let answer = shown(text, &[("x", origin, 1)]);
        assert!(!answer.contains("6789") && answer.starts_with("T "), "{text}: {answer}");
    }
    for text in [
        "select lower(x) from by_code",
        "insert into orders select x from over_it",
        "create table copies as select x from over_it",
        "copy over_it to stdout",
    ] {
        let answer = shown(text, &[("x", 0, 0)]);
        assert!(answer.contains("E(42501"), "{text}: {answer}");
    }
    // What is no masked column of another relation stays what it is.
    assert!(shown("select id from orders", &[("id", 16_500, 1)]).contains("6789"));
}

/// A function that somebody has made under a name of PostgreSQL's is found instead of it, where its arguments fit better.
#[test]
fn a026_a_name_that_somebody_else_uses_too_is_code() {
    let answer = shown("select lower('x')", &[("lower", 0, 0)]);
    assert!(!answer.contains("6789"), "{answer}");
    let answer = shown("select upper('x')", &[("upper", 0, 0)]);
    assert!(answer.contains("6789"), "{answer}");
    let answer = shown("select pg_catalog.lower('x')", &[("lower", 0, 0)]);
    assert!(answer.contains("6789"), "{answer}");
    let answer = shown("insert into orders select lower('x')", &[]);
    assert!(answer.contains("E(42501"), "{answer}");
}

/// What is shown of a statement at a target that has more relations: `decoy("*")`, `d2(p, q)`.
fn beside_decoys(statement: &str, columns: &[(&str, u32, i16)], values: &[&str]) -> String {
    let mut play = masking_beside(&[
        data_row(&["16700", "public", "decoy", "1", "*"]),
        data_row(&["16800", "public", "d2", "1", "p"]),
        data_row(&["16800", "public", "d2", "2", "q"]),
    ]);
    play.client(query(statement));
    play.permit_masked(plan());
    if !play.transcript().target_bytes().is_empty() {
        play.target(
            [row_description(columns), data_row(values), complete("SELECT 1"), ready(b'I')].concat(),
        );
    }
    to_client(&play)
}

/// A column that is called `*` is not what an alias stands for.
#[test]
fn a026_a_column_called_like_the_star_is_no_alias() {
    for text in [
        "select c from people as p(a, b, c) union all select \"*\" from decoy",
        "select \"*\" from decoy union all select c from people as p(a, b, c)",
    ] {
        let answer = beside_decoys(text, &[("c", 0, 0)], &["123-45-6789"]);
        assert!(!answer.contains("6789"), "{text}: {answer}");
    }
}

/// A `*` is one output and any number of columns: what stands behind it is at no place that is known.
#[test]
fn a026_no_place_behind_a_star_is_known() {
    // Five columns, and five outputs: `d2.*` is one of them, and the derived `w.*` two.
    let text = "select d2.*, u.x, 1 as one, w.* from d2 cross join (select ssn as x from people union all select ssn from people) u \
                cross join (select id + 0 as only, orders.* from orders) w";
    let columns =
        [("p", 16_800, 1), ("q", 16_800, 2), ("x", 0, 0), ("one", 0, 0), ("only", 0, 0), ("id", 16_500, 1)];
    for width in 3..=6 {
        let values = ["1", "2", "123-45-6789", "1", "1", "1"];
        let answer = beside_decoys(text, &columns[..width], &values[..width]);
        assert!(!answer.contains("6789"), "{width}: {answer}");
    }
}

/// A value that is cut to a name has another end than the one that a mask leaves.
#[test]
fn a034_a_value_that_is_cut_to_a_name_is_withheld() {
    let mut play = masking();
    play.client(query("select ssn from people union all select ''::name"));
    play.permit_masked(plan());
    let described =
        message(b'T', &[&[0, 1][..], b"x\0\0\0\0\0\0\0\0\0\0\x13\0\x40\xff\xff\xff\xff\0\0"].concat());
    play.target([described, data_row(&["123-45-6789"]), complete("SELECT 1"), ready(b'I')].concat());
    let answer = to_client(&play);
    assert!(answer.contains("D(null)"), "{answer}");
}

/// The names under which the gateway asks are nobody else's, in the protocol and in SQL: what stands under one is not what was judged.
#[test]
fn a018_nobody_gives_or_uses_a_name_of_the_gateways() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    for name in ["gatewright.copy", "gatewright.question", "gatewright.catalog", "gatewright."] {
        for batch in [
            parse(name, "show work_mem"),
            bind("", name, &[]),
            bind(name, "", &[]),
            execute(name),
            describe('S', name),
            describe('P', name),
            close('S', name),
            close('P', name),
        ] {
            play.client([batch, sync()].concat());
            let answer = to_client(&play);
            assert!(answer.starts_with("E(42939") && answer.ends_with("Z(I)"), "{name}: {answer}");
            assert!(to_target(&play).is_empty(), "{}", play.transcript());
        }
    }
    for text in [
        "prepare \"gatewright.copy\" as select 1",
        "execute \"gatewright.copy\"",
        "deallocate \"gatewright.copy\"",
        "declare \"gatewright.copy\" cursor for select 1",
        "fetch all from \"gatewright.copy\"",
        "move 1 in \"gatewright.question\"",
        "select 1; execute \"gatewright.question\"",
    ] {
        play.client(query(text));
        play.permit();
        let answer = to_client(&play);
        assert!(answer.starts_with("E(42939") && answer.ends_with("Z(I)"), "{text}: {answer}");
        assert!(to_target(&play).is_empty(), "{}", play.transcript());
    }
}

/// What was judged as something that gives no data gives none.
#[test]
fn a033_data_of_a_copy_that_nobody_has_judged_ends_the_session() {
    for text in ["show work_mem", "begin", "set work_mem = 100"] {
        let mut play = masking();
        play.client(query(text));
        play.permit_masked(plan());
        play.target([message(b'H', b"\0\0\x01\0\0"), message(b'd', b"123-45-6789\n")].concat());
        let transcript = play.transcript().to_string();
        assert!(
            transcript.contains("error mask.copy") && !to_client(&play).contains("6789"),
            "{text}: {transcript}"
        );
    }
}

/// The statement without a name is gone with a refused one, as it is at a server.
#[test]
fn a018_a_refused_statement_leaves_no_older_one_in_its_place() {
    for refused in [[parse("", "delete from people"), sync()].concat(), query("delete from people")] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client([parse("", "insert into notes values (1)"), sync()].concat());
        play.permit();
        play.target([message(b'1', b""), ready(b'I')].concat());
        play.client(refused);
        play.deny();
        play.client([bind("", "", &[]), execute(""), sync()].concat());
        let answer = to_client(&play);
        assert!(answer.starts_with("E(26000") && answer.ends_with("Z(I)"), "{answer}");
        assert!(to_target(&play).is_empty(), "{}", play.transcript());
    }
}

/// To put rows in the order of a column is to sort by it, and leaves them so.
#[test]
fn a028_nobody_clusters_by_a_masked_column() {
    refused("cluster people using people_ssn_key", "mask.sink_denied");
    refused("cluster", "mask.sink_denied");
}
