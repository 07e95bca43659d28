//! Holds statements until reviewers decide: by what they are, what they do, or which relation they touch.
//!
//! A statement that is only being prepared does nothing: it passes, and is held when it is run. Unless it
//! calls a function that is not PostgreSQL's own: the server may run that to plan the statement, before
//! anybody executes it. Then it is held both times.
//!
//! What runs code that can not be seen (`DO`, `CALL`, an `EXECUTE` of an unknown name) may be any of the things
//! that are held, and is held like them.

use gatewright_policy_sdk::{
    Access, Effect, Escalation, Event, FunctionClass, Sql, Statement, Verdict, policy,
    settings::{Quorum, RelationName, StatementPattern, Ttl},
};
use schemars::JsonSchema;
use serde::Deserialize;

policy! {
    name: "escalate-changes",
    kinds: ["sql.*"],
    settings: Settings,
    evaluate: evaluate,
}

/// What is held, and who decides.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Kinds that are held, like `truncate` or `drop_*`: `gatewright policy kinds` lists them. Default: none.
    #[serde(default)]
    pub kinds: Vec<StatementPattern>,
    /// Effects that are held, like `ddl`. Default: none.
    #[serde(default)]
    pub effects: Vec<Effect>,
    /// Relations whose use is held. Default: none.
    #[serde(default)]
    pub relations: Vec<RelationRule>,
    /// Is code that can not be seen held too, where anything is? Default: true.
    #[serde(default = "held")]
    pub unseen: bool,
    /// Members of these groups are not held. Default: none.
    #[serde(default)]
    pub exempt_groups: Vec<String>,
    /// Groups whose members may decide. Default: the reviewers that the gateway's configuration names.
    #[serde(default)]
    pub reviewers: Vec<String>,
    /// How many different reviewers must approve, 1 to 16. Default: 1.
    #[serde(default)]
    pub quorum: Quorum,
    /// How long to wait for them, 1 second to 7 days: `30s`, `10m`, `2h`, `1d`. Default: `10m`.
    #[serde(default)]
    pub ttl: Ttl,
}

const fn held() -> bool {
    true
}

/// A relation whose use is held.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelationRule {
    /// The relation by its full name: `public.people`.
    pub relation: RelationName,
    /// `"read"`, `"write"` or `"define"`. Default: any.
    #[serde(default)]
    pub access: Option<Access>,
}

/// Judges one request.
pub fn evaluate(event: &Event, settings: &Settings) -> Verdict {
    let Some(sql) = event.sql() else {
        return Verdict::block("sql-only", "this policy judges SQL only", "");
    };
    if event.principal().in_any_group(&settings.exempt_groups)
        || (event.kind() == "sql.parse" && !sql.statements().any(runs_while_planned))
    {
        return Verdict::Allow;
    }
    let held = touched(&sql, settings)
        .or_else(|| sql.statements().find_map(|statement| changing(statement, settings)));
    match held {
        Some((rule, reason)) => Verdict::Escalate(Escalation {
            reviewers: settings.reviewers.iter().map(|group| group.clone().into()).collect(),
            quorum: settings.quorum.get(),
            ttl: settings.ttl.get(),
            ..Escalation::new(rule, reason)
        }),
        None => Verdict::Allow,
    }
}

/// Could the server run code of somebody's own to plan it? A function can be declared immutable, whatever
/// it does.
fn runs_while_planned(statement: Statement) -> bool {
    statement.functions().any(|function| function.class() == FunctionClass::Unknown)
}

fn touched(sql: &Sql, settings: &Settings) -> Option<(&'static str, String)> {
    let rule = settings
        .relations
        .iter()
        .find(|rule| sql.touches(&rule.relation.schema, &rule.relation.name, rule.access))?;
    let RelationName { schema, name } = &rule.relation;
    Some(("relation", format!("the use of `{schema}.{name}` needs an approval")))
}

