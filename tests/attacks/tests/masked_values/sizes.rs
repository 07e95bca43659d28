//! A36: long answers, wide ones and large ones.

use gatewright_e2e::wire::{self, Client, Message};

use super::super::{define, exempt, masked, masks, memory, print, resident, scene, take_values, values};

const MASK: &str = "[redacted]";

/// How many rows the long table has. Each takes some 240 bytes, all of them 70 MB.
const ROWS: u32 = 300_000;

/// What the gateway may take more after such an answer, in KiB: much less than all of it.
const MORE: usize = 32 * 1024;

#[test]
fn a036_every_row_of_a_long_answer_is_masked_and_none_is_kept() {
    let scene = scene(|postgres| {
        let table = "create table lab.long (id int primary key, secret text); \
                     insert into lab.long select n, 'secret-' || n || repeat('-and-more', 24) from generate_series(1, 300000) n";
        define(postgres, table);
        masks(&[("lab.long".to_owned(), "secret".to_owned(), "\"redact\"")])
    });
    let mut carol = exempt(&scene);
    let landmarks =
        "select id, secret from lab.long where id in (1, 1000, 1001, 100000, 300000) order by id";
    let shown: Vec<_> = carol
        .query(landmarks)
        .unwrap()
        .iter()
        .filter(|message| message.tag == 'D')
        .map(Message::row)
        .collect();
    for (row, id) in shown.iter().zip(["1", "1000", "1001", "100000", "300000"]) {
        assert!(
            row[0].as_deref() == Some(id) && row[1].as_ref().unwrap().starts_with(&format!("secret-{id}-")),
            "{row:?}"
        );
    }
    assert_eq!(shown.len(), 5);

    let mut mallory = masked(&scene);
    let hidden: Vec<_> = mallory
        .query(landmarks)
        .unwrap()
        .iter()
        .filter(|message| message.tag == 'D')
        .map(Message::row)
        .collect();
    assert!(hidden.len() == 5 && hidden.iter().all(|row| row[1].as_deref() == Some(MASK)), "{hidden:?}");
    let before = resident(scene.gateway.pid());
    let text = "select id, secret from lab.long order by id";

    mallory.send(&wire::query(text)).unwrap();
    rows_until(&mut mallory, 'Z', 1, ROWS);

    // A thousand at a time: row 1,001 begins the second part.
    let begin =
        [wire::parse("", text), wire::bind("", "", &[]), wire::execute("", 1_000), wire::flush()].concat();
    mallory.send(&begin).unwrap();
    rows_until(&mut mallory, 's', 1, 1_000);
    let mut portions = 1;
    while portions < ROWS / 1_000 {
        mallory.send(&[wire::execute("", 1_000), wire::flush()].concat()).unwrap();
        rows_until(&mut mallory, 's', portions * 1_000 + 1, (portions + 1) * 1_000);
        portions += 1;
    }
    mallory.send(&wire::sync()).unwrap();
    assert_eq!(wire::tags(&mallory.until_ready().unwrap()), "Z");

    mallory.send(&wire::query("copy (select id, secret from lab.long order by id) to stdout")).unwrap();
    let mut copied = 0;
    loop {
        let message = mallory.message().unwrap().unwrap();
        match message.tag {
            'd' => {
                for line in message.body.split_inclusive(|byte| *byte == b'\n') {
                    copied += 1;
                    assert_eq!(line, format!("{copied}\t{MASK}\n").as_bytes());
                }
            }
            'H' | 'c' | 'C' => {}
            'Z' => break,
            _ => panic!("{}", print(&[message])),
        }
    }
    assert_eq!(copied, ROWS);
    let after = resident(scene.gateway.pid());
    assert!(after < before + MORE, "{before} KiB before, {after} KiB after");
}

/// Reads rows up to the message of this type: those with the numbers `first` to `last`, and each with its mask.
#[track_caller]
fn rows_until(client: &mut Client, end: char, first: u32, last: u32) {
    let mut next = first;
    loop {
        let message = client.message().unwrap().unwrap();
        match message.tag {
            'D' => {
                assert_eq!(message.row(), [Some(next.to_string()), Some(MASK.to_owned())]);
                next += 1;
            }
            tag if tag == end => break,
            'T' | '1' | '2' | 'C' => {}
            _ => panic!("{}", print(&[message])),
        }
    }
    assert_eq!(next, last + 1);
}

