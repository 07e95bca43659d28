//! The two readers against each other, and what may not stand between them.

use gatewright_model::sql::Grade;

use crate::{corpus, render::analyse};

#[test]
fn a012_a_backslash_in_a_bit_string_is_disputed() {
    // PostgreSQL ran the DELETE; to the second reader this is one statement (threats.md 4.3).
    let text = "create table if not exists people(a bit default x'\\'); delete from people where id=2 --')";
    let analysis = analyse(text);
    assert_eq!(analysis.grade, Grade::Disputed);
    assert_eq!(
        analysis.grade_reason.as_deref(),
        Some("the second reader counts another number of statements")
    );
    let kinds: Vec<&str> = analysis.statements.iter().map(|statement| statement.kind).collect();
    assert_eq!(kinds, ["create_table", "delete"], "what the server's grammar reads stays visible");
    assert!(analysis.effects().write);
}

#[test]
fn a012_statements_are_counted_as_the_server_counts_them() {
    for (text, count) in [
        (r"select 'a\'; select 2 --'", 2),
        (r"select E'a\'; select 2 --'", 1),
        (r"select '\''; delete from t; --'", 1),
        ("select $$a'; select 2 --$$", 1),
        ("select $a$x$$; select 2 $a$", 1),
        ("select 1 --\r; select 2", 2),
        ("select 1 --x; select 2", 1),
        ("select /* /* */ ; select 2 */ 1", 1),
        ("select 1 /* */ ; select 2", 2),
        ("select \"a;b\"", 1),
        (r#"select U&"\0061;" ; select 2"#, 2),
        (r"select U&'\0027; select 2'", 1),
        ("select 'a''; select 2 --'", 1),
        ("select 'a' ; select 2 --'", 2),
        (r"select x'\'; delete from t where id = 2 --'", 2),
    ] {
        let analysis = analyse(text);
        assert!(
            analysis.statements.len() == count || analysis.grade != Grade::Verified,
            "{text}: {} statements, {:?}",
            analysis.statements.len(),
            analysis.grade,
        );
        assert_eq!(analysis.statements.len(), count, "{text}");
    }
}

#[test]
fn a012_a_verified_lexer_case_never_hides_a_statement() {
    let cases = corpus::lexer::cases();
    assert!(cases.len() >= 2_000, "{}", cases.len());
    let mut verified = 0;
    for case in &cases {
        let analysis = analyse(case);
        if analysis.grade == Grade::Verified {
            verified += 1;
            for statement in analysis.statements.iter() {
                assert_eq!(statement.kind, "select", "{case:?}");
            }
        }
    }
    assert!(verified > 500, "the corpus must hold texts that are read, too: {verified}");
}

#[test]
fn a014_every_kind_of_statement_is_understood_and_has_a_kind() {
    let statements = corpus::statements();
    let mut kinds = std::collections::BTreeSet::new();
    for text in &statements {
        let analysis = analyse(text);
        // What follows a switch of how strings are read is not understood, and so it is not either.
        let switches = analysis.statements[0].kinds().any(|kind| kind == "set_lexing");
        let is_opaque = analysis.grade == Grade::Opaque && !switches;
        assert!(!is_opaque, "{text}: {:?}", analysis.grade_reason);
        for statement in analysis.statements.iter() {
            assert_ne!(statement.kind, "unknown", "{text}");
            kinds.insert(statement.kind);
        }
    }
    expect_test::expect![[r#"
        alter_aggregate
        alter_collation
        alter_database
        alter_database_set
        alter_default_privileges
        alter_domain
        alter_event_trigger
        alter_extension
        alter_foreign_data_wrapper
        alter_foreign_table
        alter_function
        alter_index
        alter_language
        alter_large_object
        alter_materialized_view
        alter_operator
        alter_operator_family
        alter_policy
        alter_procedure
        alter_publication
        alter_role
        alter_role_set
        alter_rule
        alter_schema
        alter_sequence
        alter_server
        alter_statistics
        alter_subscription
        alter_system
        alter_table
        alter_tablespace
        alter_text_search_configuration
        alter_text_search_dictionary
        alter_trigger
        alter_type
        alter_user_mapping
        alter_view
        analyze
        begin
        call
        checkpoint
        close_cursor
        close_cursor_all
        cluster
        comment
        commit
        commit_prepared
        copy_from
        copy_to
        create_access_method
        create_aggregate
        create_cast
        create_collation
        create_conversion
        create_database
        create_domain
        create_event_trigger
        create_extension
        create_foreign_data_wrapper
        create_foreign_table
        create_function
        create_index
        create_language
        create_materialized_view
        create_operator
        create_operator_class
        create_operator_family
        create_policy
        create_procedure
        create_publication
        create_role
        create_rule
        create_schema
        create_sequence
        create_server
        create_statistics
        create_subscription
        create_table
        create_table_as
        create_tablespace
        create_text_search_configuration
        create_text_search_dictionary
        create_text_search_parser
        create_text_search_template
        create_transform
        create_trigger
        create_type
        create_user_mapping
        create_view
        deallocate
        deallocate_all
        declare_cursor
        delete
        discard_all
        discard_plans
        discard_sequences
        discard_temp
        do
        drop_access_method
        drop_aggregate
        drop_cast
        drop_collation
        drop_conversion
        drop_database
        drop_domain
        drop_event_trigger
        drop_extension
        drop_foreign_data_wrapper
        drop_foreign_table
        drop_function
        drop_index
        drop_language
        drop_materialized_view
        drop_operator
        drop_operator_class
        drop_operator_family
        drop_owned
        drop_policy
        drop_procedure
        drop_publication
        drop_role
        drop_routine
        drop_rule
        drop_schema
        drop_sequence
        drop_server
        drop_statistics
        drop_subscription
        drop_table
        drop_tablespace
        drop_text_search_configuration
        drop_text_search_dictionary
        drop_text_search_parser
        drop_text_search_template
        drop_transform
        drop_trigger
        drop_type
        drop_user_mapping
        drop_view
        execute
        explain
        fetch
        grant
        grant_role
        import_foreign_schema
        insert
        listen
        load
        lock_table
        merge
        move
        notify
        prepare
        prepare_transaction
        reassign_owned
        refresh_materialized_view
        reindex
        release
        reset
        reset_all
        revoke
        revoke_role
        rollback
        rollback_prepared
        rollback_to_savepoint
        savepoint
        security_label
        select
        select_into
        set
        set_constraints
        set_lexing
        set_role
        set_search_path
        set_session_authorization
        set_transaction
        show
        start_transaction
        truncate
        unlisten
        update
        vacuum"#]]
    .assert_eq(&kinds.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Ordinary SQL must not be disputed: the second reader's known gaps are no objections.
#[test]
fn the_corpus_is_not_disputed() {
    let disputed: Vec<String> = corpus::statements()
        .into_iter()
        .filter_map(|text| {
            let analysis = analyse(&text);
            (analysis.grade == Grade::Disputed)
                .then(|| format!("{text} -- {}", analysis.grade_reason.as_deref().unwrap_or_default()))
        })
        .collect();
    expect_test::expect![""].assert_eq(&disputed.join("\n"));
}
