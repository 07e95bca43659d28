//! Views that nobody wrote, over a table with a masked column: what they show to whom it is masked must not depend on what the column holds.

use gatewright_e2e::{Scene, policies};

use super::super::{ALICE, CAROL, define};

const VIEWS: usize = 60;
/// So many more add something by a join that may leave it out.
const JOINS: usize = 20;

/// Everything about the column is another afterwards: its values, their order, their length, and which of them are equal. That one is null shows, behind every mask.
const ANOTHER: &str = "update people set email = (array['zz' || id, '', 'q', 'a', 'zz'])[id % 5 + 1] || repeat('x', (7 - id)::int)";

#[test]
fn a025_no_view_shows_anything_that_depends_on_a_masked_column() {
    let settings = "exempt_groups = [\"privacy\"]\ncolumns = [{ relation = \"public.people\", column = \"email\", method = \"redact\" }]";
    let scene =
        Scene::with(&[("masks", &policies::document("masks", "mask_columns", settings).unwrap())]).unwrap();
    let mut views = Views { state: 0x5eed_7777, fresh: 0 };
    let made: Vec<String> = (0..VIEWS + JOINS)
        .map(|at| {
            let query = if at < VIEWS { views.query(3) } else { views.outer_join() };
            format!("create view nobodys_{at} as {query};")
        })
        .collect();
    for some in made.chunks(10) {
        define(&scene, &some.concat());
    }
    define(&scene, "grant select on all tables in schema public to public");

    let (mut alice, mut carol) =
        (scene.psql(&ALICE).unwrap().open().unwrap(), scene.psql(&CAROL).unwrap().open().unwrap());
    let mut ask = || {
        let mut columns = Vec::new();
        for (at, view) in made.iter().enumerate() {
            let question = format!("select k, a, b, c from nobodys_{at};");
            let [masked, plain] = [&mut alice, &mut carol].map(|who| who.say(&question).unwrap());
            assert!(!plain.contains("ERROR") && !masked.contains("ERROR"), "{view}\n{plain}\n{masked}");
            for (place, column) in (1..).zip(COLUMNS) {
                columns.push((
                    format!("{column} of {view}"),
                    values(&masked, place),
                    values(&plain, place),
                ));
            }
        }
        columns
    };
    let before = ask();
    define(&scene, ANOTHER);
    let after = ask();

    let (mut depend, mut free, mut shown) = (0, 0, 0);
    for ((column, masked, plain), (_, masked_after, plain_after)) in before.iter().zip(&after) {
        assert_eq!(masked, masked_after, "{column}");
        if plain == plain_after {
            free += 1;
            shown += usize::from(plain == masked);
        } else {
            depend += 1;
        }
    }
    // Otherwise this would have proved nothing, or what is masked would be of no use.
    assert!(depend * 2 > VIEWS && free > VIEWS, "{depend} depend on it, {free} do not");
    assert!(shown * 2 > free, "of {free} columns that do not depend on it, {shown} are shown");
}

/// The values of a column beside those of the first one, in whatever order they came. A notice is none.
fn values(answer: &str, place: usize) -> Vec<(String, String)> {
    let rows = answer.lines().map(|line| line.split('|').collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() == 1 + COLUMNS.len());
    let pair = |row: Vec<&str>| Some(((*row.first()?).to_owned(), (*row.get(place)?).to_owned()));
    let mut values: Vec<_> = rows.filter_map(pair).collect();
    values.sort_unstable();
    values
}

/// Of each query, beside `k`: a number that has nothing to do with the masked column and by which alone rows are chosen and joined.
const COLUMNS: [&str; 3] = ["a", "b", "c"];

struct Views {
    state: u64,
    fresh: usize,
}

