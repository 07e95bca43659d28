//! What kind of statement a node is: PostgreSQL's command tag (`CreateCommandTag` in its
//! `tcop/utility.c`), in lower case, words joined by `_`.
//!
//! Where a tag hides what a policy must be able to name, the kind says more than the tag: `set_role`,
//! `set_session_authorization`, `set_search_path`, `set_row_security`, `set_lexing`, `set_transaction`, `copy_to`, `copy_from`,
//! `select_into`, `alter_role_set`, `alter_database_set`, `grant_role`.

use pg_query::{
    NodeEnum,
    protobuf::{
        self, CopyStmt, CreateTableAsStmt, DiscardMode, FetchStmt, GrantRoleStmt, ObjectType, RoleStmtType,
        TransactionStmt, TransactionStmtKind, VacuumStmt, VariableSetKind, VariableSetStmt,
    },
};

/// Every kind that an analysis can give, in the order of the alphabet. It is a part of the policy contract: settings are checked against it.
pub fn statement_kinds() -> impl Iterator<Item = &'static str> {
    include_str!("../../../plugin-sdk/wit/statement-kinds.txt").lines()
}

pub(crate) const UNKNOWN: &str = "unknown";
/// The current role changes, or may: nobody can tell which setting it is.
pub(crate) const SET_ROLE: &str = "set_role";
/// What names without a schema stand for changes.
pub(crate) const SET_SEARCH_PATH: &str = "set_search_path";
/// Whether the rows that a row security policy keeps back are left out or an error.
const SET_ROW_SECURITY: &str = "set_row_security";
const SET_SESSION_AUTHORIZATION: &str = "set_session_authorization";
/// How the server reads the next statement changes to something that the gateway does not follow.
pub(crate) const SET_LEXING: &str = "set_lexing";

