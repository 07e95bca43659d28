//! Code behind other names than a function's: operators, conversions, and the definitions that bind it.
//!
//! An operator, a cast, an aggregate or a type that somebody made calls a function whose name is nowhere in
//! the statement that uses it. So whoever makes one names the function that is bound, and the use of one
//! that is not PostgreSQL's own counts as a call of an unknown function of its name.

use gatewright_model::sql::{Effects, Function, FunctionClass};
use pg_query::{
    NodeEnum,
    protobuf::{self, AExpr, AExprKind, JsonOutput, SortBy, TypeCast, TypeName, XmlSerialize},
};

use super::{Visit, Walk, schema_and_name};
use crate::functions;

/// The options by which definitions bind functions: of aggregates, of operators, of base types, of range
/// types, of text search parsers and templates. Quoted names of options are as good as others to us.
const BINDING: [&str; 31] = [
    "sfunc",
    "sfunc1",
    "sfunc2",
    "finalfunc",
    "combinefunc",
    "serialfunc",
    "deserialfunc",
    "msfunc",
    "minvfunc",
    "mfinalfunc",
    "function",
    "procedure",
    "restrict",
    "join",
    "input",
    "output",
    "receive",
    "send",
    "typmod_in",
    "typmod_out",
    "analyze",
    "subscript",
    "canonical",
    "subtype_diff",
    "start",
    "gettoken",
    "end",
    "headline",
    "lextypes",
    "init",
    "lexize",
];

impl Walk {
    /// Notes the use of an operator.
    pub(super) fn operator(&mut self, names: &[protobuf::Node]) {
        match schema_and_name(names) {
            Some((schema, name)) if functions::is_operator(schema, name) => {}
            Some((schema, name)) => self.unseen(schema, name),
            None => self.doubt("an operator without a name"),
        }
    }

    /// Notes a conversion to a type: its input function, a cast to it, or the checks of a domain may run.
    /// The text does not tell these from an enum.
    pub(super) fn conversion(&mut self, target: &TypeName) {
        match schema_and_name(&target.names) {
            Some((schema, name)) if functions::is_type(schema, name) => {}
            Some((schema, name)) => self.unseen(schema, name),
            None => self.doubt("a type without a name"),
        }
    }

    /// Notes the conversions of column definitions that say what rows are made into.
    pub(super) fn conversions(&mut self, columns: &[protobuf::Node]) {
        for column in columns {
            match &column.node {
                Some(NodeEnum::ColumnDef(column)) => {
                    if let Some(target) = &column.type_name {
                        self.conversion(target);
                    }
                }
                Some(NodeEnum::List(list)) => self.conversions(&list.items),
                _ => {}
            }
        }
    }

    pub(super) fn unseen(&mut self, schema: Option<&str>, name: &str) {
        self.effects = self.effects.union(Effects { write: true, ..Effects::default() });
        self.lineage.doubtful = true;
        self.functions.insert(Function {
            schema: schema.map(Into::into),
            name: name.into(),
            class: FunctionClass::Unknown,
        });
    }

    /// Notes the functions that the options of a definition bind.
    pub(super) fn bound(&mut self, options: &[protobuf::Node]) {
        for option in options {
            let Some(NodeEnum::DefElem(option)) = &option.node else { continue };
            if !BINDING.iter().any(|name| option.defname.eq_ignore_ascii_case(name)) {
                continue;
            }
            match option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                Some(NodeEnum::TypeName(function)) => {
                    self.call(&function.names);
                }
                Some(NodeEnum::List(list)) => {
                    self.call(&list.items);
                }
                Some(name @ NodeEnum::String(_)) => {
                    self.call(&[protobuf::Node { node: Some(name.clone()) }]);
                }
                // `restrict = none`.
                None => {}
                Some(_) => self.doubt("a function's name of an unknown shape"),
            }
        }
    }
}

impl Visit for AExpr {
    fn visit(&self, walk: &mut Walk) {
        use AExprKind as K;
        let Self { kind, name, lexpr, rexpr, rexpr_list_start: _, rexpr_list_end: _, location: _ } = self;
        match K::try_from(*kind) {
            // Their names are words.
            Ok(K::AexprBetween | K::AexprNotBetween | K::AexprBetweenSym | K::AexprNotBetweenSym) => {}
            _ => walk.operator(name),
        }
        walk.all(&[lexpr, rexpr]);
    }
}

impl Visit for SortBy {
    fn visit(&self, walk: &mut Walk) {
        let Self { node, sortby_dir: _, sortby_nulls: _, use_op, location: _ } = self;
        if !use_op.is_empty() {
            walk.operator(use_op);
        }
        node.visit(walk);
    }
}

impl Visit for TypeCast {
    fn visit(&self, walk: &mut Walk) {
        let Self { arg, type_name, location: _ } = self;
        walk.all(&[arg, type_name]);
        if let Some(target) = type_name {
            walk.conversion(target);
        }
    }
}

impl Visit for XmlSerialize {
    fn visit(&self, walk: &mut Walk) {
        let Self { expr, type_name, xmloption: _, indent: _, location: _ } = self;
        walk.all(&[expr, type_name]);
        if let Some(target) = type_name {
            walk.conversion(target);
        }
    }
}

impl Visit for JsonOutput {
    fn visit(&self, walk: &mut Walk) {
        let Self { type_name, returning } = self;
        walk.all(&[type_name, returning]);
        if let Some(target) = type_name {
            walk.conversion(target);
        }
    }
}
