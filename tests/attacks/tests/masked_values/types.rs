//! A34: every type that the server has, in every format in which its values are sent.
//!
//! Which types there are is asked of the server. A type without a value in the table below fails the test, so that none is left out unseen.

use std::{cell::RefCell, collections::BTreeMap};

use gatewright_e2e::{
    Postgres,
    wire::{self, Client, Message},
};

use super::super::{NEEDLE, Needles, define, exempt, masked, masks, print, scene, take_values, values};

/// Values of the types that are made of no others, as expressions. None of them is short where its type has longer ones.
const VALUES: &[(&str, &str)] = &[
    ("pg_catalog.char", "'s'"),
    ("pg_catalog.aclitem", "'app=arwdDxt/postgres'"),
    ("pg_catalog.bit", "'1010110011110000101010101111000011001100'"),
    ("pg_catalog.bool", "'true'"),
    ("pg_catalog.box", "'(8123.25,8456.75),(1.5,2.5)'"),
    ("pg_catalog.bpchar", "'secret of type bpchar'"),
    ("pg_catalog.bytea", "'secret of type bytea'"),
    ("pg_catalog.cid", "'3123456781'"),
    ("pg_catalog.cidr", "'198.51.100.0/24'"),
    ("pg_catalog.circle", "'<(8123.25,8456.75),3.5>'"),
    ("pg_catalog.date", "'1987-06-05'"),
    ("pg_catalog.float4", "'81234.57'"),
    ("pg_catalog.float8", "'81234.5678912345'"),
    ("pg_catalog.inet", "'198.51.100.77'"),
    ("pg_catalog.int2", "'31234'"),
    ("pg_catalog.int2vector", "'31234 31235 31236'"),
    ("pg_catalog.int4", "'1987654321'"),
    ("pg_catalog.int8", "'8123456789123456789'"),
    ("pg_catalog.interval", "'77 days 12:34:56.789'"),
    ("pg_catalog.json", "'{\"secret\": \"of type json\"}'"),
    ("pg_catalog.jsonb", "'{\"secret\": \"of type jsonb\"}'"),
    ("pg_catalog.jsonpath", "'$.\"secret\".\"of type jsonpath\"'"),
    ("pg_catalog.line", "'{8123.25,-1,8456.75}'"),
    ("pg_catalog.lseg", "'[(8123.25,8456.75),(1.5,2.5)]'"),
    ("pg_catalog.macaddr", "'08:00:2b:01:02:03'"),
    ("pg_catalog.macaddr8", "'08:00:2b:01:02:03:04:05'"),
    ("pg_catalog.money", "'8765432.19'"),
    ("pg_catalog.name", "'secret of type name'"),
    ("pg_catalog.numeric", "'8123456789.123456789'"),
    ("pg_catalog.oid", "'3123456782'"),
    ("pg_catalog.oidvector", "'3123456783 3123456784'"),
    ("pg_catalog.path", "'((8123.25,8456.75),(1.5,2.5),(3.5,4.5))'"),
    ("pg_catalog.pg_dependencies", "(select dependencies from lab.stash)"),
    ("pg_catalog.pg_lsn", "'16/B374D848'"),
    ("pg_catalog.pg_mcv_list", "(select list from lab.stash)"),
    ("pg_catalog.pg_ndistinct", "(select distinct_numbers from lab.stash)"),
    ("pg_catalog.pg_node_tree", "(select tree from lab.stash)"),
    ("pg_catalog.pg_snapshot", "'812345:912345:812346,812347'"),
    ("pg_catalog.point", "'(8123.25,8456.75)'"),
    ("pg_catalog.polygon", "'((8123.25,8456.75),(1.5,2.5),(3.5,4.5))'"),
    ("pg_catalog.refcursor", "'secret of type refcursor'"),
    ("pg_catalog.regclass", "'lab.secret_relation'"),
    ("pg_catalog.regcollation", "'lab.secret_collation'"),
    ("pg_catalog.regconfig", "'lab.secret_configuration'"),
    ("pg_catalog.regdictionary", "'lab.secret_dictionary'"),
    ("pg_catalog.regnamespace", "'secret_namespace'"),
    ("pg_catalog.regoper", "'lab.#@#@#@#@#'"),
    ("pg_catalog.regoperator", "'lab.#@#@#@#@#(pg_catalog.int4,pg_catalog.int4)'"),
    ("pg_catalog.regproc", "'lab.secret_function'"),
    ("pg_catalog.regprocedure", "'lab.secret_function(pg_catalog.int4,pg_catalog.int4)'"),
    ("pg_catalog.regrole", "'secret_role'"),
    ("pg_catalog.regtype", "'lab.secret_type'"),
    ("pg_catalog.text", "'secret of type text'"),
    ("pg_catalog.tid", "'(812345,77)'"),
    ("pg_catalog.time", "'12:34:56.789'"),
    ("pg_catalog.timestamp", "'1987-06-05 12:34:56.789'"),
    ("pg_catalog.timestamptz", "'1987-06-05 12:34:56.789+00'"),
    ("pg_catalog.timetz", "'12:34:56.789+03'"),
    ("pg_catalog.tsquery", "'''secret'' & ''query'''"),
    ("pg_catalog.tsvector", "'''secret'' ''vector'''"),
    ("pg_catalog.txid_snapshot", "'812345:912345:812346,812347'"),
    ("pg_catalog.uuid", "'5b8a0f8e-7a2c-4a53-9c0e-1f2d3c4b5a69'"),
    ("pg_catalog.varbit", "'1010110011110000101010101111000011001111'"),
    ("pg_catalog.varchar", "'secret of type varchar'"),
    ("pg_catalog.xid", "'3123456785'"),
    ("pg_catalog.xid8", "'8123456789123456788'"),
    ("pg_catalog.xml", "'<secret>of type xml</secret>'"),
    // Arrays whose element looks like an array itself, which `array[...]` would join.
    ("pg_catalog._int2vector", "'{31234 31235 31236}'"),
    ("pg_catalog._oidvector", "'{3123456783 3123456784}'"),
    // Domains that take few values of their type.
    ("information_schema.yes_or_no", "'YES'"),
    ("lab.secret_type", "'secret label'"),
];