/// The kind of a statement. None: it is none, or of a type this version does not know.
pub(crate) fn of(node: &NodeEnum) -> Option<&'static str> {
    use NodeEnum as N;
    Some(match node {
        N::SelectStmt(select) if select.into_clause.is_some() => "select_into",
        N::SelectStmt(_) => "select",
        N::InsertStmt(_) => "insert",
        N::UpdateStmt(_) => "update",
        N::DeleteStmt(_) => "delete",
        N::MergeStmt(_) => "merge",
        N::CopyStmt(copy) => of_copy(copy),
        N::TruncateStmt(_) => "truncate",
        N::LockStmt(_) => "lock_table",
        N::VacuumStmt(vacuum) => of_vacuum(vacuum),
        N::ClusterStmt(_) => "cluster",
        N::ReindexStmt(_) => "reindex",
        N::RefreshMatViewStmt(_) => "refresh_materialized_view",
        N::CallStmt(_) => "call",
        N::DoStmt(_) => "do",
        N::ExplainStmt(_) => "explain",

        N::TransactionStmt(transaction) => return of_transaction(transaction),
        N::VariableSetStmt(set) => return of_set(set),
        N::VariableShowStmt(_) => "show",
        N::ConstraintsSetStmt(_) => "set_constraints",
        N::DiscardStmt(discard) => match DiscardMode::try_from(discard.target).ok()? {
            DiscardMode::DiscardAll => "discard_all",
            DiscardMode::DiscardPlans => "discard_plans",
            DiscardMode::DiscardSequences => "discard_sequences",
            DiscardMode::DiscardTemp => "discard_temp",
            DiscardMode::Undefined => return None,
        },
        N::ListenStmt(_) => "listen",
        N::UnlistenStmt(_) => "unlisten",
        N::NotifyStmt(_) => "notify",
        N::PrepareStmt(_) => "prepare",
        N::ExecuteStmt(_) => "execute",
        N::DeallocateStmt(deallocate) if deallocate.isall => "deallocate_all",
        N::DeallocateStmt(_) => "deallocate",
        N::DeclareCursorStmt(_) => "declare_cursor",
        N::FetchStmt(fetch) => of_fetch(fetch),
        N::ClosePortalStmt(close) if close.portalname.is_empty() => "close_cursor_all",
        N::ClosePortalStmt(_) => "close_cursor",
        N::LoadStmt(_) => "load",
        N::CheckPointStmt(_) => "checkpoint",

        N::CreateStmt(_) => "create_table",
        N::CreateForeignTableStmt(_) => "create_foreign_table",
        N::CreateTableAsStmt(create) => return of_create_table_as(create),
        N::ViewStmt(_) => "create_view",
        N::IndexStmt(_) => "create_index",
        N::CreateSeqStmt(_) => "create_sequence",
        N::CreateSchemaStmt(_) => "create_schema",
        N::CreateStatsStmt(_) => "create_statistics",
        N::CreateTrigStmt(_) => "create_trigger",
        N::CreateEventTrigStmt(_) => "create_event_trigger",
        N::CreatePolicyStmt(_) => "create_policy",
        N::RuleStmt(_) => "create_rule",
        N::CreateFunctionStmt(create) if create.is_procedure => "create_procedure",
        N::CreateFunctionStmt(_) => "create_function",
        N::DefineStmt(define) => return Some(verbs(define.kind)?.create),
        N::CreateDomainStmt(_) => "create_domain",
        N::CompositeTypeStmt(_) | N::CreateEnumStmt(_) | N::CreateRangeStmt(_) => "create_type",
        N::CreateCastStmt(_) => "create_cast",
        N::CreateTransformStmt(_) => "create_transform",
        N::CreateConversionStmt(_) => "create_conversion",
        N::CreateOpClassStmt(_) => "create_operator_class",
        N::CreateOpFamilyStmt(_) => "create_operator_family",
        N::CreateAmStmt(_) => "create_access_method",
        N::CreatePlangStmt(_) => "create_language",
        N::CreatePublicationStmt(_) => "create_publication",
        N::CreateSubscriptionStmt(_) => "create_subscription",
        N::CreateExtensionStmt(_) => "create_extension",
        N::CreateFdwStmt(_) => "create_foreign_data_wrapper",
        N::CreateForeignServerStmt(_) => "create_server",
        N::CreateUserMappingStmt(_) => "create_user_mapping",
        N::ImportForeignSchemaStmt(_) => "import_foreign_schema",
        N::CreateTableSpaceStmt(_) => "create_tablespace",
        N::CreatedbStmt(_) => "create_database",
        N::CreateRoleStmt(create) => match RoleStmtType::try_from(create.stmt_type).ok()? {
            RoleStmtType::RolestmtRole | RoleStmtType::RolestmtUser | RoleStmtType::RolestmtGroup => {
                "create_role"
            }
            RoleStmtType::Undefined => return None,
        },

        N::AlterTableStmt(alter) => return Some(verbs(alter.objtype)?.alter),
        N::AlterSeqStmt(_) => "alter_sequence",
        N::AlterDomainStmt(_) => "alter_domain",
        N::AlterFunctionStmt(alter) => return Some(verbs(alter.objtype)?.alter),
        N::AlterPolicyStmt(_) => "alter_policy",
        N::AlterStatsStmt(_) => "alter_statistics",
        N::AlterOperatorStmt(_) => "alter_operator",
        N::AlterTypeStmt(_) | N::AlterEnumStmt(_) => "alter_type",
        N::AlterOpFamilyStmt(_) => "alter_operator_family",
        N::AlterCollationStmt(_) => "alter_collation",
        N::AlterTsdictionaryStmt(_) => "alter_text_search_dictionary",
        N::AlterTsconfigurationStmt(_) => "alter_text_search_configuration",
        N::AlterEventTrigStmt(_) => "alter_event_trigger",
        N::AlterObjectDependsStmt(alter) => return Some(verbs(alter.object_type)?.alter),
        N::AlterObjectSchemaStmt(alter) => return Some(verbs(alter.object_type)?.alter),
        N::AlterOwnerStmt(alter) => return Some(verbs(alter.object_type)?.alter),
        N::RenameStmt(rename) => {
            let columns_or_attributes = [ObjectType::ObjectColumn, ObjectType::ObjectAttribute];
            let part = ObjectType::try_from(rename.rename_type).ok()?;
            let object = if columns_or_attributes.contains(&part) {
                rename.relation_type
            } else {
                rename.rename_type
            };
            return Some(verbs(object)?.alter);
        }
        N::AlterPublicationStmt(_) => "alter_publication",
        N::AlterSubscriptionStmt(_) => "alter_subscription",
        N::AlterExtensionStmt(_) | N::AlterExtensionContentsStmt(_) => "alter_extension",
        N::AlterFdwStmt(_) => "alter_foreign_data_wrapper",
        N::AlterForeignServerStmt(_) => "alter_server",
        N::AlterUserMappingStmt(_) => "alter_user_mapping",
        N::AlterTableSpaceOptionsStmt(_) => "alter_tablespace",
        N::AlterTableMoveAllStmt(alter) => return Some(verbs(alter.objtype)?.alter),
        N::AlterDatabaseStmt(_) | N::AlterDatabaseRefreshCollStmt(_) => "alter_database",
        N::AlterDatabaseSetStmt(_) => "alter_database_set",
        N::AlterRoleStmt(_) => "alter_role",
        N::AlterRoleSetStmt(_) => "alter_role_set",
        N::AlterSystemStmt(_) => "alter_system",
        N::AlterDefaultPrivilegesStmt(_) => "alter_default_privileges",

        N::DropStmt(drop) => return Some(verbs(drop.remove_type)?.drop),
        N::DropRoleStmt(_) => "drop_role",
        N::DropOwnedStmt(_) => "drop_owned",
        N::DropdbStmt(_) => "drop_database",
        N::DropTableSpaceStmt(_) => "drop_tablespace",
        N::DropUserMappingStmt(_) => "drop_user_mapping",
        N::DropSubscriptionStmt(_) => "drop_subscription",
        N::ReassignOwnedStmt(_) => "reassign_owned",
        N::CommentStmt(_) => "comment",
        N::SecLabelStmt(_) => "security_label",
        N::GrantStmt(grant) if grant.is_grant => "grant",
        N::GrantStmt(_) => "revoke",
        N::GrantRoleStmt(GrantRoleStmt { is_grant: true, .. }) => "grant_role",
        N::GrantRoleStmt(_) => "revoke_role",
        // Everything else is a part of a statement. The walk has looked at it without a wildcard.
        _ => return None,
    })
}

