use super::*;

/// A relation in a range table.
fn table(oid: u32) -> String {
    format!("{{RTE :rtekind 0 :relid {oid}}}")
}

fn var(entry: usize, column: i16, levels: usize) -> String {
    format!("{{VAR :varno {entry} :varattno {column} :varlevelsup {levels}}}")
}

fn call(arguments: &[String]) -> String {
    format!("{{FUNCEXPR :funcid 871 :args ({})}}", arguments.join(" "))
}

fn query(range: &[String], values: &[String]) -> String {
    query_with("", range, values)
}

/// A query with further fields, which go before the usual ones.
fn query_with(fields: &str, range: &[String], values: &[String]) -> String {
    let entries: Vec<String> = (1..)
        .zip(values)
        .map(|(number, value)| {
            format!("{{TARGETENTRY :expr {value} :resno {number} :resname :resno :ressortgroupref {number} :resjunk false}}")
        })
        .collect();
    format!(
        "{{QUERY {fields} :hasTargetSRFs false :cteList <> :rtable ({}) :jointree <> :targetList ({}) :windowClause <> :setOperations <>}}",
        range.join(" "),
        entries.join(" ")
    )
}

fn subquery(query: &str) -> String {
    format!("{{RTE :rtekind 1 :lateral false :subquery {query}}}")
}

/// What the columns are made of: as they stand, computed, and does anything come from elsewhere?
fn made_of(query: &str) -> Vec<(i16, Vec<ColumnId>, Vec<ColumnId>, bool)> {
    let mut all: Vec<_> = of_view(format!("({query})").as_bytes(), &mut { LONGEST_OF_ALL })
        .into_iter()
        .map(|(number, sources)| (number, sources.plain, sources.computed, sources.others))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn a025_columns_of_subqueries_are_followed() {
    let inner = query(&[table(10)], &[var(1, 3, 0), call(&[var(1, 4, 0)])]);
    let outer = query(&[subquery(&inner)], &[var(1, 2, 0), var(1, 1, 0), call(&[var(1, 1, 0)])]);
    assert_eq!(
        made_of(&outer),
        [
            (1, vec![], vec![(10, 4)], true),
            (2, vec![(10, 3)], vec![], false),
            (3, vec![], vec![(10, 3)], true)
        ]
    );
}

#[test]
fn a025_each_arm_of_a_set_operation_counts() {
    let arms = [10, 20, 30].map(|oid| subquery(&query(&[table(oid)], &[var(1, 1, 0)])));
    let operations = ":setOperations {SETOPERATIONSTMT :larg {SETOPERATIONSTMT :larg {RANGETBLREF :rtindex 1} :rarg {RANGETBLREF :rtindex 2}} \
                      :rarg {RANGETBLREF :rtindex 3}}";
    assert_eq!(
        made_of(&query_with(operations, &arms, &[var(1, 1, 0)])),
        [(1, vec![(10, 1), (20, 1), (30, 1)], vec![], false)]
    );
}

#[test]
fn a025_a_recursive_query_comes_to_an_end() {
    let first = subquery(&query(&[table(10)], &[var(1, 1, 0), var(1, 2, 0)]));
    // Its second column is the first one of the row before.
    let again = query(
        &["{RTE :rtekind 6 :ctename r :ctelevelsup 2}".to_owned()],
        &[var(1, 1, 0), call(&[var(1, 1, 0)])],
    );
    let operation =
        ":setOperations {SETOPERATIONSTMT :larg {RANGETBLREF :rtindex 1} :rarg {RANGETBLREF :rtindex 2}}";
    let both = query_with(operation, &[first, subquery(&again)], &[var(1, 1, 0), var(1, 2, 0)]);
    let with = format!(
        ":cteList ({{COMMONTABLEEXPR :ctename q :ctequery <>}} {{COMMONTABLEEXPR :ctename r :ctequery {both}}})"
    );
    let view = query_with(
        &with,
        &["{RTE :rtekind 6 :ctename r :ctelevelsup 0}".to_owned()],
        &[var(1, 1, 0), var(1, 2, 0)],
    );
    assert_eq!(
        made_of(&view),
        [(1, vec![(10, 1)], vec![], false), (2, vec![(10, 2)], vec![(10, 1)], true)]
    );
}

#[test]
fn a025_a_value_of_a_subquery_is_made_of_all_that_it_uses() {
    let inner = query_with(
        &format!(":havingQual {}", call(&[var(1, 3, 0), var(1, 2, 1)])),
        &[
            table(20),
            subquery(&query_with(
                &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 9, 2)),
                &[table(30)],
                &[var(1, 1, 0)],
            )),
        ],
        &[var(1, 1, 0)],
    );
    let link = format!("{{SUBLINK :subLinkType 4 :testexpr <> :subselect {inner}}}");
    assert_eq!(
        made_of(&query(&[table(10)], &[link, var(1, 1, 0)])),
        [
            (1, vec![], vec![(10, 2), (10, 9), (20, 1), (20, 3), (30, 1)], true),
            (2, vec![(10, 1)], vec![], false)
        ]
    );
}

