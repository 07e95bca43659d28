//! A34: values of other types than text, in text and in binary format.

use gatewright_e2e::{
    policies,
    wire::{self, Message},
};

use super::super::{Sides, Who, print};

/// A type and a value of it. None is short enough to be found in an answer by chance.
const VALUES: &[(&str, &str)] = &[
    ("numeric", "4111111111111111"),
    ("int", "1234567891"),
    ("bigint", "123456789123456789"),
    ("float8", "12345.678912345"),
    ("float4", "12345.68"),
    ("money", "76543.21"),
    ("text", "text-of-a-secret"),
    ("varchar(40)", "varchar-of-a-secret"),
    ("char(20)", "char-of-a-secret"),
    ("name", "name_of_a_secret"),
    ("bytea", "\\x0123456789abcdef"),
    ("date", "1987-06-05"),
    ("time", "12:34:56.789"),
    ("timetz", "12:34:56.789+03"),
    ("timestamp", "1987-06-05 12:34:56.789"),
    ("timestamptz", "1987-06-05 12:34:56.789+00"),
    ("interval", "12 days 12:34:56.789"),
    ("uuid", "5b8a0f8e-7a2c-4a53-9c0e-1f2d3c4b5a69"),
    ("json", "{\"told\": \"json\"}"),
    ("jsonb", "{\"told\": \"jsonb\"}"),
    ("jsonpath", "$.\"told\".\"path\""),
    ("xml", "<told>xml</told>"),
    ("inet", "198.51.100.77"),
    ("cidr", "198.51.100.0/24"),
    ("macaddr", "08:00:2b:01:02:03"),
    ("macaddr8", "08:00:2b:01:02:03:04:05"),
    ("bit(40)", "1010110011110000101010101111000011001100"),
    ("varbit", "1010110011110000101010101111000011001100"),
    ("point", "(123.25,456.75)"),
    ("box", "(123.25,456.75),(1.5,2.5)"),
    ("polygon", "((1.25,2.25),(3.25,4.25))"),
    ("circle", "<(123.25,456.75),3.5>"),
    ("int4range", "[123456,654321)"),
    ("numrange", "[1234.56,6543.21)"),
    ("int4multirange", "{[123456,654321)}"),
    ("tsvector", "'secret' 'word'"),
    ("tsquery", "'secret' & 'word'"),
    ("pg_lsn", "16/B374D848"),
    ("text[]", "{first-secret,second-secret}"),
    ("int[]", "{1234567891,1987654321}"),
    ("uuid[]", "{5b8a0f8e-7a2c-4a53-9c0e-1f2d3c4b5a69}"),
    ("jsonb[]", "{\"{\\\"told\\\": \\\"array\\\"}\"}"),
    ("lab.mood", "secretive"),
    ("lab.pair", "(1234567891,pair-of-a-secret)"),
    ("lab.short", "domain-of-a-secret"),
];

const METHODS: [&str; 3] = ["\"redact\"", "\"hash\"", "{ partial = 2 }"];

#[test]
fn a034_no_type_shows_its_value_in_either_format() {
    let columns: Vec<String> = (0..VALUES.len()).map(|place| format!("c{place}")).collect();
    for method in METHODS {
        let rules: Vec<String> = columns
            .iter()
            .map(|column| {
                format!("{{ relation = \"lab.vault\", column = \"{column}\", method = {method} }}")
            })
            .collect();
        let settings = format!("exempt_groups = [\"privacy\"]\ncolumns = [{}]", rules.join(", "));
        let masks = policies::document("masks", "mask_columns", &settings).unwrap();
        let sides = Sides::with(&masks, &[], "", &definitions());
        let list = columns.join(", ");
        for text in [
            format!("select {list} from lab.vault"),
            format!("select {list} from lab.vault union all select {list} from lab.vault"),
            format!("with q as (select * from lab.vault) select {list} from q"),
        ] {
            for (format, described) in [(0, true), (0, false), (1, true), (1, false)] {
                let shown = fields(&answer(&sides, Who::Exempt, &text, format, described));
                let told = answer(&sides, Who::Masked, &text, format, described);
                let masked = fields(&told);
                assert_eq!(shown.len(), masked.len(), "{method} {text}: {}", print(&told));
                for (place, (value, mask)) in shown.iter().zip(&masked).enumerate() {
                    let kind = VALUES[place % VALUES.len()].0;
                    let value = value.as_ref().unwrap();
                    assert!(value.len() >= 4, "{kind}: {value:?}");
                    assert_ne!(mask.as_ref(), Some(value), "{method} {kind} in format {format}: {text}");
                    let holds = |message: &Message| {
                        message.body.windows(value.len()).any(|part| part == &value[..])
                    };
                    assert!(
                        !told.iter().any(holds),
                        "{method} {kind} in format {format}: {text}: {}",
                        print(&told)
                    );
                }
            }
        }
    }
}

fn definitions() -> String {
    let columns: Vec<String> =
        VALUES.iter().enumerate().map(|(place, (kind, _))| format!("c{place} {kind}")).collect();
    let values: Vec<String> =
        VALUES.iter().map(|(_, value)| format!("'{}'", value.replace('\'', "''"))).collect();
    format!(
        "create type lab.mood as enum ('secretive'); create type lab.pair as (a int, b text); create domain lab.short as text; \
         create table lab.vault (id int, {}); insert into lab.vault values (1, {})",
        columns.join(", "),
        values.join(", "),
    )
}

fn answer(sides: &Sides, who: Who, text: &str, format: u8, described: bool) -> Vec<Message> {
    let mut client = sides.session(who);
    let described = if described { wire::describe('P', "") } else { Vec::new() };
    let parts = [
        wire::parse("", text),
        wire::bind_format("", "", &[], format),
        described,
        wire::execute("", 0),
        wire::sync(),
    ];
    client.send(&parts.concat()).unwrap();
    client.until_ready().unwrap()
}

/// The values of all rows, as they came.
fn fields(messages: &[Message]) -> Vec<Option<Vec<u8>>> {
    let mut fields = Vec::new();
    for row in messages.iter().filter(|message| message.tag == 'D') {
        let mut rest = &row.body[2..];
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(i32::from_be_bytes(*length)).ok();
            let (value, next) = tail.split_at(length.unwrap_or_default());
            fields.push(length.map(|_| value.to_vec()));
            rest = next;
        }
    }
    fields
}