fn of_copy(copy: &CopyStmt) -> &'static str {
    if copy.is_from { "copy_from" } else { "copy_to" }
}

fn of_vacuum(vacuum: &VacuumStmt) -> &'static str {
    if vacuum.is_vacuumcmd { "vacuum" } else { "analyze" }
}

fn of_fetch(fetch: &FetchStmt) -> &'static str {
    if fetch.ismove { "move" } else { "fetch" }
}

fn of_create_table_as(create: &CreateTableAsStmt) -> Option<&'static str> {
    Some(match ObjectType::try_from(create.objtype).ok()? {
        ObjectType::ObjectTable if create.is_select_into => "select_into",
        ObjectType::ObjectTable => "create_table_as",
        ObjectType::ObjectMatview => "create_materialized_view",
        _ => return None,
    })
}

fn of_transaction(transaction: &TransactionStmt) -> Option<&'static str> {
    use TransactionStmtKind as T;
    Some(match T::try_from(transaction.kind).ok()? {
        T::TransStmtBegin => "begin",
        T::TransStmtStart => "start_transaction",
        T::TransStmtCommit => "commit",
        T::TransStmtRollback => "rollback",
        T::TransStmtRollbackTo => "rollback_to_savepoint",
        T::TransStmtSavepoint => "savepoint",
        T::TransStmtRelease => "release",
        T::TransStmtPrepare => "prepare_transaction",
        T::TransStmtCommitPrepared => "commit_prepared",
        T::TransStmtRollbackPrepared => "rollback_prepared",
        T::Undefined => return None,
    })
}

fn of_set(set: &VariableSetStmt) -> Option<&'static str> {
    use VariableSetKind as K;
    let value = match set.args.as_slice() {
        [protobuf::Node { node: Some(NodeEnum::AConst(value)) }] => match &value.val {
            Some(protobuf::a_const::Val::Sval(string)) => Some(string.sval.as_str()),
            _ => None,
        },
        _ => None,
    };
    Some(match K::try_from(set.kind).ok()? {
        K::VarSetMulti if is_set_transaction(set) => "set_transaction",
        K::VarSetMulti => return None,
        K::VarResetAll => "reset_all",
        K::VarSetValue | K::VarSetDefault | K::VarSetCurrent => {
            of_setting(&set.name, value).unwrap_or("set")
        }
        K::VarReset => of_setting(&set.name, None).unwrap_or("reset"),
        K::Undefined => return None,
    })
}

