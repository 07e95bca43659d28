//! What is in PostgreSQL's tree, seen by a walk that knows nothing.
//!
//! The tree is turned to JSON, and every object of it is looked at, whatever it hangs on: what has a `relname`
//! is a relation, what has `funcname` and `agg_star` is a call, a tag that ends in `Stmt` is a statement. The
//! walk under test has a handler for each kind of node and could forget a field; this one can not.

use gatewright_model::sql::Access;
use pg_query::protobuf::ObjectType;
use serde_json::Value;

/// What one statement holds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Found {
    pub(crate) relations: Vec<Named>,
    /// The names of functions that are called.
    pub(crate) functions: Vec<String>,
    /// The tags of statements, those within included, and whether only their plan is made.
    pub(crate) statements: Vec<(String, bool)>,
    /// The effects that its parts must have, by their names.
    pub(crate) effects: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// None: in which way it is used does not show.
    pub(crate) access: Option<Access>,
}

#[derive(Clone, Default)]
struct Place {
    /// The CTEs that can be seen.
    ctes: Vec<String>,
    /// The nearest tags, innermost last.
    tags: Vec<String>,
    /// Inside of an EXPLAIN that does not run it.
    planned: bool,
}

/// Everything that one statement holds.
pub(crate) fn find(statement: &Value) -> Found {
    let mut found = Found::default();
    found.walk(statement, "", &Place::default());
    found
}

/// The tag of a statement's own node.
pub(crate) fn tag(statement: &Value) -> &str {
    let node = statement.get("node").and_then(Value::as_object);
    node.and_then(|node| node.keys().next()).map_or("", String::as_str)
}

/// Tags of statements that change rows or take locks.
const WRITES: [&str; 10] = [
    "InsertStmt",
    "UpdateStmt",
    "DeleteStmt",
    "MergeStmt",
    "TruncateStmt",
    "LockStmt",
    "VacuumStmt",
    "NotifyStmt",
    "ReindexStmt",
    "ClusterStmt",
];

/// `AccessShareLock` of PostgreSQL's `storage/lockdefs.h`.
const ACCESS_SHARE: i64 = 1;
/// Stands for the tag of a `LOCK` of that mode.
const SHARED_LOCK: &str = "LockStmt in access share mode";

const SESSION: [&str; 10] = [
    "PrepareStmt",
    "DeallocateStmt",
    "DeclareCursorStmt",
    "FetchStmt",
    "ClosePortalStmt",
    "ListenStmt",
    "UnlistenStmt",
    "DiscardStmt",
    "LoadStmt",
    "ConstraintsSetStmt",
];

const DEFINES: [&str; 15] = [
    "Create",
    "Alter",
    "Drop",
    "Define",
    "Rename",
    "Grant",
    "Comment",
    "SecLabel",
    "Index",
    "View",
    "Rule",
    "ReassignOwned",
    "CompositeType",
    "ImportForeign",
    "Refresh",
];

