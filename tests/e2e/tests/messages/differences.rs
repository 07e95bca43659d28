//! What a client can tell the gateway by, all of it on purpose: what is held here is how far it goes. Whatever does not differ any more belongs with the others.

use gatewright_e2e::{
    comparison::{Step, closed, ready, unready},
    wire::{Message, bind, close, describe, execute, message, parse, query, sync, terminate},
};

use super::super::{comparison, outline, queries, run};

/// Where a name is not the gateway's it is not the server's either: SQL may have prepared something under it that nobody has judged. The server is not asked.
#[test]
fn a018_a_name_that_is_missing_is_told_without_a_place_in_the_servers_source() {
    let comparison = comparison();
    for (messages, state) in [
        (bind("", "nothing", &[]), "26000"),
        (bind("", "", &[]), "26000"),
        (execute("nothing", 0), "34000"),
        (execute("", 0), "34000"),
        ([run("select 1"), bind("", "nothing", &[]), run("select 2")].concat(), "26000"),
        ([run("begin"), run("select 1"), execute("nothing", 0), run("select 2")].concat(), "34000"),
    ] {
        let steps = [ready(2, &[messages, sync(), run("rollback"), sync()])];
        let [direct, allow, masks] = comparison.by_each(&steps).unwrap();
        assert_eq!(outline(&direct).1[0], state);
        let placeless: Vec<Message> = direct.iter().map(without_place).collect();
        assert_ne!(placeless, direct);
        assert_eq!(allow, placeless);
        assert_eq!(masks, placeless);
    }
}

/// A message without file, line and routine, if it is an error.
fn without_place(message: &Message) -> Message {
    if message.tag != 'E' {
        return message.clone();
    }
    let fields = message.body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let fields = fields.filter(|field| !b"FLR".contains(&field[0]));
    let body = fields.flat_map(|field| [field, b"\0"].concat()).chain([0]).collect();
    Message { tag: 'E', body }
}

#[test]
fn what_is_no_message_of_the_protocol_ends_the_session() {
    let comparison = comparison();
    let binds = |formats: &[u8], results: &[u8]| {
        message('B', &[b"\0\0", formats, b"\0\x01\0\0\0\x017".as_slice(), results].concat())
    };
    // What the server says to it, and that it goes on or not.
    for (wrong, answer, state) in [
        (message('y', b""), "E", "08P01"),
        (message('Q', b"select 1\0x"), "EZ", "08P01"),
        (message('Q', b"select 1"), "EZ", "08P01"),
        (message('S', b"x"), "EZ", "08P01"),
        ([describe('X', "a"), sync()].concat(), "EZ", "08P01"),
        ([close('X', "a"), sync()].concat(), "EZ", "08P01"),
        ([binds(b"\0\x02\0\0\0\0", b"\0\0"), sync()].concat(), "EZ", "08P01"),
        ([binds(b"\0\x01\0\x02", b"\0\0"), sync()].concat(), "EZ", "22023"),
        ([binds(b"\0\0", b"\0\x01\0\x05"), execute("", 0), sync()].concat(), "EZ", "22023"),
    ] {
        let prepared = ready(1, &[parse("", "select $1::int"), sync()]);
        let [direct, allow, masks] =
            comparison.by_each(&[prepared, closed(&[wrong.clone(), terminate()])]).unwrap();
        let (types, states) = outline(&direct);
        let expected = [format!("1Z{answer}"), format!("1Z2{answer}")];
        assert!(expected.contains(&types), "{} {types}", wrong.escape_ascii());
        assert_eq!(states[0], state, "{}", wrong.escape_ascii());
        for through in [allow, masks] {
            let (types, states) = outline(&through);
            assert_eq!((&*types, &*states[0]), ("1ZE", "08P01"), "{}", wrong.escape_ascii());
            assert_eq!(through[2].field('S').unwrap(), "FATAL");
        }
    }
}