/// Types of which the server takes no value that somebody writes, and which no column of its catalogs has: they exist inside of indexes only.
const WITHOUT_VALUES: &[&str] = &[
    "pg_catalog.gtsvector",
    "pg_catalog.pg_brin_bloom_summary",
    "pg_catalog.pg_brin_minmax_multi_summary",
];

/// Types whose masks are texts, by every method (`protocols/postgres/src/mask/form.rs`).
const WITH_FORM: &[&str] = &[
    "pg_catalog.text",
    "pg_catalog.varchar",
    "pg_catalog.bpchar",
    "pg_catalog.name",
    "pg_catalog.bytea",
    "pg_catalog._text",
    "lab.over_text",
];

/// What some values above are names of, and what no statement can write.
const DEFINITIONS: &str = "
create table lab.secret_relation (a int default 8123456, b int);
insert into lab.secret_relation select n % 7, n % 7 from generate_series(1, 1000) n;
create statistics lab.of_both on a, b from lab.secret_relation;
analyze lab.secret_relation;
create table lab.stash as
    select adbin as tree, stxdndistinct as distinct_numbers, stxddependencies as dependencies, stxdmcv as list
    from pg_attrdef, pg_statistic_ext_data where adrelid = 'lab.secret_relation'::regclass;
alter table lab.stash owner to app;
create role secret_role; create schema secret_namespace;
create collation lab.secret_collation from \"C\";
create text search dictionary lab.secret_dictionary (template = simple);
create text search configuration lab.secret_configuration (copy = simple);
create function lab.secret_function(int, int) returns int language sql as 'select 1';
create operator lab.#@#@#@#@# (leftarg = int, rightarg = int, function = lab.secret_function);
create type lab.secret_type as enum ('secret label');
create type lab.composite as (a int, b text);
create domain lab.over_text as text; create domain lab.over_number as numeric; create domain lab.over_enum as lab.secret_type;
create domain lab.over_array as text[]; create domain lab.over_composite as lab.composite;
create type lab.spanning as range (subtype = text)";

const METHODS: [(&str, &str); 3] =
    [("redact", "\"redact\""), ("hash", "\"hash\""), ("partial", "{ partial = 2 }")];