impl Found {
    fn walk(&mut self, value: &Value, key: &str, place: &Place) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, key, place)),
            Value::Object(object) => {
                if let Some(node) = object.get("node") {
                    let Some((tag, inner)) = node.as_object().and_then(|node| node.iter().next()) else {
                        return;
                    };
                    let mut place = place.clone();
                    // Whoever reads takes it as well.
                    let is_lock_of_reads = tag == "LockStmt" && inner["mode"] == ACCESS_SHARE;
                    if tag.ends_with("Stmt") && !is_lock_of_reads {
                        self.statement(tag, inner, &place);
                        place.planned |= tag == "ExplainStmt" && !analyzes(inner);
                    }
                    if tag == "RangeVar" {
                        self.range_var(inner, "", &place);
                    } else if tag != "CommonTableExpr" {
                        place.tags.push(if is_lock_of_reads {
                            SHARED_LOCK.to_owned()
                        } else {
                            tag.clone()
                        });
                        self.object(inner, &place);
                    }
                    return;
                }
                if object.contains_key("relname") && object.contains_key("relpersistence") {
                    self.range_var(value, key, place);
                    return;
                }
                self.object(value, place);
            }
            _ => {}
        }
    }

    /// The fields of a node, in the scope of its CTEs.
    fn object(&mut self, value: &Value, place: &Place) {
        let Some(object) = value.as_object() else { return self.walk(value, "", place) };
        let mut place = place.clone();
        if let Some(with) = object.get("with_clause").filter(|with| !with.is_null()) {
            let ctes: Vec<&Value> = with["ctes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|cte| &cte["node"]["CommonTableExpr"])
                .collect();
            let names = |ctes: &[&Value]| -> Vec<String> {
                ctes.iter().map(|cte| cte["ctename"].as_str().unwrap().to_owned()).collect()
            };
            let is_recursive = with["recursive"] == true;
            for (at, cte) in ctes.iter().enumerate() {
                let mut inner = place.clone();
                inner.ctes.extend(names(if is_recursive { &ctes } else { &ctes[..at] }));
                self.object(cte, &inner);
            }
            place.ctes.extend(names(&ctes));
        }
        if object.contains_key("funcname") && object.contains_key("agg_star") {
            self.functions.extend(last_name(&object["funcname"]));
        }
        if object.contains_key("roletype") {
            self.effects.push("ddl");
        }
        if object.get("pct_type") == Some(&Value::Bool(true)) {
            self.named(&object["names"], 1);
        }
        // `owned by people.id`, and the name of the sequence behind an identity column.
        match object.get("defname").and_then(Value::as_str) {
            Some("owned_by")
                if object["arg"]["node"]["List"]["items"]
                    .as_array()
                    .is_some_and(|names| names.len() > 1) =>
            {
                self.named(&object["arg"]["node"]["List"]["items"], 1);
            }
            Some("sequence_name") => self.named(&object["arg"]["node"]["List"]["items"], 0),
            _ => {}
        }
        if object.get("locking_clause").is_some_and(|clause| clause != &Value::Array(vec![]))
            && !place.planned
        {
            self.effects.push("write");
        }
        for (key, field) in object {
            if key != "with_clause" {
                self.walk(field, key, &place);
            }
        }
    }

    fn statement(&mut self, tag: &str, statement: &Value, place: &Place) {
        self.statements.push((tag.to_owned(), place.planned));
        if SESSION.contains(&tag) {
            self.effects.push("session");
        }
        // A setting of a function or of a role is none of this session.
        if tag == "VariableSetStmt" && place.tags.is_empty() {
            self.effects.push("session");
        }
        match tag {
            "DoStmt" | "CallStmt" | "ExecuteStmt" => self.effects.push("dynamic"),
            "TransactionStmt" => self.effects.push("transaction"),
            "CopyStmt" if statement["is_program"] == true || statement["filename"] != "" => {
                self.effects.push("host_access");
            }
            _ => {}
        }
        let types = ["remove_type", "objtype"].iter().find_map(|key| statement[*key].as_i64());
        match (tag, types) {
            ("DropStmt", Some(object_type)) => {
                for object in statement["objects"].as_array().unwrap() {
                    self.object_named(object_type, object);
                }
            }
            // `limit to (..)`.
            ("ImportForeignSchemaStmt", _) if statement["list_type"] == 2 => {
                for table in statement["table_list"].as_array().unwrap() {
                    let name = table["node"]["RangeVar"]["relname"].as_str().unwrap().to_owned();
                    let schema = statement["local_schema"].as_str().unwrap().to_owned();
                    self.relations.push(Named { schema, name, access: Some(Access::Define) });
                }
            }
            ("CommentStmt" | "SecLabelStmt" | "AlterExtensionContentsStmt", Some(object_type)) => {
                self.object_named(object_type, &statement["object"]);
            }
            _ => {}
        }
        if place.planned {
            return;
        }
        let writes = WRITES.contains(&tag) || (tag == "CopyStmt" && statement["is_from"] == true);
        if writes {
            self.effects.push("write");
        }
        if DEFINES.iter().any(|start| tag.starts_with(start)) && tag != "RefreshMatViewStmt" {
            self.effects.push("ddl");
        }
    }

    fn object_named(&mut self, object_type: i64, object: &Value) {
        use ObjectType as O;
        let parts = match ObjectType::try_from(i32::try_from(object_type).unwrap()).unwrap() {
            O::ObjectForeignTable
            | O::ObjectIndex
            | O::ObjectMatview
            | O::ObjectSequence
            | O::ObjectTable
            | O::ObjectView => 0,
            O::ObjectColumn
            | O::ObjectPolicy
            | O::ObjectRule
            | O::ObjectTabconstraint
            | O::ObjectTrigger => 1,
            _ => return,
        };
        self.named(&object["node"]["List"]["items"], parts);
    }

    /// A relation that is named by a list, of which the last `parts` are within it.
    fn named(&mut self, list: &Value, parts: usize) {
        let mut names: Vec<&str> = list
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|name| name["node"]["String"]["sval"].as_str())
            .collect();
        names.truncate(names.len().saturating_sub(parts));
        let schema = names.iter().rev().nth(1).copied().unwrap_or_default().to_owned();
        if let Some(name) = names.last() {
            self.relations.push(Named { schema, name: (*name).to_owned(), access: None });
        }
    }

    fn range_var(&mut self, relation: &Value, key: &str, place: &Place) {
        let text = |field: &str| relation[field].as_str().unwrap().to_owned();
        let tag = place.tags.last().map_or("", String::as_str);
        let is_no_relation = match tag {
            // `for update of p` names a FROM item.
            "LockingClause" => true,
            // Those are constraints.
            "ConstraintsSetStmt" => true,
            // They are another server's; those that are made here are found by their statement.
            "ImportForeignSchemaStmt" => true,
            // A type is no relation that has rows.
            "CompositeTypeStmt" => key == "typevar",
            _ => false,
        };
        if is_no_relation {
            return;
        }
        // A name in a list of nodes can be that of a CTE; the ones that have a field of their own can not.
        let is_from_item = key.is_empty();
        if is_from_item
            && text("schemaname").is_empty()
            && text("catalogname").is_empty()
            && place.ctes.contains(&text("relname"))
        {
            return;
        }
        let access = match (tag, key) {
            (_, "rel") | ("TruncateStmt" | "LockStmt", "") => Some(Access::Write),
            ("InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt", "relation") => Some(Access::Write),
            (SHARED_LOCK, "") => Some(Access::Read),
            (
                "SelectStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "JoinExpr" | "RangeTableSample",
                "",
            ) => Some(Access::Read),
            _ => None,
        };
        let access = if place.planned { None } else { access };
        match access {
            Some(Access::Read) => self.effects.push("read"),
            Some(Access::Write) => self.effects.push("write"),
            _ => {}
        }
        self.relations.push(Named { schema: text("schemaname"), name: text("relname"), access });
    }
}

fn last_name(names: &Value) -> Option<String> {
    names.as_array()?.last()?["node"]["String"]["sval"].as_str().map(str::to_owned)
}

/// Is there an option that could make EXPLAIN run its statement?
fn analyzes(explain: &Value) -> bool {
    let options = explain["options"].as_array().unwrap();
    options.iter().any(|option| {
        let option = &option["node"]["DefElem"];
        let off = option["arg"].to_string();
        let is_off = ["\"off\"", "\"false\"", "\"boolval\":false", "\"ival\":0}"]
            .iter()
            .any(|word| off.contains(word));
        option["defname"] == "analyze" && !is_off
    })
}
