//! Queries that nobody wrote: a small grammar over a schema in which every column of every table holds a mark.
//!
//! A mark is a text that no other column holds, and that survives what text functions do with it. So the marks in
//! an answer say where its values came from, whatever anybody's lineage says.

use std::fmt::Write as _;

/// Made on the server before the queries.
pub(crate) const SCHEMA: &str = r#"
create schema hidden;
create table acc (id int primary key, secret text, label text, n int);
create table ord (id int, acc_id int, note text, amount text);
create table par (id int, pv text);
create table chi (extra text) inherits (par);
create table prt (id int, p text, q text) partition by list (id);
create table prt1 partition of prt for values in (1);
create table prt2 (q text, id int, p text);
alter table prt attach partition prt2 for values in (2);
create table "Odd Name" (id int, "Weird Col" text, "select" text);
create table hidden.acc (id int, secret text, other text);
create table shade (id int, dark text);
create temp table shade (id int, dark text, light text);
insert into acc values (1, 'mk01q', 'mk02q', 7310003);
insert into ord values (1, 1, 'mk04q', 'mk05q');
insert into par values (1, 'mk06q');
insert into chi values (1, 'mk07q', 'mk08q');
insert into prt values (1, 'mk09q', 'mk10q'), (2, 'mk11q', 'mk12q');
insert into "Odd Name" values (1, 'mk13q', 'mk14q');
insert into hidden.acc values (1, 'mk15q', 'mk16q');
insert into public.shade values (1, 'mk17q');
insert into pg_temp.shade values (1, 'mk18q', 'mk19q');
create view v1 as select id, secret as s, label from acc;
create view v2 as select id, s || '' as t, label from v1;
create view v3 as select v2.id, t, o.note, (select max(pv) from par) as mx from v2 join ord o on o.id = v2.id;
create materialized view mv as select id, reverse(secret) as ms, label from acc;
create function sqlf(text) returns text language sql as 'select secret from acc limit 1';
create function rows_of(int) returns setof ord language sql as 'select * from ord';
create rule seen as on insert to prt2 do nothing;
"#;

/// Where each mark is: table, column, mark.
pub(crate) const MARKS: &[(&str, &str, &str)] = &[
    ("acc", "secret", "mk01q"),
    ("acc", "label", "mk02q"),
    ("acc", "n", "7310003"),
    ("ord", "note", "mk04q"),
    ("ord", "amount", "mk05q"),
    ("par", "pv", "mk06q"),
    ("chi", "pv", "mk07q"),
    ("chi", "extra", "mk08q"),
    ("prt", "p", "mk09q"),
    ("prt", "q", "mk10q"),
    ("prt", "p", "mk11q"),
    ("prt", "q", "mk12q"),
    ("Odd Name", "Weird Col", "mk13q"),
    ("Odd Name", "select", "mk14q"),
    ("hidden.acc", "secret", "mk15q"),
    ("hidden.acc", "other", "mk16q"),
    ("shade", "dark", "mk17q"),
    ("shade", "dark", "mk18q"),
    ("shade", "light", "mk19q"),
];

/// What FROM can name, and its columns of text.
const RELATIONS: &[(&str, &[&str])] = &[
    ("acc", &["secret", "label"]),
    ("public.acc", &["secret", "label"]),
    ("hidden.acc", &["secret", "other"]),
    ("ord", &["note", "amount"]),
    ("ORD", &["note", "amount"]),
    ("par", &["pv"]),
    ("only par", &["pv"]),
    ("par *", &["pv"]),
    ("only (chi)", &["pv", "extra"]),
    ("prt", &["p", "q"]),
    ("prt1", &["p", "q"]),
    ("prt2", &["p", "q"]),
    ("\"Odd Name\"", &["\"Weird Col\"", "\"select\""]),
    ("U&\"Odd\\0020Name\"", &["\"Weird Col\"", "\"select\""]),
    ("shade", &["dark", "light"]),
    ("public.shade", &["dark"]),
    ("v1", &["s", "label"]),
    ("v2", &["t", "label"]),
    ("v3", &["t", "note", "mx"]),
    ("mv", &["ms", "label"]),
];

