//! A31: places at which the server quotes a value in an error or a notice.
//!
//! What is refused before it runs tells nothing. So each of these is sent in a form that runs as well, where there is one: with a masked value by which
//! rows are chosen, or which a constraint is about. Then the code of the error is the server's, and none of its words are.

use gatewright_e2e::{
    Scene, policies,
    wire::{self, Client, Message},
};

use super::super::{define, exempt, masked, masks, print, scene};

/// What becomes of a statement for whom values are masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// It runs, and fails with the server's code.
    Told,
    /// It does not reach the server.
    Refused,
}

use Becomes::{Refused, Told};

/// The secret: the `ssn` of the first of `people`.
const WHOLE: &str = "536-22-8726";

/// Expressions that quote the secret when they are computed: the code of the error, what is quoted, and what becomes of a condition with it. As a
/// column of the answer, each is refused.
const QUOTED: &[(&str, &str, &str, Becomes)] = &[
    // Read as a value of another type.
    ("ssn::smallint", "22P02", WHOLE, Told),
    ("ssn::int", "22P02", WHOLE, Told),
    ("ssn::bigint", "22P02", WHOLE, Told),
    ("replace(ssn, '-', '')::smallint", "22003", "536228726", Told),
    ("ssn::oid", "22P02", WHOLE, Told),
    ("ssn::numeric", "22P02", WHOLE, Told),
    ("ssn::float4", "22P02", WHOLE, Told),
    ("ssn::float8", "22P02", WHOLE, Told),
    ("(ssn || 'e999')::float8", "22P02", WHOLE, Told),
    ("ssn::money", "22P02", WHOLE, Told),
    ("ssn::bool", "22P02", WHOLE, Told),
    ("ssn::date", "22008", WHOLE, Told),
    ("ssn::time", "22009", WHOLE, Told),
    ("ssn::timetz", "22009", WHOLE, Told),
    ("ssn::timestamp", "22008", WHOLE, Told),
    ("ssn::timestamptz", "22008", WHOLE, Told),
    ("ssn::interval", "22015", WHOLE, Told),
    ("ssn::uuid", "22P02", WHOLE, Told),
    ("ssn::inet", "22P02", WHOLE, Told),
    ("ssn::cidr", "22P02", WHOLE, Told),
    ("ssn::macaddr", "22P02", WHOLE, Told),
    ("ssn::macaddr8", "22P02", WHOLE, Told),
    ("ssn::json", "22P02", "536-", Told),
    ("ssn::jsonb", "22P02", "536-", Told),
    ("('<' || ssn)::xml", "2200N", WHOLE, Told),
    ("xmlparse(document ssn)", "2200M", WHOLE, Told),
    ("ssn::point", "22P02", WHOLE, Told),
    ("ssn::line", "22P02", WHOLE, Told),
    ("ssn::lseg", "22P02", WHOLE, Told),
    ("ssn::box", "22P02", WHOLE, Told),
    ("ssn::path", "22P02", WHOLE, Told),
    ("ssn::polygon", "22P02", WHOLE, Told),
    ("ssn::circle", "22P02", WHOLE, Told),
    ("ssn::varbit", "22P02", "\"5\"", Told),
    ("('\\x' || ssn)::bytea", "22023", "\"-\"", Told),
    ("ssn::int[]", "22P02", WHOLE, Told),
    ("ssn::orders", "22P02", WHOLE, Refused),
    ("ssn::int4range", "22P02", WHOLE, Told),
    ("ssn::nummultirange", "22P02", WHOLE, Told),
    ("('& ' || ssn)::tsquery", "42601", WHOLE, Told),
    ("ssn::pg_lsn", "22P02", WHOLE, Told),
    ("ssn::pg_snapshot", "22P02", WHOLE, Told),
    ("ssn::tid", "22P02", WHOLE, Told),
    ("ssn::regclass", "42P01", WHOLE, Told),
    ("ssn::regproc", "42883", WHOLE, Told),
    ("ssn::regoper", "42883", WHOLE, Told),
    ("ssn::regtype", "42601", WHOLE, Told),
    ("ssn::regrole", "42704", WHOLE, Told),
    ("ssn::regnamespace", "3F000", WHOLE, Told),
    ("ssn::regcollation", "42704", WHOLE, Told),
    ("ssn::regconfig", "42704", WHOLE, Told),
    ("ssn::regdictionary", "42704", WHOLE, Told),
    ("ssn::lab.mood", "22P02", WHOLE, Refused),
    ("ssn::lab.number", "22P02", WHOLE, Refused),
    ("ssn::lab.checked", "P0001", WHOLE, Refused),
    ("('$.' || ssn)::jsonpath", "42601", "536\" of jsonpath", Told),
    ("('''' || ssn)::tsvector", "42601", WHOLE, Told),
    ("ssn::aclitem", "22P02", "\"536\"", Told),
    // Taken for the name of something, for an option, or for a number that there is not.
    ("now() at time zone ssn", "22023", WHOLE, Told),
    ("date_trunc(ssn, now())", "22023", WHOLE, Told),
    ("date_part(ssn, now())", "22023", WHOLE, Told),
    ("extract(epoch from now()) + date_part('x' || ssn, interval '1 day')", "22023", WHOLE, Told),
    ("set_config('timezone', ssn, false)", "22023", WHOLE, Refused),
    ("set_config('work_mem', ssn, false)", "22023", WHOLE, Refused),
    ("current_setting(ssn)", "42704", WHOLE, Told),
    ("encode('x', ssn)", "22023", WHOLE, Told),
    ("decode('', ssn)", "22023", WHOLE, Told),
    ("decode(ssn, 'hex')", "22023", "\"-\"", Told),
    ("decode(ssn, 'base64')", "22023", "\"-\"", Told),
    ("convert_from('x', ssn)", "22023", WHOLE, Told),
    ("nextval(ssn)", "42P01", WHOLE, Refused),
    ("has_table_privilege(ssn, 'select')", "42P01", WHOLE, Told),
    ("has_schema_privilege(ssn, 'usage')", "3F000", WHOLE, Told),
    ("pg_get_serial_sequence('people', ssn)", "42703", WHOLE, Told),
    ("pg_size_bytes(ssn)", "22023", WHOLE, Told),
    ("parse_ident(ssn)", "22023", WHOLE, Told),
    ("regexp_match('x', 'x', ssn)", "22023", "\"5\"", Told),
    ("ts_headline('x', 'x'::tsquery, ssn)", "42601", WHOLE, Told),
    ("to_date(ssn, 'Mon')", "22007", "536", Told),
    ("to_timestamp(ssn, 'YYYYMon')", "22007", "-8726", Told),
    ("make_date(split_part(ssn, '-', 1)::int, 22, split_part(ssn, '-', 3)::int)", "22008", WHOLE, Told),
    ("make_time(1, 1, split_part(ssn, '-', 1)::int)", "22008", "536", Told),
    ("get_byte('x', split_part(ssn, '-', 1)::int)", "2202E", "536", Told),
    ("set_masklen('10.0.0.1'::inet, split_part(ssn, '-', 1)::int)", "22023", "536", Told),
    ("setseed(split_part(ssn, '-', 1)::int)", "22023", "536", Refused),
    ("pg_xact_status(replace(ssn, '-', '')::xid8)", "22023", "536228726", Told),
    ("chr(split_part(ssn, '-', 1)::int * 10000)", "54000", "5360000", Told),
    ("setval('lab.counter', replace(ssn, '-', '')::bigint)", "22003", "536228726", Refused),
    ("lo_get(replace(ssn, '-', '')::oid)", "42704", "536228726", Refused),
    ("jsonb_set('[1]', array[ssn], '2')", "22P02", WHOLE, Told),
    ("jsonb_path_query_first('{}', ('strict $.\"' || ssn || '\"')::jsonpath)", "2203A", WHOLE, Told),
    ("jsonb_path_query_first(to_jsonb(ssn), 'strict $.datetime()')", "22031", WHOLE, Told),
    ("json_populate_record(null::orders, json_build_object('id', ssn))", "22P02", WHOLE, Refused),
    ("(select 1 from generate_series(1, ssn::int))", "22P02", WHOLE, Told),
    ("format('%s%' || reverse(ssn), 1)", "22023", "\"-\"", Told),
];

