//! Other spellings of a statement: each means the same, or more, or is no SQL at all.
//!
//! What was found in the statement must be found in its mutant too.

use pg_query::protobuf::{KeywordKind, ScanToken, Token};
use serde_json::Value;

use crate::tree;

/// A way to change a statement. None: there is nothing in it to change.
type Mutation = fn(&Statement<'_>) -> Option<String>;

pub(crate) struct Statement<'t> {
    text: &'t str,
    tokens: Vec<ScanToken>,
    /// Where the names of relations are that could be FROM items, and which have an alias.
    relations: Vec<(usize, bool)>,
    /// Can it stand where a query can, at least in an EXPLAIN?
    is_query: bool,
}

const QUERIES: [&str; 6] =
    ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CreateTableAsStmt"];

/// What of the original has to be in the mutant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keeps {
    Everything,
    /// It is planned only: what is written is read.
    Names,
    /// It is text in a string: unseen.
    Nothing,
}

pub(crate) const MUTATIONS: &[(&str, Keeps, Mutation)] = &[
    ("keywords in capitals", Keeps::Everything, |statement| {
        Some(statement.tokens(|token, text| is_keyword(token).then(|| text.to_uppercase())))
    }),
    ("keywords in mixed case", Keeps::Everything, |statement| {
        let mixed =
            |text: &str| {
                let letters = text.chars().enumerate();
                letters
                    .map(|(at, letter)| {
                        if at % 2 == 0 { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() }
                    })
                    .collect()
            };
        Some(
            statement
                .tokens(|token, text| (is_keyword(token) || is_name(token, text)).then(|| mixed(text))),
        )
    }),
    ("comments between tokens", Keeps::Everything, |statement| {
        Some(statement.tokens(|_, text| Some(format!("{text}/*; ' /* \" */ select*/"))))
    }),
    ("line comments between tokens", Keeps::Everything, |statement| {
        Some(statement.tokens(|_, text| Some(format!("{text}--; ' \" /* $$\r\n"))))
    }),
    ("quoted names", Keeps::Everything, |statement| {
        Some(statement.tokens(|token, text| is_name(token, text).then(|| format!("\"{}\"", folded(text)))))
    }),
    ("names in Unicode escapes", Keeps::Everything, |statement| {
        let escaped = |text: &str| {
            folded(text).chars().map(|letter| format!("\\+{:06x}", u32::from(letter))).collect::<String>()
        };
        Some(
            statement
                .tokens(|token, text| is_name(token, text).then(|| format!("U&\"{}\"", escaped(text)))),
        )
    }),
    ("names in Unicode escapes of another letter", Keeps::Everything, |statement| {
        let escaped = |text: &str| {
            folded(text).chars().map(|letter| format!("!{:04x}", u32::from(letter))).collect::<String>()
        };
        Some(statement.tokens(|token, text| {
            is_name(token, text).then(|| format!("U&\"{}\" uescape '!'", escaped(text)))
        }))
    }),
    ("parentheses around it", Keeps::Everything, |statement| Some(format!("(({}\n))", statement.text))),
    ("only (..)", Keeps::Everything, |statement| statement.relations(|name, _| format!("only ({name})"))),
    ("only ..", Keeps::Everything, |statement| statement.relations(|name, _| format!("only {name}"))),
    ("a star behind the name", Keeps::Everything, |statement| {
        statement.relations(|name, _| format!("{name} *"))
    }),
    ("the name of another table as alias", Keeps::Everything, |statement| {
        statement.relations(
            |name, aliased| if aliased { name.to_owned() } else { format!("{name} as pg_authid") },
        )
    }),
    ("a join around each table", Keeps::Names, |statement| {
        statement.relations(|name, aliased| {
            if aliased { name.to_owned() } else { format!("{name} natural full join pg_authid as {name}") }
        })
    }),
    ("in a CTE", Keeps::Everything, |statement| statement.around("with zz as (", ") select * from zz")),
    ("in a CTE that nobody uses", Keeps::Everything, |statement| {
        statement.around("with recursive zz as not materialized (", ") delete from yy where false")
    }),
    ("in a subquery", Keeps::Everything, |statement| statement.around("select * from (", ") zz")),
    ("in a lateral subquery", Keeps::Everything, |statement| {
        statement.around("select yy.* from yy left join lateral (", ") zz on true")
    }),
    ("in an expression", Keeps::Everything, |statement| {
        statement.around("select case when exists (", ") then 1 end order by 1")
    }),
    ("in an array", Keeps::Everything, |statement| statement.around("values (array(", "))")),
    ("in an arm of a union", Keeps::Everything, |statement| {
        statement.around("table yy union all (", ") except select 1 limit 1")
    }),
    ("in a limit", Keeps::Everything, |statement| statement.around("select 1 limit (", ")")),
    ("in an insert", Keeps::Everything, |statement| statement.around("insert into yy ", "")),
    ("in an update", Keeps::Everything, |statement| {
        statement.around("update yy set (a, b[1].c) = (", ") where current of zz")
    }),
    ("in on conflict", Keeps::Everything, |statement| {
        statement.around(
            "insert into yy values (1) on conflict (a) do update set a = (",
            ") where true returning 1",
        )
    }),
    ("in a merge", Keeps::Everything, |statement| {
        statement.around(
            "merge into yy using (",
            ") zz on true when not matched then do nothing when matched and false then delete",
        )
    }),
    ("in returning", Keeps::Everything, |statement| statement.around("delete from yy returning (", ")")),
    ("in explain", Keeps::Names, |statement| statement.around("explain (verbose, format json) ", "")),
    ("in explain analyze", Keeps::Everything, |statement| {
        statement.around("explain (costs off, analyze, timing off) ", "")
    }),
    ("in prepare", Keeps::Everything, |statement| statement.around("prepare zz (int, text) as ", "")),
    ("in a cursor", Keeps::Everything, |statement| {
        statement.around("declare zz scroll cursor with hold for ", "")
    }),
    ("in a view", Keeps::Everything, |statement| {
        statement.around("create or replace temp view zz (a) as ", "")
    }),
    ("in a recursive view", Keeps::Everything, |statement| {
        statement.around("create recursive view zz (a) as ", "")
    }),
    ("in a materialized view", Keeps::Everything, |statement| {
        statement.around("create materialized view zz as ", " with no data")
    }),
    ("in a new table", Keeps::Everything, |statement| statement.around("create table zz as ", "")),
    ("in explain of a new table", Keeps::Names, |statement| {
        statement.around("explain create table zz as ", "")
    }),
    ("in copy", Keeps::Everything, |statement| statement.around("copy (", ") to stdout (format csv)")),
    ("in copy to a program", Keeps::Everything, |statement| {
        statement.around("copy (", ") to program 'cat'")
    }),
    ("in a rule", Keeps::Everything, |statement| {
        statement.around("create rule zz as on update to yy do instead (", "; notify x)")
    }),
    ("in a function", Keeps::Everything, |statement| {
        statement.around("create function zz() returns void begin atomic ", "; end")
    }),
    ("in the return of a function", Keeps::Everything, |statement| {
        statement.around("create function zz() returns int return (", ")")
    }),
    ("in a policy", Keeps::Everything, |statement| {
        statement.around("create policy zz on yy using (exists (", "))")
    }),
    ("in a default", Keeps::Everything, |statement| {
        statement.around("alter table yy add column zz int default (", ") check (zz > 0)")
    }),
    ("in a trigger", Keeps::Everything, |statement| {
        statement.around(
            "create trigger zz after update on yy for each row when ((",
            ") is null) execute function f()",
        )
    }),
    ("in a schema", Keeps::Everything, |statement| {
        statement.around("create schema zz create view yy as ", "")
    }),
    ("in a call", Keeps::Everything, |statement| statement.around("call zz((", "))")),
    ("in execute", Keeps::Everything, |statement| statement.around("execute zz((", "))")),
    ("in xmltable", Keeps::Everything, |statement| {
        statement.around("select * from xmltable('/a' passing (", ") columns b text path 'c')")
    }),
    ("in rows from", Keeps::Everything, |statement| {
        statement.around("select * from rows from (unnest(array(", ")), f(1)) with ordinality")
    }),
    ("in tablesample", Keeps::Everything, |statement| {
        statement.around("select * from yy tablesample system ((", ")) repeatable (1)")
    }),
    ("in json", Keeps::Everything, |statement| {
        statement.around("select json_array(", " format json returning text)")
    }),
    ("in a window", Keeps::Everything, |statement| {
        statement.around("select count(*) over w from yy window w as (order by (", ") rows 1 preceding)")
    }),
    ("in a filter and an order", Keeps::Everything, |statement| {
        statement
            .around("select array_agg(a order by (", ")) filter (where true) from yy group by cube (a)")
    }),
    ("in do", Keeps::Nothing, |statement| statement.around("do $oracle$ begin ", "; end $oracle$")),
    ("behind another", Keeps::Everything, |statement| Some(format!("begin;{}\n;commit", statement.text))),
];

