//! The settings, with their defaults. `gatewright policy inspect` prints them as a JSON schema.

use gatewright_policy_sdk::{Effect, FunctionClass, Grade};
use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use gatewright_policy_sdk::settings::{Pattern, StatementPattern};

/// Which statements are refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Of `update` and `delete`, those that must have a WHERE clause, also inside of CTEs, EXPLAIN and
    /// PREPARE. A condition that lets every row through is none. MERGE that updates or deletes must have one
    /// if either is listed: ON, or the condition of its WHEN. Default: both.
    pub require_where: Vec<WhereKind>,
    /// Kinds that are refused, like `truncate` or `drop_*`: `gatewright policy kinds` lists them. Default: none.
    pub deny_kinds: Vec<StatementPattern>,
    /// If set, kinds that are not listed are refused. Default: not set.
    pub only_kinds: Option<Vec<StatementPattern>>,
    /// Effects that are refused. Default: `host_access` and `dynamic`.
    pub deny_effects: Vec<Effect>,
    /// Functions that are refused, like `pg_sleep*`, in whatever schema. Default: none.
    pub deny_functions: Vec<Pattern>,
    /// Classes of functions that are refused. Default: none.
    pub deny_function_classes: Vec<FunctionClass>,
    /// May the session change its role (SET ROLE, SET SESSION AUTHORIZATION, and set_config of either)? Default: false.
    pub allow_role_switch: bool,
    /// Is everybody read-only? Default: false.
    pub read_only: bool,
    /// Members of these groups are read-only. Default: none.
    pub read_only_groups: Vec<String>,
    /// Members of these groups are held to no rule but that of the grade. Default: none.
    pub exempt_groups: Vec<String>,
    /// Grades that are let through beside `verified`. The document must allow the grade too
    /// (`allow_grades`). Default: none.
    pub allow_grades: Vec<Grade>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            require_where: vec![WhereKind::Update, WhereKind::Delete],
            deny_kinds: Vec::new(),
            only_kinds: None,
            deny_effects: vec![Effect::HostAccess, Effect::Dynamic],
            deny_functions: Vec::new(),
            deny_function_classes: Vec::new(),
            allow_role_switch: false,
            read_only: false,
            read_only_groups: Vec::new(),
            exempt_groups: Vec::new(),
            allow_grades: Vec::new(),
        }
    }
}

/// A statement that can have a WHERE clause and change every row without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhereKind {
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
}
