//! The names of objects in DROP, COMMENT, RENAME and the like, where the grammar leaves a bare list.

use std::sync::Arc;

use gatewright_model::sql::Access;
use pg_query::{
    NodeEnum,
    protobuf::{
        self, AlterExtensionContentsStmt, DefElem, FunctionParameter, ImportForeignSchemaStmt,
        ImportForeignSchemaType, ObjectType, ObjectWithArgs,
    },
};

use super::{Visit, Walk, expression::passes_on, name, strings};

/// How an object type's names name a relation.
enum Names {
    /// `[schema, relation]`.
    Relation,
    /// `[schema, relation, part]`: a column, constraint, trigger, rule or policy of it.
    PartOfRelation,
    /// No relation.
    Other,
}

fn names_of(object: i32) -> Option<Names> {
    use ObjectType as O;
    Some(match ObjectType::try_from(object).ok()? {
        O::Undefined => return None,
        O::ObjectForeignTable
        | O::ObjectIndex
        | O::ObjectMatview
        | O::ObjectSequence
        | O::ObjectTable
        | O::ObjectView
        | O::ObjectPublicationRel => Names::Relation,
        O::ObjectColumn
        | O::ObjectDefault
        | O::ObjectPolicy
        | O::ObjectRule
        | O::ObjectTabconstraint
        | O::ObjectTrigger => Names::PartOfRelation,
        O::ObjectAccessMethod
        | O::ObjectAggregate
        | O::ObjectAmop
        | O::ObjectAmproc
        | O::ObjectAttribute
        | O::ObjectCast
        | O::ObjectCollation
        | O::ObjectConversion
        | O::ObjectDatabase
        | O::ObjectDefacl
        | O::ObjectDomain
        | O::ObjectDomconstraint
        | O::ObjectEventTrigger
        | O::ObjectExtension
        | O::ObjectFdw
        | O::ObjectForeignServer
        | O::ObjectFunction
        | O::ObjectLanguage
        | O::ObjectLargeobject
        | O::ObjectOpclass
        | O::ObjectOperator
        | O::ObjectOpfamily
        | O::ObjectParameterAcl
        | O::ObjectProcedure
        | O::ObjectPublication
        | O::ObjectPublicationNamespace
        | O::ObjectRole
        | O::ObjectRoutine
        | O::ObjectSchema
        | O::ObjectSubscription
        | O::ObjectStatisticExt
        | O::ObjectTablespace
        | O::ObjectTransform
        | O::ObjectTsconfiguration
        | O::ObjectTsdictionary
        | O::ObjectTsparser
        | O::ObjectTstemplate
        | O::ObjectType
        | O::ObjectUserMapping => Names::Other,
    })
}

impl Walk {
    /// Notes the relation that an object of this type is, or belongs to.
    pub(super) fn object(&mut self, object_type: i32, object: &protobuf::Node, access: Access) {
        let parts = match names_of(object_type) {
            Some(Names::Relation) => 0,
            Some(Names::PartOfRelation) => 1,
            Some(Names::Other) => return object.visit(self),
            None => return self.doubt("an object of an unknown type"),
        };
        match &object.node {
            Some(NodeEnum::List(list)) => qualified(self, &list.items, access, parts),
            Some(NodeEnum::RangeVar(relation)) => self.relation(relation, access),
            Some(NodeEnum::String(string)) => {
                self.relation_named(None, Arc::from(string.sval.as_str()), access)
            }
            _ => self.doubt("an object's name of an unknown shape"),
        }
    }

    pub(super) fn object_opt(
        &mut self,
        object_type: i32,
        object: &Option<Box<protobuf::Node>>,
        access: Access,
    ) {
        if let Some(object) = object {
            self.object(object_type, object, access);
        }
    }
}

/// Notes the relation of a list of names, of which the last `parts` name something within it.
pub(super) fn qualified(walk: &mut Walk, names: &[protobuf::Node], access: Access, parts: usize) {
    let names = strings(names);
    let relation = names.len().checked_sub(parts).and_then(|end| names.get(..end)).unwrap_or_default();
    match relation {
        [name] => walk.relation_named(None, Arc::from(*name), access),
        [.., schema, name] => walk.relation_named(Some(Arc::from(*schema)), Arc::from(*name), access),
        [] => walk.doubt("an object without a relation's name"),
    }
}

/// Is this option off, beyond doubt? One that is given without a value is on.
pub(super) fn is_plainly_off(option: &DefElem) -> bool {
    match option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::String(word)) => {
            ["off", "false"].iter().any(|off| word.sval.eq_ignore_ascii_case(off))
        }
        Some(NodeEnum::Boolean(value)) => !value.boolval,
        Some(NodeEnum::Integer(value)) => value.ival == 0,
        _ => false,
    }
}

impl Walk {
    /// Notes the relations that options of a sequence name: `owned by people.id` locks the table and ties the
    /// two together, `sequence name` is that of a sequence to make.
    pub(super) fn sequence_options(&mut self, options: &Vec<protobuf::Node>) {
        for option in options {
            let Some(NodeEnum::DefElem(option)) = &option.node else { continue };
            let Some(NodeEnum::List(names)) = option.arg.as_ref().and_then(|arg| arg.node.as_ref()) else {
                continue;
            };
            match option.defname.as_str() {
                // `owned by none`.
                "owned_by" if names.items.len() < 2 => {}
                "owned_by" => qualified(self, &names.items, Access::Define, 1),
                "sequence_name" => qualified(self, &names.items, Access::Define, 0),
                _ => {}
            }
        }
        options.visit(self);
    }

    /// What becomes part of an extension is dropped with it.
    pub(super) fn extension_contents(&mut self, alter: &AlterExtensionContentsStmt) {
        let AlterExtensionContentsStmt { extname: _, action: _, objtype, object } = alter;
        self.brings_unseen_code();
        self.object_opt(*objtype, object, Access::Define);
    }

    /// `limit to (people)` makes a table of that name here; `except` says which it does not make.
    pub(super) fn import_foreign_schema(&mut self, import: &ImportForeignSchemaStmt) {
        let ImportForeignSchemaStmt {
            server_name: _,
            remote_schema: _,
            local_schema,
            list_type,
            table_list,
            options,
        } = import;
        self.brings_unseen_code();
        let is_made = ImportForeignSchemaType::try_from(*list_type)
            == Ok(ImportForeignSchemaType::FdwImportSchemaLimitTo);
        for table in table_list.iter().filter(|_| is_made) {
            match &table.node {
                Some(NodeEnum::RangeVar(table)) => {
                    self.relation_named(
                        name(local_schema),
                        Arc::from(table.relname.as_str()),
                        Access::Define,
                    );
                }
                _ => self.doubt("a table to import of an unknown shape"),
            }
        }
        options.visit(self);
    }

    /// Libraries and scripts of the host, other servers: what they bring is not in the text.
    pub(super) fn brings_unseen_code(&mut self) {
        self.effects.ddl = true;
        self.effects.host_access = true;
        self.effects.dynamic = true;
    }
}

passes_on! {
    DefElem { arg; defnamespace, defname, defaction, location, arg_location }
    ObjectWithArgs { objargs, objfuncargs; objname, args_unspecified }
    FunctionParameter { arg_type, defexpr; name, mode, location }
}