#[test]
fn a022_another_message_in_a_copy_ends_the_session_in_one_error() {
    let comparison = comparison();
    for wrong in [query("select 1"), run("select 1"), message('y', b"")] {
        let begin = unready(1, &[query("copy scratch from stdin")]);
        let steps = [begin, closed(&[message('d', b"x\n"), wrong])];
        let [direct, allow, masks] = comparison.by_each(&steps).unwrap();
        assert_eq!(outline(&direct), ("GEE".to_owned(), vec!["08P01".to_owned(); 2]));
        assert_eq!(outline(&allow), ("GE".to_owned(), vec!["08P01".to_owned()]));
        assert_eq!(masks, allow);
    }
}

/// By each: the server, the gateway that allows everything, and the one that masks.
fn told(steps: &[Step], types: [&str; 3], states: [&str; 3]) {
    let comparison = comparison();
    let seen = comparison.by_each(steps).unwrap();
    let (seen_types, seen_states): (Vec<_>, Vec<_>) = seen.iter().map(|one| outline(one)).unzip();
    assert_eq!(seen_types, types);
    assert_eq!(seen_states.iter().map(|states| states.join(" ")).collect::<Vec<_>>(), states);
}

#[test]
fn a018_what_sql_has_prepared_is_not_run_by_the_extended_protocol() {
    let batch = [bind("", "p", &[]), execute("", 0), sync()].concat();
    let steps = [queries(&["prepare p as select 1"]), ready(1, &[batch])];
    told(&steps, ["CZ2DCZ", "CZEZ", "CZEZ"], ["", "26000", "26000"]);
}

#[test]
fn a018_a_name_that_the_server_would_cut_is_refused() {
    let name = "n".repeat(64);
    let batch = [parse(&name, "select 1"), bind("", &name, &[]), execute("", 0), sync()];
    told(&[ready(1, &batch)], ["12DCZ", "EZ", "EZ"], ["", "42622", "42622"]);
}

#[test]
fn a_row_of_too_many_columns_is_refused_before_it_is_read() {
    let columns = vec!["1"; 1_665].join(",");
    let steps = [queries(&[&format!("select {columns}")])];
    told(&steps, ["EZ", "EZ", "EZ"], ["54011", "42501", "42501"]);
}

/// What is not known could be anything that is masked.
#[test]
fn a031_errors_about_what_is_not_there_have_no_words_for_whom_columns_are_masked() {
    let comparison = comparison();
    for (text, kept) in [
        ("drop table nothing", true),
        ("truncate nothing", true),
        ("lock table nothing", true),
        ("fetch nothing", true),
        ("execute nothing", true),
        ("drop table if exists nothing", true),
        ("select * from nothing", false),
        ("insert into nothing values (1)", false),
        ("drop function nothing()", false),
    ] {
        let [direct, allow, masks] = comparison.by_each(&[queries(&["begin", text, "rollback"])]).unwrap();
        assert_eq!(allow, direct, "{text}");
        assert_eq!(outline(&masks), outline(&direct), "{text}");
        let words = masks.iter().find(|message| "EN".contains(message.tag)).unwrap();
        let hides = words.field('D').is_some_and(|detail| detail.contains("hidden"));
        assert_eq!(hides, kept, "{text}");
        assert_eq!(masks == direct, !kept, "{text}");
    }
}

/// Whether the target takes a client is known before the client is told that it is one: of a login that fails it is told the error alone.
#[test]
fn a_login_that_the_server_refuses_is_told_its_error_without_more() {
    let comparison = comparison();
    for (name, value, state) in [
        ("TimeZone", "Nowhere/Nothing", "22023"),
        ("DateStyle", "nothing", "22023"),
        ("statement_timeout", "never", "22023"),
        ("extra_float_digits", "99", "22023"),
        ("database", "nothing", "3D000"),
    ] {
        let [direct, allow, masks] = comparison.logins(&[(name, value)]).unwrap();
        assert_eq!(outline(&direct), ("RE".to_owned(), vec![state.to_owned()]), "{name}");
        assert_eq!(allow, direct[1..], "{name}");
        assert_eq!(masks, direct[1..], "{name}");
    }
}

/// That what is compared is compared, and what masks does mask.
#[test]
#[should_panic(expected = "[redacted]")]
fn a_value_that_is_masked_is_a_difference() {
    let comparison = comparison();
    let masked = queries(&["select email from people order by id limit 1"]);
    comparison.same(&[masked]).unwrap();
}