#[test]
fn a025_a_window_function_or_aggregate_depends_on_the_order_of_rows() {
    let window = "{WINDOWFUNC :winfnoid 3100 :args <> :winref 1}".to_owned();
    let sorted = subquery(&query(&[table(20)], &[var(1, 7, 0)]));
    for function in [window, "{AGGREF :args <> :agglevelsup 0}".to_owned()] {
        assert_eq!(
            made_of(&query(&[table(10), sorted.clone()], &[function, var(1, 3, 0)])),
            [(1, vec![], vec![(10, 3), (20, 7)], true), (2, vec![(10, 3)], vec![], false)]
        );
    }
    let framed =
        ":windowClause ({WINDOWCLAUSE :endOffset {VAR :varno 1 :varattno 9 :varlevelsup 0} :winref 1})";
    assert_eq!(
        made_of(&query_with(framed, &[table(10)], &["{WINDOWFUNC :args <> :winref 1}".to_owned()])),
        [(1, vec![], vec![(10, 9)], true)]
    );
}

#[test]
fn a025_an_aggregate_depends_on_what_makes_the_rows_that_it_gets() {
    let count = || "{AGGREF :args <> :agglevelsup 0}".to_owned();
    let counted = |entry: String| made_of(&query(&[entry], &[count()]));
    let chosen = query_with(
        &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 3, 0)),
        &[table(10)],
        &[],
    );
    let copied = query(&[table(10)], &[call(&[var(1, 4, 0)])]).replace("SRFs false", "SRFs true");
    let plain = query(&[table(10)], &[var(1, 3, 0)]).replace("ressortgroupref 1", "ressortgroupref 0");
    assert_eq!(counted(subquery(&chosen)), [(1, vec![], vec![(10, 3)], true)]);
    assert_eq!(counted(subquery(&copied)), [(1, vec![], vec![(10, 4)], true)]);
    assert_eq!(counted(subquery(&plain)), [(1, vec![], vec![], true)]);
    assert_eq!(counted(subquery(&query(&[subquery(&chosen)], &[]))), [(1, vec![], vec![(10, 3)], true)]);
    let function = format!("{{RTE :rtekind 3 :functions ({})}}", call(&[var(1, 5, 1)]));
    let inner = query(&[function], &[count()]);
    let link = format!("{{SUBLINK :subselect {inner}}}");
    assert_eq!(made_of(&query(&[table(10)], &[link])), [(1, vec![], vec![(10, 5)], true)]);
    // Of the query around it.
    let inner = query(&[], &[count().replace("levelsup 0", "levelsup 1")]);
    let link = format!("{{SUBLINK :subselect {inner}}}");
    assert_eq!(made_of(&query(&[subquery(&chosen)], &[link])), [(1, vec![], vec![(10, 3)], true)]);
    // Of what is not known, nobody can say how many rows it has.
    for unknown in ["{RTE :rtekind 7}", "{RTE :rtekind 77}", "{RTE :relid 10}"] {
        assert_eq!(counted(unknown.to_owned()), [], "{unknown}");
    }
    // What the view itself chooses its rows by is its own affair.
    let own = query_with(
        &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 3, 0)),
        &[table(10)],
        &[count()],
    );
    assert_eq!(made_of(&own), [(1, vec![], vec![], true)]);
}