/// A FROM item that can be seen.
#[derive(Clone)]
struct Item {
    alias: String,
    columns: Vec<String>,
}

pub(crate) struct Queries {
    state: u64,
    fresh: usize,
    ctes: Vec<Item>,
}

impl Queries {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed, fresh: 0, ctes: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        // xorshift64*.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn name(&mut self) -> String {
        self.fresh += 1;
        // Names of tables are as good as others, and may lead somebody astray.
        match self.below(6) {
            0 if self.fresh.is_multiple_of(3) => {
                ["acc", "ord", "par", "v1", "shade"][self.below(5)].to_owned()
            }
            _ => format!("x{}", self.fresh),
        }
    }

    /// A statement that gives rows, or changes some and gives them.
    pub(crate) fn statement(&mut self) -> String {
        self.fresh = 0;
        self.ctes.clear();
        match self.below(12) {
            0 => self.change(),
            1 => format!(
                "table {}",
                ["acc", "ord", "prt", "v3", "only par", "shade", "hidden.acc"][self.below(7)]
            ),
            _ => self.query(3, &[]).0,
        }
    }

    fn change(&mut self) -> String {
        match self.below(4) {
            0 => {
                let (query, columns) = self.query(2, &[]);
                let first = &columns[0];
                let conflict = if self.one_in(3) {
                    "on conflict (id) do update set label = excluded.secret, secret = acc.label"
                } else {
                    ""
                };
                let returning = self.returning("acc", &["secret", "label"]);
                let id = if conflict.is_empty() { 77 } else { 1 };
                format!(
                    "insert into acc (id, secret) select {id}, zz.{first} from ({query}) zz limit 1 {conflict} returning {returning}"
                )
            }
            1 => {
                let (query, columns) = self.query(2, &[]);
                let first = &columns[0];
                let returning = self.returning("u", &["note", "amount"]);
                format!(
                    "update ord u set amount = zz.{first} from ({query}) zz where u.id = 1 returning {returning}, zz.{first}"
                )
            }
            2 => {
                let scope = [Item {
                    alias: "ord".to_owned(),
                    columns: vec!["note".to_owned(), "amount".to_owned()],
                }];
                let value = self.expression(2, &scope);
                let returning = self.returning("ord", &["note", "amount"]);
                format!(
                    "update ord set (note, acc_id) = (select {value}, 5) where id = 1 returning {returning}"
                )
            }
            _ => {
                let (query, columns) = self.query(2, &[]);
                let first = &columns[0];
                format!(
                    "delete from prt using ({query}) zz where prt.id = 1 returning prt.*, zz.{first}, zz"
                )
            }
        }
    }

    fn returning(&mut self, alias: &str, columns: &[&str]) -> String {
        let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
        let scope = [Item { alias: alias.to_owned(), columns }];
        match self.below(4) {
            0 => "*".to_owned(),
            1 => format!("{alias}.*"),
            _ => {
                let expressions: Vec<String> =
                    (0..=self.below(3)).map(|_| self.expression(1, &scope)).collect();
                expressions.join(", ")
            }
        }
    }

    /// A query, and what its columns are called.
    fn query(&mut self, depth: usize, outer: &[Item]) -> (String, Vec<String>) {
        let visible = self.ctes.len();
        let mut with = String::new();
        if depth > 0 && self.one_in(4) {
            let mut parts = Vec::new();
            let mut is_recursive = false;
            for _ in 0..=self.below(2) {
                let name = self.name();
                if self.ctes[visible..].iter().any(|cte| cte.alias == name) {
                    continue;
                }
                let (text, columns) = if self.one_in(6) {
                    is_recursive = true;
                    let (start, columns) = self.query(depth - 1, &[]);
                    let columns: Vec<String> = (0..columns.len()).map(|at| format!("r{at}")).collect();
                    let list = columns.join(", ");
                    (
                        format!(
                            "{name} ({list}) as (({start}) union all select {list} from {name} where false)"
                        ),
                        columns,
                    )
                } else if visible == 0 && outer.is_empty() && depth == 3 && self.one_in(5) {
                    let change = [
                        "update ord set note = amount returning note, amount as am",
                        "insert into acc (id, secret) select 9, pv from par returning secret as note, label as am",
                        "delete from prt where id = 2 returning p as note, q as am",
                    ][self.below(3)];
                    (format!("{name} as ({change})"), vec!["note".to_owned(), "am".to_owned()])
                } else {
                    let (query, mut columns) = self.query(depth - 1, &[]);
                    let mut list = String::new();
                    if self.one_in(3) {
                        columns = (0..columns.len()).map(|at| format!("c{at}")).collect();
                        list = format!("({})", columns.join(", "));
                    }
                    let how = ["", "materialized", "not materialized"][self.below(3)];
                    (format!("{name} {list} as {how} ({query})"), columns)
                };
                self.ctes.push(Item { alias: name, columns });
                parts.push(text);
            }
            with = format!("with {}{} ", if is_recursive { "recursive " } else { "" }, parts.join(", "));
        }
        let (body, columns) = match self.below(10) {
            0 if depth > 0 => self.set_operation(depth - 1, outer),
            1 => {
                let rows: Vec<String> = (0..=self.below(2))
                    .map(|_| {
                        format!(
                            "({}, {})",
                            self.expression(depth.saturating_sub(1), outer),
                            self.expression(0, outer)
                        )
                    })
                    .collect();
                (format!("values {}", rows.join(", ")), vec!["column1".to_owned(), "column2".to_owned()])
            }
            _ => self.select(depth, outer),
        };
        self.ctes.truncate(visible);
        (format!("{with}{body}"), columns)
    }

    fn set_operation(&mut self, depth: usize, outer: &[Item]) -> (String, Vec<String>) {
        let operator = ["union", "union all", "except", "intersect all"][self.below(4)];
        let count = 1 + self.below(2);
        let arm = |this: &mut Self| {
            let (query, columns) = this.query(depth, outer);
            let list: Vec<&str> = (0..count).map(|at| columns[at % columns.len()].as_str()).collect();
            let list: Vec<String> =
                list.iter().enumerate().map(|(at, name)| format!("zz.{name} as u{at}")).collect();
            format!("select {} from ({query}) zz", list.join(", "))
        };
        let (left, right) = (arm(self), arm(self));
        (format!("{left} {operator} {right}"), (0..count).map(|at| format!("u{at}")).collect())
    }

    fn select(&mut self, depth: usize, outer: &[Item]) -> (String, Vec<String>) {
        let mut scope: Vec<Item> = Vec::new();
        let mut from = String::new();
        for at in 0..=self.below(2) {
            let (text, item) = self.item(depth, outer, &scope, at > 0);
            if scope.iter().any(|other| other.alias == item.alias) {
                continue;
            }
            let join = if scope.is_empty() {
                ""
            } else {
                *self.pick(&[
                    ", ",
                    " cross join ",
                    " left join ",
                    " full join ",
                    " natural join ",
                    " natural full join ",
                    " natural left join ",
                ])
            };
            let _ = write!(from, "{join}{text}");
            if [" left join ", " full join "].contains(&join) {
                from.push_str(" on true");
            }
            scope.push(item);
        }
        let mut all = scope.clone();
        all.extend(outer.iter().filter(|item| scope.iter().all(|own| own.alias != item.alias)).cloned());
        let mut targets = Vec::new();
        let mut columns = Vec::new();
        match self.below(8) {
            0 if depth < 3 && scope.len() == 1 => {
                // Star: only where its columns are known to be those.
                targets.push(format!("{}.{}", scope[0].alias, scope[0].columns[0]));
                columns.push(scope[0].columns[0].clone());
            }
            1 if depth == 3 => {
                targets.push(if self.one_in(2) { "*".to_owned() } else { format!("{}.*", scope[0].alias) });
                columns.push("x".to_owned());
                if self.one_in(2) {
                    targets.push(self.expression(1, &all));
                }
            }
            _ => {
                for at in 0..=self.below(3) {
                    let value = self.expression(depth.min(2), &all);
                    let name = if self.one_in(5) { "secret".to_owned() } else { format!("o{at}") };
                    let name = if columns.contains(&name) { format!("o{at}") } else { name };
                    targets.push(format!("{value} as {name}"));
                    columns.push(name);
                }
            }
        }
        if self.one_in(12) {
            let value = self.expression(1, &all);
            let sets = ["", " group by grouping sets ((), ())", " having count(*) > 0"][self.below(3)];
            let text =
                format!("select max({value}) as o0, string_agg({value}, ',') over () as o1 from {from}");
            let text = if self.one_in(2) {
                format!("select max({value}) as o0, array_agg({value})::text as o1 from {from}{sets}")
            } else {
                text.replacen(&format!("max({value})"), &value, 1)
            };
            return (text, vec!["o0".to_owned(), "o1".to_owned()]);
        }
        let mut tail = String::new();
        if self.one_in(4) {
            let condition = self.expression(0, &all);
            let _ = write!(tail, " where {condition} is not null");
        }
        match self.below(8) {
            0 => tail.push_str(" limit 3"),
            1 => {
                let value = self.expression(0, &scope);
                let _ = write!(tail, " order by {value}");
            }
            _ => {}
        }
        let distinct = if !tail.contains("order") && self.one_in(10) { "distinct " } else { "" };
        (format!("select {distinct}{} from {from}{tail}", targets.join(", ")), columns)
    }

    fn item(
        &mut self,
        depth: usize,
        outer: &[Item],
        left: &[Item],
        may_be_lateral: bool,
    ) -> (String, Item) {
        let alias = self.name();
        match self.below(10) {
            0 | 1 if depth > 0 => {
                let lateral = may_be_lateral && self.one_in(2);
                let mut visible = outer.to_vec();
                if lateral {
                    visible.extend(left.iter().cloned());
                }
                let (query, mut columns) = self.query(depth - 1, &visible);
                let mut list = String::new();
                if self.one_in(3) {
                    // The list may be shorter than the columns.
                    let named = 1 + self.below(columns.len());
                    columns
                        .iter_mut()
                        .take(named)
                        .enumerate()
                        .for_each(|(at, column)| *column = format!("a{at}"));
                    list = format!("({})", columns[..named].join(", "));
                }
                let lateral = if lateral { "lateral " } else { "" };
                (format!("{lateral}({query}) as {alias}{list}"), Item { alias, columns })
            }
            2 | 3 if !self.ctes.is_empty() => {
                let at = self.below(self.ctes.len());
                let cte = self.ctes[at].clone();
                (format!("{} as {alias}", cte.alias), Item { alias, columns: cte.columns })
            }
            4 => {
                let visible: Vec<Item> = left.iter().chain(outer).cloned().collect();
                let value = self.expression(0, &visible);
                match self.below(8) {
                    0 => (
                        format!("unnest(array[{value}, 'a']) as {alias}"),
                        Item { columns: vec![alias.clone()], alias },
                    ),
                    1 => (
                        format!("regexp_split_to_table({value}, 'z') with ordinality as {alias}(w, i)"),
                        Item { alias, columns: vec!["w".to_owned()] },
                    ),
                    2 => (
                        format!("rows_of(1) as {alias}"),
                        Item { alias, columns: vec!["note".to_owned(), "amount".to_owned()] },
                    ),
                    3 => (
                        format!(
                            "jsonb_populate_record(null::acc, jsonb_build_object('label', {value})) as {alias}"
                        ),
                        Item { alias, columns: vec!["label".to_owned()] },
                    ),
                    4 => (
                        format!(
                            "xmltable('/r' passing xmlelement(name r, xmlelement(name c, {value})) \
                             columns k text path 'c') as {alias}"
                        ),
                        Item { alias, columns: vec!["k".to_owned()] },
                    ),
                    5 => (
                        format!("rows from (unnest(array[{value}]), rows_of(1)) as {alias}(k, i, j, note)"),
                        Item { alias, columns: vec!["k".to_owned(), "note".to_owned()] },
                    ),
                    6 => (
                        format!("lateral (values (1, {value}), (2, 'k')) as {alias}(i, k)"),
                        Item { alias, columns: vec!["k".to_owned()] },
                    ),
                    _ => (
                        format!("json_to_record(json_build_object('k', {value})) as {alias}(k text)"),
                        Item { alias, columns: vec!["k".to_owned()] },
                    ),
                }
            }
            5 => {
                let (one, two) = (*self.pick(RELATIONS), *self.pick(RELATIONS));
                let kind = ["join", "left join", "full join", "right join"][self.below(4)];
                let columns = vec![one.1[0].to_owned()];
                if one.1.iter().any(|column| two.1.contains(column)) {
                    let columns: Vec<String> = one.1.iter().map(|&column| column.to_owned()).collect();
                    return (format!("{} as {alias}", one.0), Item { alias, columns });
                }
                (
                    format!("({} as j1 {kind} {} as j2 using (id)) as {alias}", one.0, two.0),
                    Item { alias, columns },
                )
            }
            6 => {
                let (name, columns) = *self.pick(RELATIONS);
                if columns.len() == 2 && ["acc", "shade", "v1"].contains(&name) {
                    // The first column is the id.
                    return (
                        format!("{name} as {alias}(b0, b1)"),
                        Item { alias, columns: vec!["b1".to_owned()] },
                    );
                }
                let is_view = ["v1", "v2", "v3"].contains(&name);
                let sample = if is_view { "" } else { "tablesample bernoulli (100)" };
                let columns = columns.iter().map(|&column| column.to_owned()).collect();
                (format!("{name} {alias} {sample}"), Item { alias, columns })
            }
            _ => {
                let (name, columns) = *self.pick(RELATIONS);
                let columns = columns.iter().map(|&column| column.to_owned()).collect();
                let bare = !name.contains([' ', '.', '"']) && name.chars().all(char::is_lowercase);
                if bare && self.one_in(2) {
                    return (name.to_owned(), Item { alias: name.to_owned(), columns });
                }
                (format!("{name} as {alias}"), Item { alias, columns })
            }
        }
    }

    /// An expression of type text.
    fn expression(&mut self, depth: usize, scope: &[Item]) -> String {
        if scope.is_empty() {
            return match self.below(3) {
                0 if depth > 0 => "(select secret from acc limit 1)".to_owned(),
                1 => "current_schema()::text".to_owned(),
                _ => "'k'".to_owned(),
            };
        }
        let at = self.below(scope.len());
        let item = scope[at].clone();
        let alias = &item.alias;
        let column = item.columns[self.below(item.columns.len())].clone();
        let qualified = format!("{alias}.{column}");
        if depth == 0 {
            let unique = scope.iter().filter(|item| item.columns.contains(&column)).count() == 1;
            return if unique && self.one_in(3) { column } else { qualified };
        }
        let inner = |this: &mut Self| this.expression(depth - 1, scope);
        match self.below(50) {
            0 => format!("upper({})", inner(self)),
            1 => format!("reverse({})", inner(self)),
            2 => format!("coalesce(null, {}, {})", inner(self), inner(self)),
            3 => format!("case when {} is null then 'a' else {} end", inner(self), inner(self)),
            4 => format!("case {} when 'z' then 'y' else {qualified} end", inner(self)),
            5 => format!("({} || ''::text || {})", inner(self), inner(self)),
            6 => format!("greatest({}, 'a')", inner(self)),
            7 => format!("nullif({}, 'a')", inner(self)),
            8 => format!("format('%s', {})", inner(self)),
            9 => format!("concat_ws('-', {}, {})", inner(self), inner(self)),
            10 => format!("replace('x', 'x', {})", inner(self)),
            11 => format!("({})::varchar::text", inner(self)),
            12 => format!("{} collate \"C\"", inner(self)),
            13 => format!("array_to_string(array[{}, 'b'], ',')", inner(self)),
            14 => format!("(array[{}, 'b'])[1]", inner(self)),
            15 => format!("(row({}, 1))::text", inner(self)),
            16 => format!("row_to_json({alias})::text"),
            17 => format!("to_jsonb({alias})::text"),
            18 => format!("({alias})::text"),
            19 => format!("({alias}).{column}"),
            20 => format!("{alias}.row_to_json::text"),
            21 => format!("json_build_object('a', {})::text", inner(self)),
            22 => format!("first_value({}) over ()", inner(self)),
            23 => format!("string_agg({}, ',') over (order by {qualified})", inner(self)),
            24 => format!("max({qualified}) over (partition by 1)"),
            25 | 26 => {
                let (query, columns) = self.query(depth - 1, scope);
                format!("(select zz.{} from ({query}) zz limit 1)", columns[0])
            }
            27 => {
                let (query, columns) = self.query(depth - 1, scope);
                format!("array_to_string(array(select zz.{} from ({query}) zz), ',')", columns[0])
            }
            28 => {
                let (query, _) = self.query(depth - 1, scope);
                format!("(select json_agg(zz)::text from ({query}) zz)")
            }
            29 => format!("(select {})", inner(self)),
            30 => format!("(with w(a) as (select {}) select a from w)", inner(self)),
            31 => format!("(select q.b from (values (1, {})) q(a, b))", inner(self)),
            32 => format!("sqlf({})", inner(self)),
            33 => "(select (n + 0)::text from acc limit 1)".to_owned(),
            34 => format!("xmlelement(name e, {})::text", inner(self)),
            35 => format!("(xmlforest({} as f))::text", inner(self)),
            36 => format!("substr({}, 1)", inner(self)),
            37 => format!("encode(convert_to({}, 'UTF8'), 'hex')", inner(self)),
            38 => format!("(jsonb_build_array({}) ->> 0)", inner(self)),
            39 => format!("row({alias}.*)::text"),
            40 => format!("(select max({}) over w from ord window w as (order by note))", inner(self)),
            41 => {
                format!(
                    "(select first_value(a) over w from (values ({})) v(a) window w as (order by a))",
                    inner(self)
                )
            }
            42 => format!("(json_agg({alias}) over ())::text"),
            43 => format!("concat({alias}.*)"),
            44 => format!("{alias}.to_jsonb::text"),
            45 => format!(
                "(with recursive w(a) as (select {} union select upper(a) from w) cycle a set c using way \
                 select way::text from w limit 1)",
                inner(self)
            ),
            46 => format!(
                "(with recursive w(a, b) as (select {}, 1 union all select a, 2 from w where false) \
                 search depth first by a set way select way::text from w limit 1)",
                inner(self)
            ),
            47 => format!(
                "(select string_agg(a, ',' order by a) filter (where a is not null) from unnest(array[{}]) a)",
                inner(self)
            ),
            48 => format!(
                "(select a from (values ('k')) k(k) left join lateral (select {} as a) l on true)",
                inner(self)
            ),
            _ => qualified,
        }
    }
}