/// What a table of PostgreSQL has at most (`MaxHeapAttributeNumber`).
const WIDEST: usize = 1_600;

#[test]
fn a036_columns_of_the_widest_table_are_masked_where_they_are() {
    // First, middle and last.
    let places = [0, WIDEST / 2, WIDEST - 1];
    let scene = scene(|postgres| {
        let columns = |kind: &dyn Fn(usize) -> &'static str| {
            (0..WIDEST).map(|place| format!("c{place} {}", kind(place))).collect::<Vec<_>>().join(", ")
        };
        let values =
            |value: &dyn Fn(usize) -> String| (0..WIDEST).map(value).collect::<Vec<_>>().join(", ");
        let some = columns(&|place| if places.contains(&place) { "text" } else { "smallint" });
        let of_some = values(&|place| {
            if places.contains(&place) { format!("'secret of column {place}'") } else { place.to_string() }
        });
        let all = columns(&|_| "text");
        let of_all = values(&|place| format!("'{}'", short(place)));
        define(
            postgres,
            &format!("create table lab.some ({some}); insert into lab.some values ({of_some})"),
        );
        define(postgres, &format!("create table lab.all ({all}); insert into lab.all values ({of_all})"));
        let rule = |table: &str, place: usize| (table.to_owned(), format!("c{place}"), "\"redact\"");
        let rules = places.map(|place| rule("lab.some", place)).into_iter();
        masks(&rules.chain((0..WIDEST).map(|place| rule("lab.all", place))).collect::<Vec<_>>())
    });
    let (mut carol, mut mallory) = (exempt(&scene), masked(&scene));
    let listed = (0..WIDEST).map(|place| format!("c{place}")).collect::<Vec<_>>().join(", ");
    for way in [Way::Text, Way::Binary, Way::CopyBinary] {
        for source in ["lab.some".to_owned(), format!("(select {listed} from lab.some)")] {
            let (shown, hidden) = (row(&mut carol, way, &source), row(&mut mallory, way, &source));
            assert_eq!((shown.len(), hidden.len()), (WIDEST, WIDEST), "{way:?}");
            for (place, (shown, hidden)) in shown.iter().zip(&hidden).enumerate() {
                if places.contains(&place) {
                    assert_eq!(
                        shown.as_deref(),
                        Some(format!("secret of column {place}").as_bytes()),
                        "{way:?}"
                    );
                    assert_eq!(hidden.as_deref(), Some(MASK.as_bytes()), "{way:?}");
                } else {
                    assert_eq!(shown, hidden, "column {place} {way:?}");
                }
            }
        }
        let (shown, hidden) = (row(&mut carol, way, "lab.all"), row(&mut mallory, way, "lab.all"));
        for (place, shown) in shown.iter().enumerate() {
            assert_eq!(shown.as_deref(), Some(short(place).as_bytes()), "{way:?}");
        }
        assert_eq!(hidden, vec![Some(MASK.as_bytes().to_vec()); WIDEST], "{way:?}");
    }
}

/// A value of three characters: all of them have to fit into one page.
fn short(place: usize) -> String {
    format!("{place:03x}")
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Text,
    Binary,
    CopyBinary,
}

/// The values of the only row that there is.
fn row(client: &mut Client, way: Way, source: &str) -> Vec<Option<Vec<u8>>> {
    let select = format!("select * from {source} s");
    let bytes = match way {
        Way::Text => wire::query(&select),
        Way::Binary => [
            wire::parse("", &select),
            wire::bind_format("", "", &[], 1),
            wire::execute("", 0),
            wire::sync(),
        ]
        .concat(),
        Way::CopyBinary => wire::query(&format!("copy {source} to stdout (format binary)")),
    };
    client.send(&bytes).unwrap();
    let told = client.until_ready().unwrap();
    assert!(wire::states(&told).is_empty(), "{}", print(&told));
    let copied: Vec<u8> =
        told.iter().filter(|message| message.tag == 'd').flat_map(|message| message.body.clone()).collect();
    match told.iter().find(|message| message.tag == 'D') {
        Some(row) => values(row),
        // Behind a signature, flags and the length of an extension that there is not.
        None => take_values(&copied[19..]).0,
    }
}

