//! The names of objects in DROP, COMMENT, RENAME and the like, where the grammar leaves a bare list.

use std::sync::Arc;

use gatewright_model::sql::Access;
use pg_query::{
    NodeEnum,
    protobuf::{self, DefElem, FunctionParameter, ObjectType, ObjectWithArgs},
};

use super::{Visit, Walk, expression::passes_on, strings};

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

passes_on! {
    DefElem { arg; defnamespace, defname, defaction, location, arg_location }
    ObjectWithArgs { objargs, objfuncargs; objname, args_unspecified }
    FunctionParameter { arg_type, defexpr; name, mode, location }
}