/// Statements of which the last one fails, and quotes a row that it has not been told.
const BROKEN: &[(&[&str], &str, Becomes)] = &[
    // A constraint: what is in the row that breaks it, and in the row that it gets into the way of.
    (&["update people set city = 'bad' where id = 1"], "23514", Told),
    (&["update people set city = null where id = 1"], "23502", Told),
    (&["update people set id = null where id = 1"], "23502", Told),
    (
        &[
            "insert into people values (1, 'n', 'e', 'c', 's', 'c') on conflict (id) do update set city = 'bad'",
        ],
        "23514",
        Told,
    ),
    (
        &[
            "merge into people p using (values (1)) v (i) on p.id = v.i when matched then update set city = 'bad'",
        ],
        "23514",
        Refused,
    ),
    (&["with u as (update people set city = 'bad' where id = 1 returning id) select 1"], "23514", Refused),
    (&["prepare p as update people set city = 'bad' where id = 1", "execute p"], "23514", Refused),
    (&["insert into people values (9, 'n', 'e', 'c', 'x', 'London')"], "23P01", Told),
    (
        &["insert into people select 9, name, email, card, ssn, city from people where id = 1"],
        "23505",
        Refused,
    ),
    (&["update people set ssn = q.ssn from people q where q.id = 1 and people.id = 2"], "23505", Refused),
    (&["update lab.late set n = 1"], "23505", Told),
    (&["begin", "set constraints all deferred", "update lab.late set n = 1", "commit"], "23505", Told),
    (
        &[
            "begin",
            "set constraints all deferred",
            "update lab.late set n = 1",
            "set constraints all immediate",
        ],
        "23505",
        Told,
    ),
    // Foreign keys, in both directions.
    (&["begin", "delete from orders", "delete from people where id = 1"], "23503", Told),
    (&["update lab.visits set city = 'nowhere' where id = 1"], "23503", Told),
    (&["update people set ssn = 'other' where id = 1"], "23503", Refused),
    (&["begin", "alter table lab.late add foreign key (ssn) references lab.nobody"], "23503", Refused),
    // Partitions: a row that belongs into none, and one that does not belong where it is.
    (&["update lab.split set region = 'z' where id = 1"], "23514", Told),
    (&["update lab.split_a set region = 'z' where id = 1"], "23514", Told),
    // A view with its own condition.
    (&["update lab.londoners set city = 'Bath' where id = 1"], "44000", Told),
    // What the server computes beside the statement: a generated column, an index, a check, a trigger.
    (&["update lab.computed set id = 11"], "22P02", Told),
    (&["update lab.indexed set id = 11"], "22P02", Told),
    (&["update lab.checked_by set id = 11"], "22P02", Told),
    (&["update people set city = 'trigger' where id = 1"], "P0001", Told),
    (&["update people set city = 'assert' where id = 1"], "P0004", Told),
    (&["refresh materialized view lab.numbers"], "22P02", Refused),
    // In a cursor, and behind a condition of another kind.
    (
        &["begin", "declare c cursor for select id from people where ssn::int = 1", "fetch 1 from c"],
        "22P02",
        Told,
    ),
    (
        &["begin", "declare c cursor for select id from people where ssn::int = 1", "move 1 in c"],
        "22P02",
        Told,
    ),
    (
        &["begin", "declare c cursor with hold for select id from people where ssn::int = 1", "commit"],
        "22P02",
        Told,
    ),
    (&["copy (select id from people where ssn::int = 1) to stdout"], "22P02", Told),
    (&["create temp table t as select id from people where ssn::int = 1"], "22P02", Refused),
    (&["select id from people order by ssn::int"], "22P02", Told),
    (&["select 1 from people p join orders o on o.id = p.ssn::int"], "22P02", Told),
    (&["select count(*) from people group by ssn::int"], "22P02", Told),
    (&["select city from people limit (select ssn::int from people where id = 1)"], "22P02", Told),
    // What is made of it, and definitions.
    (&["update people set city = city where id = 1 returning ssn::int"], "22P02", Refused),
    (&["insert into orders select 99, 1, 'x', ssn::int from people where id = 1"], "22P02", Refused),
    (&["create temp table t as select ssn::int from people"], "22P02", Refused),
    (&["create index on people ((ssn::int))"], "22P02", Refused),
    (&["alter table people add check (ssn::int > 0)"], "22P02", Refused),
    (&["alter table lab.checked_by alter ssn type int using ssn::int"], "22P02", Refused),
    (&["explain analyze select 1 from people where ssn::int = 1"], "22P02", Refused),
    // Somebody's code: in the words that it chooses.
    (&["do $$ begin raise exception '%', (select ssn from people where id = 1); end $$"], "P0001", Refused),
    (&["do $$ begin assert false, (select ssn from people where id = 1); end $$"], "P0004", Refused),
    (
        &["do $$ begin execute (select format('select %I', ssn) from people where id = 1); end $$"],
        "42703",
        Refused,
    ),
    (&["call lab.says('exception')"], "P0001", Told),
    (&["select lab.tells('exception')"], "P0001", Told),
    (&["select lab.tells('assert')"], "P0004", Told),
    (&["select lab.tells('name')"], "42703", Told),
    (&["select id from people where lab.tells('exception') = id"], "P0001", Told),
];

