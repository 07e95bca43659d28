//! The reader of SQL, which anybody with a token can send anything to.

use std::sync::LazyLock;

use gatewright_model::sql::Grade;
use gatewright_sql::{Analyser, AnalyserLimits};

use crate::{Target, mutate::Shape};

pub(crate) const TARGET: Target = Target { name: "sql", seeds, words: WORDS, shape: Shape::Text, check };

/// Properties: no text panics; what is graded `verified` has no unknown part; the same text gives the same
/// answer, asked again and asked of somebody else, whatever that one has read before; and no literal survives
/// in what is recorded.
fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // A literal that no keyword or name can be mistaken for, where the text has room for one.
    let text = text.replace("@", "'canary-7d1f'");
    let analyser = Analyser::new(AnalyserLimits::default());
    let analysis = analyser.analyse(&text);
    assert_eq!(analysis, analyser.analyse(&text), "the same text read twice: {text:?}");
    assert_eq!(analysis, WELL_READ.analyse(&text), "read anew, and known by its shape: {text:?}");
    if analysis.grade == Grade::Verified {
        for statement in analysis.statements.iter() {
            assert_ne!(statement.kind, "unknown", "verified, and of unknown kind: {text:?}");
        }
    }
    // Between double quotes it is a name, and names are recorded.
    assert!(
        text.contains('"') || !analysis.normalised.contains("'canary-7d1f'"),
        "a literal of {text:?} is in what is recorded: {}",
        analysis.normalised
    );
}

/// One that has read all inputs so far: texts that differ in literals only share what was read.
static WELL_READ: LazyLock<Analyser> = LazyLock::new(|| Analyser::new(AnalyserLimits::default()));

fn seeds() -> Vec<Vec<u8>> {
    [
        "select id, name as n, upper(email) from public.people as p where id = 1 and ssn = @ order by 2 limit 3",
        "with gone as (delete from orders where id > 3 returning *) select count(*) from gone, people",
        "insert into people (id, name) values (1, @), (2, E'a\\'b') on conflict (id) do update set name = excluded.name",
        "update people set city = @ where id in (select person from orders) returning id",
        "delete from people; select 2; commit",
        "copy people (id, email) to stdout with (format csv)",
        "copy people to program 'cat'",
        "select * from (select p.*, row_number() over (partition by city order by id) from people p) x",
        "create table t (id int primary key, note text default @); drop table t cascade",
        "set standard_conforming_strings = off; set role postgres",
        "prepare p (int) as select $1; execute p (1); deallocate p",
        "begin; declare c cursor for select * from people; fetch 3 from c; close c; rollback",
        "explain (analyze, verbose) delete from people",
        "do $$ begin perform 1; end $$; call f(@)",
        "merge into people as p using orders as o on p.id = o.person when matched then delete",
        "select $tag$ dollar $tag$, U&'\\0041', x'1F', b'101', /* a /* nested */ comment */ 1 -- end",
        "alter role app password @",
        "select case when exists (select 1 from people) then pg_sleep(1) else lo_import(@) end",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

const WORDS: &[&[u8]] = &[
    b" select ",
    b" from people ",
    b" where ",
    b" union all ",
    b"delete from people",
    b" returning * ",
    b"(",
    b")",
    b",",
    b";",
    b"'",
    b"''",
    b"\"",
    b"--",
    b"/*",
    b"*/",
    b"$$",
    b"$1",
    b"E'",
    b"U&'",
    b"::text",
    b" 42 ",
    b"- 7",
    b"'it''s'",
    b"1.5e3",
    b"0x1f",
    b"9999999999",
    b" as ",
    b"@",
    b"\\",
    b"\n",
    b" with x as (",
    b" into t ",
    b" for update ",
    b" lateral ",
    b"case when ",
    b" then ",
    b" end ",
    b"array[",
    b"]",
    b" over ()",
    b" is null",
    b" values (1)",
    b"row(1)",
    b" create ",
    b" temp ",
    b" view ",
    b"json_table",
    b" xmlparse(",
    b" using ",
    b"\xf0\x9f\xa6\x80",
    b"\xc3\x28",
];
