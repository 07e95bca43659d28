//! Hides columns and detected values from everyone who is not in an exempt group.
//!
//! The plan does not depend on the statement, and that is on purpose: a view, a function or a cursor reads
//! a column that no statement names. The gateway finds out for each answer where its columns come from; a
//! policy that looked for names in the text would be the way around itself.

use gatewright_policy_sdk::{
    ColumnMask, ConditionLimit, Detector, DetectorMask, Effect, Event, Mask, Method, Principal, Verdict,
    policy, settings::RelationName,
};
use schemars::JsonSchema;
use serde::Deserialize;

policy! {
    name: "mask-columns",
    kinds: ["sql.*"],
    settings: Settings,
    evaluate: evaluate,
}

/// What is hidden, and from whom not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Members of these groups see everything. Default: none.
    #[serde(default)]
    pub exempt_groups: Vec<String>,
    /// Columns to hide. Default: none.
    #[serde(default)]
    pub columns: Vec<ColumnRule>,
    /// Values to look for in every text that is answered. Default: none.
    #[serde(default)]
    pub detectors: Vec<DetectorRule>,
}

/// A column to hide.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnRule {
    /// The relation by its full name: `public.people`.
    pub relation: RelationName,
    /// The column, as PostgreSQL stores its name.
    pub column: String,
    /// `"redact"`, `"hash"`, or `{ partial = 4 }` to leave the last 4 characters.
    pub method: Method,
    /// How often in an hour one principal may send a statement that chooses, joins, groups, sorts, counts or compares rows by the column (`where
    /// ssn like '1%'`), computes from it or stores a value in it: each is a guess at its values, and one statement can be many. `0` for never. Default: as
    /// often as they like.
    pub conditions: Option<u32>,
    /// Members of these groups see this column. Default: none.
    #[serde(default)]
    pub exempt_groups: Vec<String>,
}

/// A kind of value to hide wherever it is found.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectorRule {
    /// `"card_number"`, `"ssn"` or `"email"`.
    pub detector: Detector,
    /// `"redact"`, `"hash"`, or `{ partial = 4 }` to leave the last 4 characters.
    pub method: Method,
    /// Members of these groups see these values. Default: none.
    #[serde(default)]
    pub exempt_groups: Vec<String>,
}

/// Judges one request.
pub fn evaluate(event: &Event, settings: &Settings) -> Verdict {
    let Some(sql) = event.sql() else {
        return Verdict::block("sql-only", "this policy judges SQL only", "");
    };
    // BEGIN, COMMIT and their like answer with no row. Nothing else is trusted not to.
    let mut statements = sql.statements().peekable();
    if statements.peek().is_some()
        && statements.all(|statement| statement.effects().is_only(&[Effect::Transaction]))
        && sql.has_effect(Effect::Transaction)
    {
        return Verdict::Allow;
    }
    let principal = event.principal();
    if principal.in_any_group(&settings.exempt_groups) {
        return Verdict::Allow;
    }
    plan(&principal, settings).into()
}

fn plan(principal: &Principal, settings: &Settings) -> Mask {
    let columns: Vec<_> =
        settings.columns.iter().filter(|rule| !principal.in_any_group(&rule.exempt_groups)).collect();
    let detectors = settings.detectors.iter().filter(|rule| !principal.in_any_group(&rule.exempt_groups));
    Mask {
        columns: columns.iter().map(|rule| rule.mask()).collect(),
        conditions: columns.iter().filter_map(|rule| rule.limit()).collect(),
        detectors: detectors.map(DetectorRule::mask).collect(),
        ..Mask::default()
    }
}

impl ColumnRule {
    fn mask(&self) -> ColumnMask {
        ColumnMask {
            schema: self.relation.schema.clone().into(),
            relation: self.relation.name.clone().into(),
            column: self.column.clone().into(),
            method: self.method,
            rule: "column".into(),
        }
    }
}

impl ColumnRule {
    fn limit(&self) -> Option<ConditionLimit> {
        self.conditions.map(|most| ConditionLimit {
            schema: self.relation.schema.clone().into(),
            relation: self.relation.name.clone().into(),
            column: self.column.clone().into(),
            most,
        })
    }
}