/// `SET TRANSACTION`, `SET SESSION CHARACTERISTICS AS TRANSACTION`, `SET TRANSACTION SNAPSHOT`.
pub(crate) fn is_set_transaction(set: &VariableSetStmt) -> bool {
    VariableSetKind::try_from(set.kind) == Ok(VariableSetKind::VarSetMulti)
        && ["TRANSACTION", "SESSION CHARACTERISTICS", "TRANSACTION SNAPSHOT"].contains(&set.name.as_str())
}

/// The kind of a change of a setting that is more than any SET. `value` is None for a reset, or where
/// it is not in the text.
pub(crate) fn of_setting(setting: &str, value: Option<&str>) -> Option<&'static str> {
    // Names of settings fold, quoted or not.
    let is = |name: &str| setting.eq_ignore_ascii_case(name);
    let is_one_of = |words: &[&str]| {
        value.is_some_and(|value| words.iter().any(|word| value.eq_ignore_ascii_case(word)))
    };
    if is("search_path") {
        Some(SET_SEARCH_PATH)
    } else if is("role") {
        Some(SET_ROLE)
    } else if is("session_authorization") {
        Some(SET_SESSION_AUTHORIZATION)
    } else if is("row_security") {
        Some(SET_ROW_SECURITY)
    } else if is_about_strings(setting) {
        (!is_one_of(&["on", "true", "yes", "1"])).then_some(SET_LEXING)
    } else if is("client_encoding") {
        (!is_one_of(&["utf8", "utf-8", "unicode"])).then_some(SET_LEXING)
    } else {
        None
    }
}

/// Does it say how backslashes in strings are read? Names of settings fold, quoted or not.
pub(crate) fn is_about_strings(setting: &str) -> bool {
    setting.eq_ignore_ascii_case("standard_conforming_strings")
}

/// The three things that are done to objects, for one type of object.
struct Verbs {
    create: &'static str,
    alter: &'static str,
    drop: &'static str,
}

macro_rules! verbs {
    ($object:expr; $($($variant:ident)|+ => $word:literal)*) => {
        match $object {
            ObjectType::Undefined => return None,
            $($(ObjectType::$variant)|+ => Verbs {
                create: concat!("create_", $word),
                alter: concat!("alter_", $word),
                drop: concat!("drop_", $word),
            },)*
        }
    };
}

/// The words for a type of object. A part of a relation goes by the relation, as in the server's tags.
fn verbs(object: i32) -> Option<Verbs> {
    Some(verbs! { ObjectType::try_from(object).ok()?;
        ObjectAccessMethod => "access_method"
        ObjectAggregate => "aggregate"
        ObjectAmop | ObjectAmproc | ObjectOpfamily => "operator_family"
        ObjectAttribute | ObjectType => "type"
        ObjectCast => "cast"
        ObjectColumn | ObjectTable | ObjectTabconstraint | ObjectDefault | ObjectPublicationRel => "table"
        ObjectCollation => "collation"
        ObjectConversion => "conversion"
        ObjectDatabase => "database"
        ObjectDefacl => "default_privileges"
        ObjectDomain | ObjectDomconstraint => "domain"
        ObjectEventTrigger => "event_trigger"
        ObjectExtension => "extension"
        ObjectFdw => "foreign_data_wrapper"
        ObjectForeignServer => "server"
        ObjectForeignTable => "foreign_table"
        ObjectFunction => "function"
        ObjectIndex => "index"
        ObjectLanguage => "language"
        ObjectLargeobject => "large_object"
        ObjectMatview => "materialized_view"
        ObjectOpclass => "operator_class"
        ObjectOperator => "operator"
        ObjectParameterAcl => "parameter"
        ObjectPolicy => "policy"
        ObjectProcedure => "procedure"
        ObjectPublication | ObjectPublicationNamespace => "publication"
        ObjectRole => "role"
        ObjectRoutine => "routine"
        ObjectRule => "rule"
        ObjectSchema => "schema"
        ObjectSequence => "sequence"
        ObjectSubscription => "subscription"
        ObjectStatisticExt => "statistics"
        ObjectTablespace => "tablespace"
        ObjectTransform => "transform"
        ObjectTrigger => "trigger"
        ObjectTsconfiguration => "text_search_configuration"
        ObjectTsdictionary => "text_search_dictionary"
        ObjectTsparser => "text_search_parser"
        ObjectTstemplate => "text_search_template"
        ObjectUserMapping => "user_mapping"
        ObjectView => "view"
    })
}