/// The size of a large value, in bytes. A row of 64 MiB is the largest that is held to be masked.
const LARGE: usize = 64_000_000;
const TOO_LARGE: usize = 68_000_000;

/// The largest row that is held, in KiB. While it is masked there are several copies of it: as it came, in one piece, masked, and encrypted.
const HELD: usize = 64 * 1024;

#[test]
fn a036_a_value_of_64_mb_is_masked_and_a_larger_one_refused() {
    let scene = scene(|postgres| {
        let table = format!(
            "create table lab.large (redacted text, hashed text, kept text, bytes bytea);
             insert into lab.large select s, s, s, s::bytea from repeat('secret--', {LARGE} / 8) s;
             create table lab.larger as select repeat('secret--', {TOO_LARGE} / 8) as redacted"
        );
        define(postgres, &table);
        let rules = [
            ("large", "redacted", "\"redact\""),
            ("large", "hashed", "\"hash\""),
            ("large", "kept", "{ partial = 4 }"),
            ("large", "bytes", "\"redact\""),
            ("larger", "redacted", "\"redact\""),
        ];
        masks(&rules.map(|(table, column, method)| (format!("lab.{table}"), column.to_owned(), method)))
    });
    let before = resident(scene.gateway.pid());
    // What passes unmasked has no limit.
    let shown = value(&read(&mut exempt(&scene), 0, "select redacted from lab.larger"));
    assert!(shown.len() == TOO_LARGE && shown.chunks(8).all(|part| part == b"secret--"));

    let mut mallory = masked(&scene);
    for (column, format) in [("redacted", 0), ("hashed", 1), ("kept", 0), ("bytes", 1)] {
        let mask = value(&read(&mut mallory, format, &format!("select {column} from lab.large")));
        match column {
            "hashed" => assert!(mask.len() == 32 && mask.iter().all(u8::is_ascii_hexdigit)),
            "kept" => {
                let (hidden, kept) = mask.split_at(LARGE - 4);
                assert!(hidden.iter().all(|byte| *byte == b'*') && kept == b"et--");
            }
            _ => assert_eq!(mask, MASK.as_bytes(), "{column}"),
        }
    }
    let told = mallory.query("copy (select redacted from lab.large) to stdout").unwrap();
    let copied: Vec<u8> =
        told.iter().filter(|message| message.tag == 'd').flat_map(|message| message.body.clone()).collect();
    assert_eq!(copied, format!("{MASK}\n").as_bytes());

    // Its session ends, because nothing can be said inside of an answer that has begun.
    for text in ["select redacted from lab.larger", "copy lab.larger to stdout"] {
        let mut mallory = masked(&scene);
        let told = mallory.query(text).unwrap();
        assert!(!told.iter().any(|message| matches!(message.tag, 'D' | 'd')), "{}", print(&told));
        let last = told.last().unwrap();
        assert_eq!(last.field('S').as_deref(), Some("FATAL"), "{}", print(&told));
        assert_eq!(last.field('C').as_deref(), Some("54000"), "{}", print(&told));
        assert_eq!(last.field('D').as_deref(), Some("code: upstream.too_large"), "{}", print(&told));
        assert!(mallory.message().unwrap().is_none());
    }
    let most = memory(scene.gateway.pid(), "VmHWM:");
    assert!(most < before + 8 * HELD, "{before} KiB before, {most} KiB at most");
    // And nobody else's.
    assert_eq!(wire::tags(&mallory.query("select 1").unwrap()), "TDCZ");
}

fn value(told: &[Message]) -> Vec<u8> {
    let row = told.iter().find(|message| message.tag == 'D');
    values(row.unwrap_or_else(|| panic!("{}", print(told)))).remove(0).unwrap()
}

fn read(client: &mut Client, format: u8, text: &str) -> Vec<Message> {
    let batch =
        [wire::parse("", text), wire::bind_format("", "", &[], format), wire::execute("", 0), wire::sync()];
    client.send(&batch.concat()).unwrap();
    client.until_ready().unwrap()
}
