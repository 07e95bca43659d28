//! Where values come from, against a real server: by marks in the answers, and by its own description of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use gatewright_model::sql::{Analysis, Column, FunctionClass, Grade, Output};

use crate::{
    compare::analyse,
    page,
    queries::{MARKS, Queries, SCHEMA},
    server::{Client, Server, TABLE_VERSION, fields, values},
};

/// How many are made up; ten times as many where everything is tried. A tenth is refused by the server.
const QUERIES: usize = 6_000;

/// What the server's catalog says.
struct Catalog {
    /// Schema and name of each oid.
    names: HashMap<u32, String>,
    /// The column of an oid and an attribute number.
    columns: HashMap<(u32, u16), String>,
    /// The oids of each name, whatever its schema.
    by_name: HashMap<String, Vec<u32>>,
    /// Views and the relations that they show, children and parents.
    shows: HashMap<u32, Vec<u32>>,
}

impl Catalog {
    fn read(client: &mut Client) -> Self {
        let split = |row: &str| -> Vec<String> { row.split('|').map(str::to_owned).collect() };
        let (mut names, mut by_name): (_, HashMap<String, Vec<u32>>) = (HashMap::new(), HashMap::new());
        let relations =
            "select c.oid || '|' || relname || '|' || nspname from pg_class c join pg_namespace n
            on n.oid = relnamespace where relkind in ('r', 'v', 'm', 'p', 'f')";
        for row in client.rows(relations) {
            let row = split(&row);
            let oid = row[0].parse().unwrap();
            let schema = if row[2] == "hidden" { "hidden." } else { "" };
            names.insert(oid, format!("{schema}{}", row[1]));
            by_name.entry(row[1].clone()).or_default().push(oid);
        }
        let mut columns = HashMap::new();
        for row in client
            .rows("select attrelid || '|' || attnum || '|' || attname from pg_attribute where attnum > 0")
        {
            let row = split(&row);
            columns.insert((row[0].parse().unwrap(), row[1].parse().unwrap()), row[2].clone());
        }
        let mut shows: HashMap<u32, Vec<u32>> = HashMap::new();
        let dependencies = "select distinct ev_class || '|' || refobjid from pg_rewrite r join pg_depend d
            on d.objid = r.oid and d.classid = 'pg_rewrite'::regclass
            where refclassid = 'pg_class'::regclass and refobjid <> ev_class
            union select inhparent || '|' || inhrelid from pg_inherits
            union select inhrelid || '|' || inhparent from pg_inherits";
        for row in client.rows(dependencies) {
            let row = split(&row);
            shows.entry(row[0].parse().unwrap()).or_default().push(row[1].parse().unwrap());
        }
        Self { names, columns, by_name, shows }
    }

    /// Can rows of the table be seen through the relation?
    fn reaches(&self, relation: u32, table: &str) -> bool {
        let (mut open, mut seen) = (vec![relation], HashSet::new());
        while let Some(oid) = open.pop() {
            if self.names.get(&oid).is_some_and(|name| name == table) {
                return true;
            }
            if seen.insert(oid) {
                open.extend(self.shows.get(&oid).into_iter().flatten());
            }
        }
        false
    }

    /// Could this column, as the analysis names it, be that of the table?
    fn may_be(&self, column: &Column, analysis: &Analysis, table: &str, name: &str) -> bool {
        let relations: Vec<&str> = match &column.relation {
            Some(relation) => vec![relation],
            None => analysis.statements.iter().flat_map(|s| &s.relations).map(|r| &*r.name).collect(),
        };
        let oids = relations.iter().filter_map(|relation| self.by_name.get(*relation)).flatten();
        // Whoever masks by name does not see through a view, and takes each of its columns for any.
        let is_table = |oid: &&u32| self.names[oid].as_str() == table;
        oids.into_iter().any(|oid| {
            self.reaches(*oid, table) && (!is_table(&oid) || *column.name == *name || *column.name == *"*")
        })
    }
}