/// How many types one table has: its row has to fit into a page.
const IN_ONE_TABLE: usize = 80;

/// What the server says of a type.
struct Type {
    name: String,
    kind: String,
    /// What it is made of: the element of an array, the type of a domain, the bounds of a range, the range of a multirange, the columns of a row.
    parts: Vec<String>,
    /// Has it a binary format?
    binary: bool,
}

/// A value that is read by one way and in one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Query,
    /// A binary cursor, whose rows are binary in the simple protocol.
    Cursor,
    Text,
    Binary,
    CopyText,
    CopyCsv,
    CopyBinary,
}

impl Way {
    const ALL: [Self; 7] = [
        Self::Query,
        Self::Cursor,
        Self::Text,
        Self::Binary,
        Self::CopyText,
        Self::CopyCsv,
        Self::CopyBinary,
    ];

    fn is_binary(self) -> bool {
        matches!(self, Self::Cursor | Self::Binary | Self::CopyBinary)
    }
}

#[test]
fn a034_every_builtin_type_is_masked_in_text_and_binary() {
    let tables = RefCell::new(Vec::new());
    let scene = scene(|postgres| {
        postgres.sql("postgres", DEFINITIONS).unwrap();
        let kinds = Kinds::of(postgres);
        kinds.refused_by(postgres);
        let values = kinds.values();
        assert!(values.len() > 500, "{}", values.len());
        let mut rules = Vec::new();
        // What has no binary format goes into tables of its own.
        let (binary, text): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|(kind, _)| kinds.is_binary(kind));
        assert!(!text.is_empty());
        let chunks = binary.chunks(IN_ONE_TABLE).map(|chunk| (true, chunk));
        for (number, (is_binary, chunk)) in chunks.chain([(false, text.as_slice())]).enumerate() {
            for (method, rule) in METHODS {
                let table = format!("lab.{method}_{number}");
                define(postgres, &definition(&table, chunk));
                rules.extend((0..chunk.len()).map(|place| (table.clone(), format!("c{place}"), rule)));
            }
            let names = chunk.iter().map(|(kind, _)| kind.clone()).collect();
            tables.borrow_mut().push((number, is_binary, names));
        }
        masks(&rules)
    });
    let tables: Vec<(usize, bool, Vec<String>)> = tables.into_inner();
    let (mut carol, mut mallory) = (exempt(&scene), masked(&scene));
    let mut needles = Vec::new();
    let mut told = Vec::new();
    let mut found = Vec::new();
    for (number, is_binary, kinds) in &tables {
        for way in Way::ALL.into_iter().filter(|way| *is_binary || !way.is_binary()) {
            for (method, _) in METHODS {
                let table = format!("lab.{method}_{number}");
                let (shown, _) = row(&mut carol, way, &table);
                let (hidden, messages) = row(&mut mallory, way, &table);
                assert_eq!((shown.len(), hidden.len()), (kinds.len(), kinds.len()), "{table} {way:?}");
                for ((kind, shown), hidden) in kinds.iter().zip(shown).zip(hidden) {
                    // A type that has a form for a mask shows one: the answer was masked, and not left empty.
                    assert!(
                        hidden.is_some() || !WITH_FORM.contains(&kind.as_str()),
                        "{kind} {table} {way:?}"
                    );
                    let shown = shown.unwrap_or_else(|| panic!("{kind} has no value, {way:?}"));
                    if hidden.is_some_and(|hidden| hidden == shown || has(&hidden, &shown)) {
                        found.push(format!("{kind} by {method}, {way:?}: {}", shown.escape_ascii()));
                    }
                    if shown.len() >= NEEDLE {
                        needles.push(shown);
                    }
                }
                told.push((table, way, messages));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    // Nor is any of them anywhere else in what was said, be it as the element of an array.
    let needles = Needles::new(needles);
    for (table, way, messages) in &told {
        for message in messages {
            let leak = needles.find_in(&message.body).map(<[u8]>::escape_ascii);
            assert!(
                leak.is_none(),
                "{table} {way:?}: {} in {}",
                leak.unwrap(),
                print(std::slice::from_ref(message))
            );
        }
    }
}

struct Kinds(BTreeMap<String, Type>);

impl Kinds {
    /// All types of the server and of `lab` that are no pseudo-types.
    fn of(postgres: &Postgres) -> Self {
        let name = |oid: &str| {
            format!(
                "(select n.nspname || '.' || o.typname from pg_type o join pg_namespace n on n.oid = o.typnamespace where o.oid = {oid})"
            )
        };
        let ask = format!(
            "select {own}, t.typtype, t.typsend <> 0,
                case when e.oid is not null then {element}
                     when t.typtype = 'd' then {base}
                     when t.typtype = 'r' then (select {subtype} from pg_range r where r.rngtypid = t.oid)
                     when t.typtype = 'm' then (select {range} from pg_range r where r.rngmultitypid = t.oid)
                     when t.typtype = 'c' then (select string_agg({column}, ' ' order by attnum) from pg_attribute a
                                                where a.attrelid = t.typrelid and attnum > 0 and not attisdropped)
                end, e.oid is not null
             from pg_type t left join pg_type e on e.typarray = t.oid
             where t.typtype <> 'p' and t.typnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'lab'::regnamespace)",
            own = name("t.oid"),
            element = name("e.oid"),
            base = name("t.typbasetype"),
            subtype = name("r.rngsubtype"),
            range = name("r.rngtypid"),
            column = name("a.atttypid"),
        );
        let types = postgres.sql("postgres", &ask).unwrap();
        let types = types.lines().map(|line| {
            let [name, kind, binary, parts, array] = line.split('|').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let kind = if array == "t" { "array" } else { kind };
            let parts = parts.split_whitespace().map(str::to_owned).collect();
            (
                name.to_owned(),
                Type { name: name.to_owned(), kind: kind.to_owned(), parts, binary: binary == "t" },
            )
        });
        Self(types.collect())
    }

    /// Each type that can be a column's, with a value.
    fn values(&self) -> Vec<(String, String)> {
        let all = self.0.values().filter(|kind| self.is_for_columns(kind) && !is_without_values(kind));
        all.map(|kind| (kind.name.clone(), self.value(kind))).collect()
    }

    /// Is nothing of it a pseudo-type, like the `anyarray` in the row type of `pg_statistic`?
    fn is_for_columns(&self, kind: &Type) -> bool {
        kind.parts.iter().all(|part| self.0.get(part).is_some_and(|part| self.is_for_columns(part)))
    }

    /// An expression that gives a value. Of what is made of others it is made of theirs.
    fn value(&self, kind: &Type) -> String {
        let name = quoted(&kind.name);
        if let Some((_, value)) = VALUES.iter().find(|(own, _)| *own == kind.name) {
            return format!("{value}::{name}");
        }
        let part = |part: &String| match self.0.get(part) {
            Some(kind) => self.value(kind),
            None => panic!("{name} is made of {part}, which is no type"),
        };
        match kind.kind.as_str() {
            "array" => format!("array[{}]::{name}", part(&kind.parts[0])),
            "d" => format!("{}::{name}", part(&kind.parts[0])),
            "r" => format!("{name}({}, null)", part(&kind.parts[0])),
            "m" => format!("{name}({})", part(&kind.parts[0])),
            "c" => {
                // What has no binary format would leave the whole row without one.
                let known = |own: &String| self.is_binary(own) && !WITHOUT_VALUES.contains(&own.as_str());
                let columns =
                    kind.parts.iter().map(|own| if known(own) { part(own) } else { "null".to_owned() });
                format!("row({})::{name}", columns.collect::<Vec<_>>().join(", "))
            }
            _ => panic!("no value is known of the type {name}: write one into the table"),
        }
    }

    fn is_binary(&self, name: &str) -> bool {
        let Some(kind) = self.0.get(name) else { return false };
        kind.binary && (kind.kind == "c" || kind.parts.iter().all(|part| self.is_binary(part)))
    }

    /// What was left out is what the server leaves nobody in with.
    fn refused_by(&self, postgres: &Postgres) {
        let mut client = Client::at_server(postgres).unwrap();
        for kind in self.0.values() {
            let name = quoted(&kind.name);
            if !self.is_for_columns(kind) {
                let answer = client.query(&format!("create table lab.never (c {name})")).unwrap();
                assert_eq!(wire::states(&answer), ["42P16"], "{name}");
            }
            if is_without_values(kind) {
                let literal = if kind.kind == "array" { "{x}" } else { "x" };
                let answer = client.query(&format!("select '{literal}'::{name}")).unwrap();
                assert_eq!(wire::states(&answer), ["0A000"], "{name}");
            }
        }
    }
}

/// Is it a type of which nobody can write a value, or an array of one?
fn is_without_values(kind: &Type) -> bool {
    let is = |name: &String| WITHOUT_VALUES.contains(&name.as_str());
    is(&kind.name) || kind.kind == "array" && is(&kind.parts[0])
}

/// The name as SQL has it, where many of these names are words with a meaning of their own.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('.', "\".\""))
}