impl Views {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64*.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        of.get(self.below(of.len())).unwrap()
    }

    fn name(&mut self) -> String {
        self.fresh += 1;
        // Some look like parts of the tree that the view becomes.
        let word = *self.pick(&["x", "x", "x", ":resno 9 ", "}{)(", ":varattno "]);
        format!("\"{word}{}\"", self.fresh)
    }

    /// `k` and the three columns of `from`, in some order, some of them computed.
    fn columns(&mut self, from: &str) -> String {
        let columns: Vec<String> =
            COLUMNS.iter().map(|column| format!("{} as {column}", self.value(from, 2))).collect();
        columns.join(", ")
    }

    /// A value of one row of `from`.
    fn value(&mut self, from: &str, depth: usize) -> String {
        let column = format!("{from}.{}", self.pick(&COLUMNS));
        if depth == 0 {
            return column;
        }
        let depth = depth - 1;
        match self.below(16) {
            0 => format!("upper({})", self.value(from, depth)),
            1 => format!("{} || {}", self.value(from, depth), self.value(from, depth)),
            2 => format!("length({})::text", self.value(from, depth)),
            3 => format!(
                "case when {} > 'm' then {} else 'other' end",
                self.value(from, depth),
                self.value(from, depth)
            ),
            4 => format!("coalesce({}, 'none')", self.value(from, depth)),
            5 => format!("({} is null)::text", self.value(from, depth)),
            6 => format!("(row_number() over (order by {}, {from}.k))::text", self.value(from, 0)),
            7 => format!("lag({}) over (order by {from}.k)", self.value(from, 0)),
            8 => {
                let (inner, name) = (self.query(1), self.name());
                format!(
                    "(select max({}) from ({inner}) {name} where {name}.k = {from}.k)",
                    self.value(&name, 0)
                )
            }
            9 => {
                let (inner, name) = (self.query(1), self.name());
                format!(
                    "exists (select from ({inner}) {name} where {} > {})::text",
                    self.value(&name, 0),
                    self.value(from, 0)
                )
            }
            10 => format!(
                "array_to_string(array(select {} || z from generate_series(1, 2) z), ',')",
                self.value(from, 0)
            ),
            _ => column,
        }
    }

    /// A query whose rows do not depend on the masked column.
    fn query(&mut self, depth: usize) -> String {
        if depth == 0 {
            let from = *self.pick(&["people", "only people", "(select * from people offset 0)"]);
            let [a, b, c] = *self.pick(&[
                ["name", "email", "city"],
                ["email", "city", "name"],
                ["city", "name", "id::text"],
                ["id::text", "'fixed'", "name"],
            ]);
            return format!(
                "select p.id as k, {a}::text as a, {b}::text as b, {c}::text as c from {from} p"
            );
        }
        let (inner, name) = (self.query(depth - 1), self.name());
        match self.below(9) {
            0 => format!("({inner}) union all ({})", self.query(depth - 1)),
            1 => {
                let other = self.query(depth - 1);
                format!("select * from ({inner}) {name} union all ({other})")
            }
            2 => format!("with {name} as ({inner}) select {name}.k, {} from {name}", self.columns(&name)),
            3 => {
                let (other, second) = (self.query(depth - 1), self.name());
                let join = *self.pick(&["join", "left join", "full join"]);
                format!(
                    "with {name} as materialized ({inner}) select k, {}, {} as b, {} as c from {name} {join} ({other}) {second} using (k)",
                    format_args!("{} as a", self.value(&second, 1)),
                    self.value(&name, 1),
                    self.value(&second, 0),
                )
            }
            4 => {
                let second = self.name();
                format!(
                    "select {name}.k, {second}.a, {second}.b, {} as c from ({inner}) {name}, lateral (select {}) {second}",
                    self.value(&name, 0),
                    self.columns(&name),
                )
            }
            5 => format!(
                "select k, max(a) as a, string_agg(b, ',' order by {}) as b, count({})::text as c from ({inner}) {name} group by k",
                self.value(&name, 0),
                self.value(&name, 0),
            ),
            6 => format!(
                "with recursive {name}(k, a, b, c, n) as (select k, a, b, c, 0 from ({inner}) z union all \
                 select k, b, {}, a, n + 1 from {name} where n < 2) select k, a, b, c from {name}",
                self.value(&name, 1),
            ),
            7 => {
                let second = self.name();
                format!(
                    "select {name}.k, {second}.v as a, {} as b, {second}.w as c from ({inner}) {name} \
                     cross join lateral (values ({}, 'x'), ('y', {})) {second}(v, w)",
                    self.value(&name, 1),
                    self.value(&name, 0),
                    self.value(&name, 0),
                )
            }
            _ => format!(
                "select {name}.k, {} from ({inner}) {name} order by {}",
                self.columns(&name),
                self.value(&name, 0)
            ),
        }
    }

    /// One row for each of another query, beside which there is something or null.
    fn outer_join(&mut self) -> String {
        let (inner, name) = (self.query(1), self.name());
        let (other, second) = (self.query(1), self.name());
        let chosen = self.value("z", 0);
        let quals = format!("{second}.k = {name}.k and {} > 'm'", self.value(&name, 0));
        let added = format!(
            "(select k, max(a) as a, 'there'::text as c from ({other}) z where {chosen} > 'c' group by k) {second}"
        );
        let tables = match self.below(2) {
            0 => format!("({inner}) {name} left join {added} on {quals}"),
            _ => format!("{added} right join ({inner}) {name} on {quals}"),
        };
        format!("select {name}.k, {second}.a, {} as b, {second}.c from {tables}", self.value(&name, 1))
    }
}