#[test]
fn a026_every_mark_in_an_answer_is_among_the_sources_of_its_column() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    let messages = client.query(SCHEMA);
    assert!(messages.iter().all(|(tag, _)| *tag != b'E'), "{messages:?}");
    // Compiling a plan for many rows that are not there would take most of the time.
    client.run("set statement_timeout = '5s'; set jit = off; analyze");
    let catalog = Catalog::read(&mut client);
    let mut queries = Queries::new(0x9e37_79b9_7f4a_7c15);
    let mut seen = BTreeMap::<&str, usize>::new();
    let mut leaks = Vec::new();
    for _ in 0..QUERIES * if page::is_full() { 10 } else { 1 } {
        let text = queries.statement();
        let analysis = analyse(&text);
        let writes = analysis.effects().write;
        let undo = |client: &mut Client, word: &str| writes.then(|| client.run(word));
        undo(&mut client, "begin");
        let messages = client.query(&text);
        undo(&mut client, "rollback");
        if messages.iter().any(|(tag, _)| *tag == b'E') {
            *seen.entry("refused by the server").or_default() += 1;
            continue;
        }
        let mut count = |what| *seen.entry(what).or_default() += 1;
        count("queries");
        if analysis.grade != Grade::Verified {
            count("refused by the analyser");
        }
        if analysis.grade == Grade::Opaque {
            continue;
        }
        let [statement] = &analysis.statements[..] else { panic!("{text}") };
        let outputs = statement.outputs.as_ref().unwrap_or_else(|| panic!("no outputs: {text}"));
        let (_, description) = messages.iter().find(|(tag, _)| *tag == b'T').unwrap();
        let fields = fields(description);
        let rows: Vec<Vec<String>> =
            messages.iter().filter(|(tag, _)| *tag == b'D').map(|(_, row)| values(row)).collect();
        let is_aligned = !statement.has_star && outputs.len() == fields.len();
        for (at, field) in fields.iter().enumerate() {
            count("columns");
            // With a `*` among them nobody counts: then the whole answer is taken as one, and what the server does not describe is withheld.
            let own = if is_aligned { &outputs[at..=at] } else { &outputs[..] };
            let told = |table: &str, name: &str| {
                own.iter().any(|output| match output {
                    Output::Unknown => true,
                    Output::Direct => false,
                    Output::Computed(columns) => {
                        columns.iter().any(|column| catalog.may_be(column, &analysis, table, name))
                    }
                    Output::United { plain, computed } => {
                        let mut columns = plain.iter().chain(computed.iter().flatten());
                        columns.any(|column| catalog.may_be(column, &analysis, table, name))
                    }
                })
            };
            let origin = catalog
                .columns
                .get(field)
                .map(|column| (catalog.names[&field.0].as_str(), column.as_str()));
            if let Some((table, column)) = origin {
                count("columns with an origin");
                let is_direct = own.contains(&Output::Direct);
                if !is_direct && !told(table, column) {
                    leaks.push(format!("column {at} is {table}.{column}, and said to be {own:?}: {text}"));
                }
                let names = statement.columns.iter().any(|other| {
                    catalog.may_be(other, &analysis, table, column)
                        || *other.name == *"*"
                        || other.relation.is_none()
                });
                if !names && statement.kind == "select" && !text.starts_with("table ") {
                    leaks.push(format!("{table}.{column} is not among the columns that are named: {text}"));
                }
            }
            for (table, column, mark) in MARKS {
                if !rows.iter().any(|row| shows(&row[at], mark)) {
                    continue;
                }
                count("marks");
                // Whatever hides behind a function may read anything.
                let hidden = statement.effects.dynamic
                    || statement.functions.iter().any(|function| function.class == FunctionClass::Unknown);
                let is_named = statement.relations.iter().any(|relation| {
                    catalog
                        .by_name
                        .get(&*relation.name)
                        .into_iter()
                        .flatten()
                        .any(|oid| catalog.reaches(*oid, table))
                });
                if !is_named && !hidden {
                    leaks.push(format!("{table} is read and not named: {text}"));
                }
                let is_described = origin.is_some_and(|(from, as_named)| {
                    let through = catalog.reaches(field.0, table);
                    through && (as_named == *column || from != *table)
                });
                // Without an origin, what is not said to be computed from others is withheld.
                let is_withheld = field.0 == 0 && (!is_aligned || outputs[at] == Output::Direct);
                if is_withheld {
                    count("marks in columns that nobody describes");
                } else if is_described {
                    count("marks in columns that the server describes");
                } else if own.contains(&Output::Unknown) {
                    count("marks in columns whose lineage is unknown");
                } else if told(table, column) {
                    count("marks in columns that the lineage tells of");
                } else {
                    leaks.push(format!(
                        "column {at} shows {table}.{column}, and is said to be {own:?}: {text}"
                    ));
                }
            }
        }
    }
    for leak in leaks.iter().take(60) {
        println!("LEAK {leak}");
    }
    assert!(leaks.is_empty(), "{} leaks", leaks.len());
    assert!(seen["queries"] > 5_000);
    let mut rows: Vec<(String, usize)> =
        seen.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect();
    rows.push(("missed".to_owned(), leaks.len()));
    if server.version.starts_with(TABLE_VERSION) {
        page::hold_missed("lineage", &rows);
    }
}

/// Does the value show the mark, in capitals, backwards, in hexadecimal?
fn shows(value: &str, mark: &str) -> bool {
    let value = value.to_lowercase();
    let hexadecimal = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let backwards: String = mark.chars().rev().collect();
    [
        mark.to_owned(),
        hexadecimal(mark),
        hexadecimal(&backwards),
        hexadecimal(&mark.to_uppercase()),
        backwards,
    ]
    .iter()
    .any(|form| value.contains(form))
}