fn definition(table: &str, kinds: &[(String, String)]) -> String {
    let columns: Vec<String> =
        kinds.iter().enumerate().map(|(place, (kind, _))| format!("c{place} {}", quoted(kind))).collect();
    let values: Vec<&str> = kinds.iter().map(|(_, value)| value.as_str()).collect();
    format!(
        "create table {table} ({}); insert into {table} select {}",
        columns.join(", "),
        values.join(", ")
    )
}

/// The values of a table's only row, and all that was said about it.
fn row(client: &mut Client, way: Way, table: &str) -> (Vec<Option<Vec<u8>>>, Vec<Message>) {
    let extended = |format| {
        let parse = wire::parse("", &format!("select * from {table}"));
        [
            parse,
            wire::bind_format("", "", &[], format),
            wire::describe('P', ""),
            wire::execute("", 0),
            wire::sync(),
        ]
        .concat()
    };
    let mut said = Vec::new();
    let requests = match way {
        Way::Query => vec![wire::query(&format!("select * from {table}"))],
        Way::Cursor => {
            let declare = format!("declare c binary cursor for select * from {table}");
            ["begin", &declare, "fetch all from c", "commit"].map(wire::query).to_vec()
        }
        Way::Text => vec![extended(0)],
        Way::Binary => vec![extended(1)],
        Way::CopyText => vec![wire::query(&format!("copy {table} to stdout"))],
        Way::CopyCsv => vec![wire::query(&format!("copy {table} to stdout (format csv)"))],
        Way::CopyBinary => vec![wire::query(&format!("copy {table} to stdout (format binary)"))],
    };
    for request in requests {
        client.send(&request).unwrap();
        said.extend(client.until_ready().unwrap());
    }
    assert!(wire::states(&said).is_empty(), "{table} {way:?}: {}", print(&said));
    let data: Vec<u8> =
        said.iter().filter(|message| message.tag == 'd').flat_map(|message| message.body.clone()).collect();
    let row = match way {
        Way::CopyText => text_fields(&data),
        Way::CopyCsv => csv_fields(&data),
        // A signature, flags and the length of an extension that there is not.
        Way::CopyBinary => take_values(&data[19..]).0,
        _ => values(said.iter().find(|message| message.tag == 'D').unwrap()),
    };
    (row, said)
}

/// One row of COPY in text format, with what is escaped as it is.
fn text_fields(data: &[u8]) -> Vec<Option<Vec<u8>>> {
    let row = data.strip_suffix(b"\n").unwrap();
    row.split(|byte| *byte == b'\t').map(|field| (field != b"\\N").then(|| field.to_vec())).collect()
}

/// One row of COPY in CSV. What is quoted is given without quotes, and is no null.
fn csv_fields(data: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut fields = vec![None];
    let mut quoted = false;
    for byte in data.strip_suffix(b"\n").unwrap() {
        let field = fields.last_mut().unwrap();
        match byte {
            b',' if !quoted => fields.push(None),
            b'"' => {
                quoted = !quoted;
                field.get_or_insert_with(Vec::new);
            }
            byte => field.get_or_insert_with(Vec::new).push(*byte),
        }
    }
    fields
}

/// Is all of it in there? What is short is there by chance.
fn has(bytes: &[u8], value: &[u8]) -> bool {
    value.len() >= NEEDLE && bytes.windows(value.len()).any(|part| part == value)
}