#[test]
fn a025_what_is_asked_anew_for_each_row_is_made_of_all_that_it_uses() {
    let inner = query_with(&format!(":limitCount {}", var(1, 3, 1)), &[table(20)], &[var(1, 1, 0)]);
    let lateral = |word: &str| format!("{{RTE :rtekind 1 :lateral {word} :subquery {inner}}}");
    let made_with = |entry: String| made_of(&query(&[table(10), entry], &[var(2, 1, 0)]));
    assert_eq!(made_with(lateral("true")), [(1, vec![(20, 1)], vec![(10, 3), (20, 1)], true)]);
    assert_eq!(made_with(lateral("false")), [(1, vec![(20, 1)], vec![], false)]);
}

/// A subquery that asks a CTE beside it tells how many rows that has, and which.
#[test]
fn a025_a_value_of_a_subquery_is_made_of_what_the_ctes_use_that_it_reads() {
    let with = query_with(
        &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 3, 0)),
        &[table(10)],
        &[var(1, 1, 0)],
    );
    let with = format!(":cteList ({{COMMONTABLEEXPR :ctename r :ctequery {with}}})");
    let inner = query(&["{RTE :rtekind 6 :ctename r :ctelevelsup 1}".to_owned()], &[]);
    let link = format!("{{SUBLINK :subselect {inner}}}");
    assert_eq!(
        made_of(&query_with(&with, &[table(20)], &[link, var(1, 1, 0)])),
        [(1, vec![], vec![(10, 1), (10, 3)], true), (2, vec![(20, 1)], vec![], false)]
    );
}

#[test]
fn so_much_is_looked_at_and_no_more() {
    let view = format!("({})", query(&[table(10)], &[call(&[var(1, 1, 0)]), call(&[var(1, 2, 0)])]));
    let mut left = 1_000;
    assert_eq!(of_view(view.as_bytes(), &mut left).len(), 2);
    let taken = 1_000 - left;
    for given in 0..taken {
        let mut left = given;
        assert!(of_view(view.as_bytes(), &mut left).len() < 2 && left == 0, "{given}");
    }
}

#[test]
fn a025_columns_of_joins_and_of_what_is_given_row_by_row_are_followed() {
    let join = format!(
        "{{RTE :rtekind 2 :joinaliasvars ({} {} <>)}}",
        call(&[var(1, 1, 0), var(2, 1, 0)]),
        var(1, 2, 0)
    );
    let values = format!("{{RTE :rtekind 5 :values_lists (({}) ({}))}}", var(1, 7, 0), call(&[]));
    let function =
        format!("{{RTE :rtekind 3 :functions ({{RANGETBLFUNCTION :funcexpr {}}})}}", var(2, 5, 0));
    let range = [table(10), table(20), join, values, function];
    let columns = [var(3, 1, 0), var(3, 2, 0), var(4, 1, 0), var(5, 1, 0), call(&[var(3, 1, 0)])];
    assert_eq!(
        made_of(&query(&range, &columns)),
        [
            (1, vec![], vec![(10, 1), (20, 1)], true),
            (2, vec![(10, 2)], vec![], false),
            (3, vec![], vec![(10, 7)], true),
            (4, vec![], vec![(20, 5)], true),
            (5, vec![], vec![(10, 1), (20, 1)], true)
        ]
    );
}

