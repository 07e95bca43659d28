use gatewright_policy_sdk::{
    Access, Effect, FunctionClass, Grade, Verdict,
    testkit::{self, EventBuilder, StatementBuilder},
};

use super::*;

#[track_caller]
fn check(settings: &str, event: &EventBuilder, rule: Option<&str>) {
    let settings: Settings = testkit::settings(settings).unwrap();
    let named = match evaluate(&event.event(), &settings) {
        Verdict::Block(block) => Some(block.rule.into_owned()),
        Verdict::Allow => None,
        other => panic!("unexpected answer: {other:?}"),
    };
    assert_eq!(named.as_deref(), rule);
}

fn statement(kind: &str, effects: &[Effect]) -> StatementBuilder {
    StatementBuilder::new(kind).effects(effects.iter().copied())
}

fn request(statement: StatementBuilder) -> EventBuilder {
    EventBuilder::query("as the builder says").statement(statement)
}

#[test]
fn a_plain_select_passes() {
    let select = statement("select", &[Effect::Read]).relation("people", Access::Read);
    check("{}", &request(select), None);
}

#[test]
fn an_empty_text_passes() {
    check("{}", &EventBuilder::query(""), None);
}

#[test]
fn update_and_delete_need_a_where() {
    for kind in ["update", "delete"] {
        let bare = statement(kind, &[Effect::Write]).has_where(false);
        check("{}", &request(bare.clone()), Some("where-required"));
        check("{}", &request(bare.has_where(true)), None);
    }
}

#[test]
fn only_the_listed_kind_needs_a_where() {
    let update = statement("update", &[Effect::Write]).has_where(false);
    check(r#"{"require_where": ["delete"]}"#, &request(update), None);
}

#[test]
fn a_delete_in_a_cte_or_explain_is_no_way_around() {
    for kind in ["select", "explain", "prepare", "insert"] {
        let hidden = statement(kind, &[Effect::Read, Effect::Write]).has_where(false);
        check(r#"{"require_where": ["delete"]}"#, &request(hidden), Some("where-required"));
    }
}

#[test]
fn the_second_statement_is_judged_too() {
    let two = request(statement("select", &[Effect::Read]))
        .statement(statement("delete", &[Effect::Write]).has_where(false));
    check("{}", &two, Some("where-required"));
}

#[test]
fn what_was_not_understood_is_refused_even_for_the_exempt() {
    let event = EventBuilder::query("?").groups(["admins"]);
    let settings = r#"{"exempt_groups": ["admins"]}"#;
    check(settings, &event.clone().grade(Grade::Opaque), Some("grade-opaque"));
    check(settings, &event.clone().grade(Grade::Disputed), Some("grade-disputed"));
    check(r#"{"allow_grades": ["disputed"]}"#, &event.grade(Grade::Disputed), None);
}

#[test]
fn dynamic_sql_and_host_access_are_refused_by_default() {
    check("{}", &request(statement("do", &[Effect::Dynamic])), Some("effect-dynamic"));
    check("{}", &request(statement("copy_to", &[Effect::HostAccess])), Some("effect-host_access"));
}

#[test]
fn kinds_are_denied_by_pattern_or_allowed_by_list() {
    let drop = request(statement("drop_table", &[Effect::Ddl]));
    check(r#"{"deny_kinds": ["drop_*"]}"#, &drop, Some("kind-denied"));
    check(r#"{"only_kinds": ["select"]}"#, &drop, Some("kind-not-listed"));
    check(r#"{"only_kinds": ["drop_table"]}"#, &drop, None);
    check(r#"{"only_kinds": []}"#, &drop, Some("kind-not-listed"));
}

#[test]
fn roles_can_not_be_switched() {
    for kind in ["set_role", "set_session_authorization", "alter_role_set", "alter_database_set"] {
        check("{}", &request(statement(kind, &[Effect::Session])), Some("role-switch"));
    }
    check(r#"{"allow_role_switch": true}"#, &request(statement("set_role", &[Effect::Session])), None);
}

#[test]
fn functions_are_denied_by_name_in_any_schema_and_by_class() {
    let sleep =
        |name: &str| request(statement("select", &[Effect::Read]).function(name, FunctionClass::Unknown));
    check(r#"{"deny_functions": ["pg_sleep*"]}"#, &sleep("pg_sleep"), Some("function-denied"));
    check(
        r#"{"deny_functions": ["pg_sleep*"]}"#,
        &sleep("pg_catalog.pg_sleep_for"),
        Some("function-denied"),
    );
    check(r#"{"deny_function_classes": ["unknown"]}"#, &sleep("own"), Some("function-denied"));
    check(r#"{"deny_function_classes": ["host"]}"#, &sleep("own"), None);
}

#[test]
fn members_of_read_only_groups_change_nothing() {
    let settings = r#"{"read_only_groups": ["analysts"]}"#;
    for effects in [&[Effect::Write], &[Effect::Ddl]] {
        let change = request(statement("insert", effects));
        check(settings, &change.clone().groups(["analysts"]), Some("read-only"));
        check(settings, &change, None);
    }
    let read = request(statement("select", &[Effect::Read])).groups(["analysts"]);
    check(settings, &read, None);
}

#[test]
fn the_exempt_are_held_to_no_rule() {
    let bare = request(statement("delete", &[Effect::Write]).has_where(false)).groups(["admins"]);
    check(r#"{"exempt_groups": ["admins"]}"#, &bare, None);
}

#[test]
fn a_misspelt_setting_is_an_error() {
    let error = testkit::settings::<Settings>(r#"{"requires_where": []}"#).unwrap_err();
    assert!(
        error.starts_with("unknown field `requires_where`, expected one of `require_where`"),
        "{error}"
    );
    assert!(testkit::settings::<Settings>(r#"{"deny_effects": ["writes"]}"#).is_err());
    assert!(testkit::settings::<Settings>(r#"{"require_where": ["insert"]}"#).is_err());
}