impl DetectorRule {
    fn mask(&self) -> DetectorMask {
        DetectorMask { detector: self.detector, method: self.method, rule: self.detector.as_str().into() }
    }
}

#[cfg(test)]
mod tests {
    use gatewright_policy_sdk::{
        Access,
        testkit::{self, EventBuilder, StatementBuilder},
    };

    use super::*;

    fn settings() -> Settings {
        testkit::settings(
            r#"{
                "exempt_groups": ["privacy"],
                "columns": [
                    {"relation": "public.people", "column": "ssn", "method": {"partial": 4}, "conditions": 0},
                    {"relation": "public.people", "column": "card", "method": "hash",
                     "exempt_groups": ["billing"]}
                ],
                "detectors": [{"detector": "email", "method": "redact"}]
            }"#,
        )
        .unwrap()
    }

    fn select() -> EventBuilder {
        EventBuilder::query("select * from people").statement(
            StatementBuilder::new("select").effects([Effect::Read]).relation("people", Access::Read),
        )
    }

    fn columns(event: &EventBuilder) -> Vec<String> {
        match evaluate(&event.event(), &settings()) {
            Verdict::Mask(mask) => mask.columns.iter().map(|column| column.column.to_string()).collect(),
            other => panic!("not a mask: {other:?}"),
        }
    }

    #[test]
    fn a028_conditions_are_limited_where_the_rule_says_so() {
        let Verdict::Mask(mask) = evaluate(&select().event(), &settings()) else { panic!("not a mask") };
        let limits: Vec<_> = mask.conditions.iter().map(|limit| (&*limit.column, limit.most)).collect();
        assert_eq!(limits, [("ssn", 0)]);
    }

    #[test]
    fn columns_and_detectors_are_hidden() {
        let Verdict::Mask(mask) = evaluate(&select().event(), &settings()) else { panic!("not a mask") };
        assert_eq!(mask.columns[0].column, "ssn");
        assert_eq!(mask.columns[0].schema, "public");
        assert_eq!(mask.columns[0].method, Method::Partial(4));
        assert_eq!(mask.columns[1].method, Method::Hash);
        assert_eq!(mask.detectors[0].detector, Detector::Email);
    }

    #[test]
    fn exempt_groups_see_everything_or_one_column() {
        let event = select().groups(["privacy"]);
        assert_eq!(evaluate(&event.event(), &settings()), Verdict::Allow);
        assert_eq!(columns(&select().groups(["billing"])), ["ssn"]);
    }

    #[test]
    fn what_names_no_table_is_masked_too() {
        let view = EventBuilder::query("select * from everyone_view").statement(
            StatementBuilder::new("select").effects([Effect::Read]).relation("everyone_view", Access::Read),
        );
        assert_eq!(columns(&view), ["ssn", "card"]);
        let fetch = EventBuilder::query("fetch c").statement(StatementBuilder::new("fetch"));
        assert_eq!(columns(&fetch), ["ssn", "card"]);
        assert_eq!(columns(&EventBuilder::query("")), ["ssn", "card"]);
    }

    #[test]
    fn a_transaction_statement_is_let_through_only_alone() {
        let begin = || StatementBuilder::new("begin").effects([Effect::Transaction]);
        let event = EventBuilder::query("begin").statement(begin());
        assert_eq!(evaluate(&event.event(), &settings()), Verdict::Allow);
        let event = select().statement(begin());
        assert_eq!(columns(&event), ["ssn", "card"]);
    }

    #[test]
    fn a_rule_must_name_the_schema() {
        let error = testkit::settings::<Settings>(
            r#"{"columns": [{"relation": "people", "column": "ssn", "method": "hash"}]}"#,
        )
        .unwrap_err();
        assert_eq!(error, "`people` is not the full name of a relation: write `schema.name`");
    }

    #[test]
    fn a_method_keeps_at_most_64() {
        let settings = testkit::settings::<Settings>(
            r#"{"detectors": [{"detector": "ssn", "method": {"partial": 65}}]}"#,
        );
        assert_eq!(settings.unwrap_err(), "`partial` may keep at most 64 characters");
    }
}