impl Statement<'_> {
    /// None: it can not be cut into tokens.
    pub(crate) fn of(text: &str) -> Option<Statement<'_>> {
        let tokens = pg_query::scan_tokens(text).ok()?;
        let tree = serde_json::to_value(pg_query::parse(text, 0).ok()?.protobuf).unwrap();
        let mut relations = Vec::new();
        range_vars(&tree, &mut relations);
        relations.sort_unstable();
        relations.dedup();
        let is_query = QUERIES.contains(&tree::tag(&tree["stmts"][0]["stmt"]));
        Some(Statement { text, tokens, relations, is_query })
    }

    /// Its end may be in a comment. What is no query would be a name there (`(begin)`) or nothing at all.
    fn around(&self, before: &str, after: &str) -> Option<String> {
        self.is_query.then(|| format!("{before}{}\n{after}", self.text))
    }

    /// Each token, or what is put in its place; comments and white space stay.
    fn tokens(&self, mut change: impl FnMut(&ScanToken, &str) -> Option<String>) -> String {
        let mut changed = String::new();
        let mut end = 0;
        for token in &self.tokens {
            let range = usize::try_from(token.start).unwrap()..usize::try_from(token.end).unwrap();
            let text = &self.text[range.clone()];
            changed.push_str(&self.text[end..range.start]);
            let is_comment =
                [Token::SqlComment, Token::CComment].map(|kind| kind as i32).contains(&token.token);
            match change(token, text).filter(|_| !is_comment) {
                Some(other) => changed.push_str(&other),
                None => changed.push_str(text),
            }
            end = range.end;
        }
        changed + &self.text[end..]
    }

    /// Each name of a relation, or what is put in its place.
    fn relations(&self, change: impl Fn(&str, bool) -> String) -> Option<String> {
        let (mut changed, mut end) = (String::new(), 0);
        for (start, aliased) in &self.relations {
            let Some(first) =
                self.tokens.iter().position(|token| usize::try_from(token.start) == Ok(*start))
            else {
                continue;
            };
            let dot = Token::Ascii46 as i32;
            let mut last = first;
            while self.tokens.get(last + 1).is_some_and(|token| token.token == dot)
                && last + 2 < self.tokens.len()
            {
                last += 2;
            }
            let name_end = usize::try_from(self.tokens[last].end).unwrap();
            if *start < end {
                continue;
            }
            changed.push_str(&self.text[end..*start]);
            changed.push_str(&change(&self.text[*start..name_end], *aliased));
            end = name_end;
        }
        (end > 0).then(|| changed + &self.text[end..])
    }
}

fn range_vars(value: &Value, found: &mut Vec<(usize, bool)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| range_vars(item, found)),
        Value::Object(object) => {
            if let (Some(_), Some(at)) =
                (object.get("relname"), object.get("location").and_then(Value::as_u64))
            {
                found.push((usize::try_from(at).unwrap(), !object["alias"].is_null()));
            }
            object.values().for_each(|field| range_vars(field, found));
        }
        _ => {}
    }
}

fn is_keyword(token: &ScanToken) -> bool {
    token.keyword_kind != KeywordKind::NoKeyword as i32
}

/// Is it a name without quotes that is no keyword?
fn is_name(token: &ScanToken, text: &str) -> bool {
    token.token == Token::Ident as i32 && !text.contains('"')
}

fn folded(text: &str) -> String {
    text.chars().map(|letter| letter.to_ascii_lowercase()).collect()
}