#[test]
fn a025_what_an_outer_join_adds_depends_on_its_condition_and_on_what_makes_its_rows() {
    let chosen = query_with(
        &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 3, 0)),
        &[table(30)],
        &[var(1, 1, 0), "{CONST}".to_owned()],
    )
    .replace(":ressortgroupref ", ":ressortgroupref 0 :was ");
    let range = [table(10), table(20), subquery(&chosen)];
    let made_by = |tables: String| {
        let from = format!(":jointree {{FROMEXPR :fromlist ({tables}) :quals <>}}");
        let columns = [var(1, 2, 0), var(2, 2, 0), var(3, 2, 0)];
        made_of(&query_with(&from, &range, &columns))
    };
    let entry = |number: usize| format!("{{RANGETBLREF :rtindex {number}}}");
    let join = |kind: usize, left: &str, right: &str, quals: &str| {
        format!("{{JOINEXPR :jointype {kind} :larg {left} :rarg {right} :quals {quals}}}")
    };
    let columns = |each: [&[ColumnId]; 3]| {
        let [first, second, third] = each.map(<[_]>::to_vec);
        [(1, vec![(10, 2)], first, false), (2, vec![(20, 2)], second, false), (3, vec![], third, true)]
    };
    let condition = var(1, 7, 0);
    let inner = join(0, &entry(1), &entry(2), &condition);
    // Rows of the view itself.
    assert_eq!(made_by(join(0, &inner, &entry(3), "<>")), columns([&[], &[], &[]]));
    // In the subquery's rows there is what chooses them.
    let left = join(1, &inner, &entry(3), &var(2, 8, 0));
    assert_eq!(made_by(left), columns([&[], &[], &[(20, 8), (30, 3)]]));
    let right = join(3, &inner, &entry(3), &var(2, 8, 0));
    assert_eq!(made_by(right), columns([&[(10, 7), (20, 8)], &[(10, 7), (20, 8)], &[]]));
    let full = join(2, &entry(3), &inner, "<>");
    assert_eq!(made_by(full), columns([&[(10, 7)], &[(10, 7)], &[(30, 3)]]));
    // Where that is in a chain of joins makes no difference.
    let nested = join(1, &entry(1), &join(1, &entry(2), &entry(3), "<>"), &condition);
    assert_eq!(made_by(nested), columns([&[], &[(10, 7), (30, 3)], &[(10, 7), (30, 3)]]));
    // Of a kind that no view can have, nobody knows what it does.
    assert_eq!(made_by(join(4, &inner, &entry(3), "<>")), []);
    assert_eq!(made_by("{NEWEXPR}".to_owned()), []);
}

#[test]
fn a025_what_is_not_followed_is_not_known() {
    let is_known = |range: &[String], value: String| !made_of(&query(range, &[value])).is_empty();
    let join = "{RTE :rtekind 2 :joinaliasvars (<>)}".to_owned();
    assert!(is_known(&[table(10)], var(1, 1, 0)));
    for (range, value) in [
        (table(10), var(1, 0, 0)),
        (table(10), var(1, -1, 0)),
        (table(10), var(2, 1, 0)),
        (table(10), var(0, 1, 0)),
        (table(10), var(1, 1, 1)),
        (table(10), call(&[var(1, 0, 0)])),
        ("{RTE :rtekind 7}".to_owned(), var(1, 1, 0)),
        ("{RTE :rtekind 77}".to_owned(), var(1, 1, 0)),
        ("{RTE :relid 10}".to_owned(), var(1, 1, 0)),
        ("{RTE :rtekind 6 :ctename r :ctelevelsup 0}".to_owned(), var(1, 1, 0)),
        ("{RTE :rtekind 1 :subquery <>}".to_owned(), var(1, 1, 0)),
        ("{RTE :rtekind 5}".to_owned(), var(1, 1, 0)),
        (join, var(1, 2, 0)),
    ] {
        assert!(!is_known(std::slice::from_ref(&range), value.clone()), "{range} {value}");
    }
    for tree in ["", "<>", "()", "({QUERY", "(1)", "({QUERY} {QUERY})"] {
        assert!(of_view(tree.as_bytes(), &mut { LONGEST_OF_ALL }).is_empty(), "{tree}");
    }
}

/// Each column of a level is made of two of the level below: twice as many ways with each.
#[test]
fn a025_many_ways_to_one_column_are_walked_once() {
    let pair = |range: String| {
        let both = call(&[var(1, 1, 0), var(1, 2, 0)]);
        query(&[range], &[both.clone(), both])
    };
    let nested = (0..40).fold(pair(table(10)), |inner, _| pair(subquery(&inner)));
    assert_eq!(made_of(&nested).len(), 2);
    let deeper = (0..400).fold(pair(table(10)), |inner, _| pair(subquery(&inner)));
    assert_eq!(made_of(&deeper), []);
}