fn changing(statement: Statement, settings: &Settings) -> Option<(&'static str, String)> {
    let held = |kind: &String| settings.kinds.iter().any(|pattern| pattern.matches(kind));
    if let Some(kind) = statement.kinds().into_iter().find(held) {
        return Some(("kind", format!("`{kind}` needs an approval")));
    }
    let effects = statement.effects();
    if let Some(effect) = settings.effects.iter().find(|effect| effects.contains(**effect)) {
        return Some(("effect", format!("the effect `{}` needs an approval", effect.as_str())));
    }
    let holds_anything =
        !(settings.kinds.is_empty() && settings.effects.is_empty() && settings.relations.is_empty());
    (settings.unseen && holds_anything && effects.contains(Effect::Dynamic))
        .then(|| ("unseen", "code that can not be seen needs an approval".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gatewright_policy_sdk::testkit::{self, EventBuilder, StatementBuilder};

    use super::*;

    fn settings(json: &str) -> Settings {
        testkit::settings(json).unwrap()
    }

    fn drop_table() -> StatementBuilder {
        StatementBuilder::new("drop_table").effects([Effect::Ddl]).relation("people", Access::Define)
    }

    #[track_caller]
    fn check(json: &str, event: &EventBuilder, rule: Option<&str>) {
        let named = match evaluate(&event.event(), &settings(json)) {
            Verdict::Escalate(escalation) => Some(escalation.rule.into_owned()),
            Verdict::Allow => None,
            other => panic!("unexpected answer: {other:?}"),
        };
        assert_eq!(named.as_deref(), rule);
    }

    #[test]
    fn a_drop_is_held_for_the_reviewers() {
        let settings = settings(r#"{"kinds": ["drop_*"], "reviewers": ["dba"], "quorum": 2, "ttl": "2h"}"#);
        let event = EventBuilder::query("drop table people").statement(drop_table());
        let Verdict::Escalate(escalation) = evaluate(&event.event(), &settings) else { panic!("not held") };
        assert_eq!(escalation.reviewers, ["dba"]);
        assert_eq!(escalation.quorum, 2);
        assert_eq!(escalation.ttl, Duration::from_secs(7200));
        assert_eq!(escalation.reason, "`drop_table` needs an approval");
    }

    #[test]
    fn kinds_effects_and_relations_hold() {
        let event = EventBuilder::query("drop table people").statement(drop_table());
        check(r#"{"kinds": ["drop_*"]}"#, &event, Some("kind"));
        check(r#"{"effects": ["ddl"]}"#, &event, Some("effect"));
        check(r#"{"relations": [{"relation": "public.people"}]}"#, &event, Some("relation"));
        check(r#"{"relations": [{"relation": "public.people", "access": "write"}]}"#, &event, None);
        check(r#"{"kinds": ["truncate"]}"#, &event, None);
    }

    #[test]
    fn the_second_statement_is_held_too() {
        let select = StatementBuilder::new("select").effects([Effect::Read]);
        let event = EventBuilder::query("select 1; drop table people").statement(select);
        check(r#"{"kinds": ["drop_*"]}"#, &event.statement(drop_table()), Some("kind"));
    }

    #[test]
    fn preparing_passes_and_running_is_held() {
        let prepare = EventBuilder::parse("drop table people").statement(drop_table());
        check(r#"{"kinds": ["drop_*"]}"#, &prepare, None);
        let run = EventBuilder::execute("drop table people").statement(drop_table());
        check(r#"{"kinds": ["drop_*"]}"#, &run, Some("kind"));
    }

    #[test]
    fn preparing_what_may_run_while_it_is_planned_is_held() {
        let calls =
            |class| StatementBuilder::new("select").effects([Effect::Write]).function("our_own", class);
        let prepare = |class| EventBuilder::parse("select our_own()").statement(calls(class));
        check(r#"{"effects": ["write"]}"#, &prepare(FunctionClass::Unknown), Some("effect"));
        check(r#"{"effects": ["write"]}"#, &prepare(FunctionClass::Changing), None);
        check(r#"{"kinds": ["drop_*"]}"#, &prepare(FunctionClass::Unknown), None);
    }

    #[test]
    fn what_can_not_be_seen_is_held_where_anything_is() {
        let block = StatementBuilder::new("do").effects([Effect::Write, Effect::Dynamic]);
        let event = EventBuilder::query("do $$ drop table people $$").statement(block);
        for json in [
            r#"{"kinds": ["drop_*"]}"#,
            r#"{"effects": ["ddl"]}"#,
            r#"{"relations": [{"relation": "public.people"}]}"#,
        ] {
            check(json, &event, Some("unseen"));
        }
        check(r#"{"kinds": ["drop_*"], "unseen": false}"#, &event, None);
        check("{}", &event, None);
    }

    #[test]
    fn the_exempt_are_not_held() {
        let event = EventBuilder::query("drop table people").statement(drop_table()).groups(["dba"]);
        check(r#"{"kinds": ["drop_*"], "exempt_groups": ["dba"]}"#, &event, None);
    }

    #[test]
    fn bounds_are_checked_at_load() {
        let error = |json| testkit::settings::<Settings>(json).unwrap_err();
        assert_eq!(error(r#"{"quorum": 0}"#), "`quorum` must be from 1 to 16");
        assert!(error(r#"{"ttl": "8d"}"#).starts_with("`8d` is not a time"));
        assert!(error(r#"{"ttl": "10"}"#).starts_with("`10` is not a time"));
        assert!(error(r#"{"kind": []}"#).starts_with("unknown field `kind`"));
    }
}