/// Statements that succeed, and are told with a notice.
const NOTICED: &[(&str, Becomes)] = &[
    ("do $$ begin raise notice '%', (select ssn from people where id = 1); end $$", Refused),
    ("do $$ begin raise warning '%', (select ssn from people where id = 1); end $$", Refused),
    ("do $$ begin raise info '%', (select ssn from people where id = 1); end $$", Refused),
    ("call lab.says('notice')", Told),
    ("call lab.says('warning')", Told),
    ("select lab.tells('notice')", Told),
    ("update people set city = 'notice' where id = 4", Told),
];

const DEFINITIONS: &str = "
create type lab.mood as enum ('glad'); create domain lab.number as int; create sequence lab.counter maxvalue 10;
create function lab.is_good(text) returns bool language plpgsql as $$ begin raise exception 'not good: %', $1; end $$;
create domain lab.checked as text check (lab.is_good(value));
create unique index on people (ssn); create unique index on people (ssn, city);
alter table people add check (city <> 'bad');
alter table people add exclude using gist (city with =, ssn with <>);
create view lab.londoners as select * from people where city = 'London' with check option;
create materialized view lab.numbers as select id from people where ssn::int = 1 with no data;
create table lab.badges (ssn text references people (ssn)); insert into lab.badges select ssn from people;
create table lab.visits (id int, ssn text, city text, foreign key (ssn, city) references people (ssn, city));
insert into lab.visits select id, ssn, city from people where id = 1;
create table lab.nobody (ssn text primary key);
create table lab.late (ssn text, n int, unique (ssn, n) deferrable);
insert into lab.late select ssn, n from people, generate_series(1, 2) n where id = 1;
create table lab.split (id int, region text, ssn text) partition by range (region, ssn);
create table lab.split_a partition of lab.split for values from ('a', minvalue) to ('b', minvalue);
insert into lab.split select id, 'a', ssn from people;
create table lab.computed (id int, ssn text, n int generated always as (case when id < 10 then 0 else ssn::int end) stored);
insert into lab.computed select id, ssn from people where id = 1;
create table lab.indexed (id int, ssn text); create index on lab.indexed ((case when id < 10 then 0 else ssn::int end));
insert into lab.indexed select id, ssn from people where id = 1;
create table lab.checked_by (id int, ssn text, check (id < 10 or ssn::int > 0));
insert into lab.checked_by select id, ssn from people where id = 1;
create function lab.tells(how text) returns int language plpgsql as $$
declare s text := (select ssn from public.people where id = 1);
begin
    case how
        when 'notice' then raise notice '%', s;
        when 'warning' then raise warning '%', s;
        when 'exception' then raise exception '%', s;
        when 'assert' then assert false, s;
        when 'name' then execute format('select %I', s);
        else null;
    end case;
    return 0;
end $$;
create procedure lab.says(how text) language plpgsql as $$ begin perform lab.tells(how); end $$;
create function lab.triggered() returns trigger language plpgsql as $$
begin perform lab.tells(case new.city when 'trigger' then 'exception' else new.city end); return new; end $$;
create trigger t before update on people for each row execute function lab.triggered()";

/// Columns that are masked beside those of `people`.
const MASKED: [&str; 7] =
    ["lab.badges", "lab.visits", "lab.late", "lab.split", "lab.computed", "lab.indexed", "lab.checked_by"];

#[test]
fn a031_an_error_that_quotes_a_value_keeps_its_code_and_no_word() {
    let scene = prepare();
    let (mut carol, mut mallory) = (exempt(&scene), masked(&scene));
    let mut wrong = Vec::new();
    for (expression, state, quoted, becomes) in QUOTED {
        let chosen = format!("select 1 from people where id = 1 and ({expression}) is null");
        let answered = format!("select {expression} from people where id = 1");
        for (text, becomes) in [(chosen, *becomes), (answered, Refused)] {
            let attack = Attack { exchange: &[&text], state, quoted, becomes };
            wrong.extend(attack.problems(&mut carol, &mut mallory));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a031_a_row_in_the_way_is_not_quoted() {
    let scene = prepare();
    let (mut carol, mut mallory) = (exempt(&scene), masked(&scene));
    let has_merge =
        scene.postgres.sql("postgres", "select current_setting('server_version_num')::int >= 150000");
    let has_merge = has_merge.unwrap() == "t";
    let mut wrong = Vec::new();
    for (exchange, state, becomes) in
        BROKEN.iter().filter(|attack| has_merge || !attack.0[0].starts_with("merge"))
    {
        let attack = Attack { exchange, state, quoted: WHOLE, becomes: *becomes };
        wrong.extend(attack.problems(&mut carol, &mut mallory));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a031_what_is_told_beside_an_answer_has_no_words() {
    let scene = prepare();
    let (mut carol, mut mallory) = (exempt(&scene), masked(&scene));
    for (text, becomes) in NOTICED {
        let text = format!("begin; {text}; rollback");
        let shown = carol.query(&text).unwrap();
        let notices = |told: &[Message]| told.iter().filter(|message| message.tag == 'N').count();
        let told = |message: &Message| {
            message.tag == 'N' && message.field('M').is_some_and(|said| said.contains(WHOLE))
        };
        assert!(shown.iter().any(told), "{text}: {}", print(&shown));
        let told = mallory.query(&text).unwrap();
        assert_eq!(leak(&told, WHOLE), None, "{text}: {}", print(&told));
        match becomes {
            Told => {
                assert!(notices(&told) > 0 && wire::states(&told).is_empty(), "{text}: {}", print(&told))
            }
            Refused => assert_eq!(wire::states(&told), ["42501"], "{text}: {}", print(&told)),
        }
    }
}

/// A line that does not fit is quoted whole, and so is the row that it finds in its way.
#[test]
fn a031_a_line_of_copy_is_not_quoted() {
    let scene = prepare();
    let (mut carol, mut mallory) = (exempt(&scene), masked(&scene));
    for (line, state) in [
        ("9\tn\te\tc\tx\tLondon\n", "23P01"),
        ("9\tn\te\tc\t536-22-8726\tx\n", "23505"),
        ("9\tn\te\tc\t536-22-8726\n", "22P04"),
        ("9\tn\te\tc\t536-22-8726\tbad\n", "23514"),
    ] {
        let copy = |client: &mut Client| {
            client.send(&wire::query("copy people from stdin")).unwrap();
            client.expect('G').unwrap();
            client.send(&[wire::message('d', line.as_bytes()), wire::message('c', b"")].concat()).unwrap();
            client.until_ready().unwrap()
        };
        let shown = copy(&mut carol);
        assert!(
            leak(&shown, WHOLE).is_some() && wire::states(&shown) == [state],
            "{line}: {}",
            print(&shown)
        );
        let told = copy(&mut mallory);
        assert_eq!(leak(&told, WHOLE), None, "{line}: {}", print(&told));
        assert_eq!(wire::states(&told), [state], "{line}: {}", print(&told));
        assert!(is_without_words(&told), "{line}: {}", print(&told));
    }
}

/// Whether a statement fails is a bit. As an answer it is refused whatever the value is; as a condition it is a guess, of which a policy may allow none.
#[test]
fn a031_a_division_by_zero_tells_no_bit() {
    let scene =
        scene(|_| masks(&[("public.people".to_owned(), "ssn".to_owned(), "\"hash\", conditions = 0")]));
    let (mut carol, mut mallory) = (exempt(&scene), masked(&scene));
    for (before, behind) in [
        ("select 1 / (ssn like '", "%')::int from people where id = 1"),
        ("select 1 / (ascii(ssn) - ascii('", "')) from people where id = 1"),
        ("select case when ssn like '", "%' then 1 / (id - 1) else 1 end from people where id = 1"),
        ("select id from people where id = 1 and 1 / (ssn like '", "%')::int = 1"),
        (
            "select id from people where id = 1 and case when ssn like '",
            "%' then 1 / (id - 1) else 1 end = 1",
        ),
        ("select id from people where id = 1 order by 1 / (ssn like '", "%')::int"),
        ("select count(*) from people where id = 1 having 1 / (min(ssn) like '", "%')::int = 1"),
    ] {
        let guesses = ["5", "4"].map(|guess| format!("{before}{guess}{behind}"));
        let told = |client: &mut Client| guesses.each_ref().map(|text| client.query(text).unwrap());
        let [right, wrong] = told(&mut carol).map(|told| wire::states(&told));
        assert!(right != wrong && [right, wrong].concat() == ["22012"], "{guesses:?}");
        let [right, wrong] = told(&mut mallory);
        assert_eq!(right, wrong, "{guesses:?}");
        assert_eq!(wire::states(&right), ["42501"], "{guesses:?}: {}", print(&right));
    }
}

fn prepare() -> Scene {
    scene(|postgres| {
        postgres.sql("postgres", "create extension btree_gist").unwrap();
        define(postgres, DEFINITIONS);
        let more: Vec<_> =
            MASKED.iter().map(|table| ((*table).to_owned(), "ssn".to_owned(), "\"redact\"")).collect();
        let mut documents = vec![policies::masks().unwrap()];
        documents.extend(masks(&more));
        documents
    })
}

struct Attack<'a> {
    exchange: &'a [&'a str],
    state: &'a str,
    quoted: &'a str,
    becomes: Becomes,
}

impl Attack<'_> {
    /// What is not as it should be, of the one for whom nothing is masked as well as of the other, in both protocols.
    fn problems(&self, carol: &mut Client, mallory: &mut Client) -> Vec<String> {
        let mut problems = Vec::new();
        let shown = told(carol, false, self.exchange);
        let quotes = shown.iter().any(|message| message.tag == 'E' && contains(message, self.quoted));
        if wire::states(&shown) != [self.state] || !quotes {
            problems.push(format!("{:?} without masks: {}", self.exchange, print(&shown)));
        }
        for extended in [false, true] {
            let told = told(mallory, extended, self.exchange);
            let states = wire::states(&told);
            let is_right = match self.becomes {
                Told => states == [self.state] && is_without_words(&told),
                Refused => states.first().is_some_and(|state| state == "42501"),
            };
            if !is_right || leak(&told, self.quoted).is_some() {
                problems.push(format!(
                    "{:?} with masks: {:?} in {}",
                    self.exchange,
                    leak(&told, self.quoted),
                    print(&told)
                ));
            }
        }
        problems
    }
}

/// All that is said to these statements, and nothing of what is done afterwards, so that the next ones find the session and the data as these did.
fn told(client: &mut Client, extended: bool, exchange: &[&str]) -> Vec<Message> {
    let mut told = Vec::new();
    for text in exchange {
        let batch = [
            wire::parse("", text),
            wire::bind("", "", &[]),
            wire::describe('P', ""),
            wire::execute("", 0),
            wire::sync(),
        ];
        client.send(&if extended { batch.concat() } else { wire::query(text) }).unwrap();
        told.extend(client.until_ready().unwrap());
    }
    client.query("rollback").unwrap();
    client.query("deallocate all").unwrap();
    told
}

/// The first message in which there is what is quoted, or four characters of the secret.
fn leak(told: &[Message], quoted: &str) -> Option<String> {
    let digits = WHOLE.replace('-', "");
    let parts = |text: &str| {
        text.as_bytes()
            .windows(4)
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect::<Vec<_>>()
    };
    let needles = [parts(WHOLE), parts(&digits), vec![quoted.to_owned()]].concat();
    told.iter().find_map(|message| {
        let needle = needles.iter().find(|needle| contains(message, needle))?;
        Some(format!("`{needle}` in {}", print(std::slice::from_ref(message))))
    })
}

/// Is all that its errors say their code, and what the gateway says of it?
fn is_without_words(told: &[Message]) -> bool {
    told.iter().filter(|message| message.tag == 'E').all(|message| {
        let said = message.field('M').unwrap_or_default();
        let code = message.field('C').unwrap_or_default();
        // Behind severity and code, message and detail: no hint, no context, no name of a table or constraint.
        let fields: String = message
            .body
            .split(|byte| *byte == 0)
            .filter_map(|field| field.first())
            .map(|first| char::from(*first))
            .collect();
        said.ends_with(&format!("(SQLSTATE {code})"))
            && message
                .field('D')
                .is_some_and(|detail| detail.starts_with("the server's own words are hidden"))
            && fields == "SVCMD"
    })
}

fn contains(message: &Message, needle: &str) -> bool {
    String::from_utf8_lossy(&message.body).contains(needle)
}
