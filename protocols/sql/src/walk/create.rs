//! What makes something: tables, views, indexes, functions, types, publications.

use gatewright_model::sql::Access;
use pg_query::{
    NodeEnum,
    protobuf::{
        AlterPublicationStmt, ColumnDef, CompositeTypeStmt, Constraint, CreateAmStmt, CreateCastStmt,
        CreateConversionStmt, CreateDomainStmt, CreateEventTrigStmt, CreateForeignTableStmt,
        CreateFunctionStmt, CreateOpClassItem, CreateOpClassStmt, CreatePLangStmt, CreatePolicyStmt,
        CreatePublicationStmt, CreateRangeStmt, CreateSchemaStmt, CreateSeqStmt, CreateStatsStmt,
        CreateStmt, CreateTableAsStmt, CreateTransformStmt, CreateTrigStmt, DefineStmt, IndexElem,
        IndexStmt, PartitionBoundSpec, PartitionCmd, PartitionElem, PartitionRangeDatum, PartitionSpec,
        PublicationObjSpec, PublicationTable, RangeVar, RuleStmt, StatsElem, TableLikeClause, ViewStmt,
    },
};

use super::{Visit, Walk, expression::passes_on, from};
use crate::scope::{Range, Scope};

impl Walk {
    pub(super) fn create_table(&mut self, create: &CreateStmt) {
        let CreateStmt {
            relation,
            table_elts,
            inh_relations,
            partbound,
            partspec,
            of_typename,
            constraints,
            nnconstraints,
            options,
            oncommit: _,
            tablespacename: _,
            access_method: _,
            if_not_exists: _,
        } = create;
        self.relation_opt(relation, Access::Define);
        self.relations(inh_relations, Access::Define);
        self.about(relation, |walk| {
            walk.all(&[table_elts, partbound, partspec, of_typename, constraints, nnconstraints, options]);
        });
    }

    /// The rows of a foreign table are on another server.
    pub(super) fn create_foreign_table(&mut self, create: &CreateForeignTableStmt) {
        let CreateForeignTableStmt { base_stmt, servername: _, options } = create;
        self.effects.host_access = true;
        if let Some(base) = base_stmt {
            self.create_table(base);
        }
        options.visit(self);
    }

    pub(super) fn create_table_as(&mut self, create: &CreateTableAsStmt) {
        let CreateTableAsStmt { query, into, objtype: _, is_select_into: _, if_not_exists: _ } = create;
        self.all(&[into, query]);
    }

    pub(super) fn create_view(&mut self, create: &ViewStmt) {
        let ViewStmt { view, aliases: _, query, replace: _, options, with_check_option: _ } = create;
        self.relation_opt(view, Access::Define);
        self.all(&[query, options]);
    }

    pub(super) fn create_index(&mut self, index: &IndexStmt) {
        let IndexStmt {
            idxname: _,
            relation,
            access_method: _,
            table_space: _,
            index_params,
            index_including_params,
            options,
            where_clause,
            exclude_op_names: _,
            idxcomment: _,
            index_oid: _,
            old_number: _,
            old_create_subid: _,
            old_first_relfilelocator_subid: _,
            unique: _,
            nulls_not_distinct: _,
            primary: _,
            isconstraint: _,
            iswithoutoverlaps: _,
            deferrable: _,
            initdeferred: _,
            transformed: _,
            concurrent: _,
            if_not_exists: _,
            reset_default_tblspc: _,
        } = index;
        self.effects.ddl = true;
        self.relation_opt(relation, Access::Define);
        self.about(relation, |walk| {
            walk.all(&[index_params, index_including_params, options, where_clause]);
        });
    }

    pub(super) fn create_sequence(&mut self, create: &CreateSeqStmt) {
        let CreateSeqStmt { sequence, options, owner_id: _, for_identity: _, if_not_exists: _ } = create;
        self.relation_opt(sequence, Access::Define);
        self.sequence_options(options);
    }

    pub(super) fn create_schema(&mut self, create: &CreateSchemaStmt) {
        let CreateSchemaStmt { schemaname: _, authrole: _, schema_elts, if_not_exists: _ } = create;
        self.effects.ddl = true;
        schema_elts.visit(self);
    }

    pub(super) fn create_statistics(&mut self, create: &CreateStatsStmt) {
        let CreateStatsStmt {
            defnames: _,
            stat_types: _,
            exprs,
            relations,
            stxcomment: _,
            transformed: _,
            if_not_exists: _,
        } = create;
        self.effects.ddl = true;
        self.relations(relations, Access::Define);
        let ranges = relations.iter().filter_map(|relation| match &relation.node {
            Some(NodeEnum::RangeVar(relation)) => Some(from::base(relation)),
            _ => None,
        });
        let scope = Scope::of(ranges.collect());
        self.within(scope, |walk| exprs.visit(walk));
    }

    pub(super) fn create_trigger(&mut self, create: &CreateTrigStmt) {
        let CreateTrigStmt {
            replace: _,
            isconstraint: _,
            trigname: _,
            relation,
            funcname,
            args,
            row: _,
            timing: _,
            events: _,
            columns: _,
            when_clause,
            transition_rels,
            deferrable: _,
            initdeferred: _,
            constrrel,
        } = create;
        self.relation_opt(relation, Access::Define);
        self.relation_opt(constrrel, Access::Define);
        self.call(funcname);
        self.about(relation, |walk| walk.all(&[args, when_clause, transition_rels]));
    }

    pub(super) fn create_event_trigger(&mut self, create: &CreateEventTrigStmt) {
        let CreateEventTrigStmt { trigname: _, eventname: _, whenclause, funcname } = create;
        self.effects.ddl = true;
        self.call(funcname);
        whenclause.visit(self);
    }

    pub(super) fn create_policy(&mut self, create: &CreatePolicyStmt) {
        let CreatePolicyStmt {
            policy_name: _,
            table,
            cmd_name: _,
            permissive: _,
            roles: _,
            qual,
            with_check,
        } = create;
        self.relation_opt(table, Access::Define);
        self.about(table, |walk| walk.all(&[qual, with_check]));
    }

    /// The actions of a rule are judged as if they ran: whoever uses the table later runs them.
    pub(super) fn create_rule(&mut self, rule: &RuleStmt) {
        let RuleStmt { relation, rulename: _, where_clause, event: _, instead: _, actions, replace: _ } =
            rule;
        self.relation_opt(relation, Access::Define);
        self.about(relation, |walk| walk.all(&[where_clause, actions]));
    }

    /// The body is mostly a string in an option: what it does is not seen.
    pub(super) fn create_function(&mut self, create: &CreateFunctionStmt) {
        let CreateFunctionStmt {
            is_procedure: _,
            replace: _,
            funcname: _,
            parameters,
            return_type,
            options,
            sql_body,
        } = create;
        self.effects.ddl = true;
        self.effects.dynamic = true;
        self.all(&[parameters, return_type, options, sql_body]);
    }

    /// CREATE AGGREGATE, OPERATOR, TYPE, TEXT SEARCH .., COLLATION: most of them call functions by another
    /// name from now on.
    pub(super) fn define(&mut self, define: &DefineStmt) {
        let DefineStmt {
            kind: _,
            oldstyle: _,
            defnames: _,
            args,
            definition,
            if_not_exists: _,
            replace: _,
        } = define;
        self.effects.ddl = true;
        self.bound(definition);
        self.all(&[args, definition]);
    }

    pub(super) fn create_domain(&mut self, create: &CreateDomainStmt) {
        let CreateDomainStmt { domainname: _, type_name, coll_clause, constraints } = create;
        self.effects.ddl = true;
        self.all(&[type_name, coll_clause, constraints]);
    }

    pub(super) fn create_composite(&mut self, create: &CompositeTypeStmt) {
        // The type is named like a relation and is none that rows can be read from.
        let CompositeTypeStmt { typevar: _, coldeflist } = create;
        self.effects.ddl = true;
        coldeflist.visit(self);
    }

    pub(super) fn create_range(&mut self, create: &CreateRangeStmt) {
        let CreateRangeStmt { type_name: _, params } = create;
        self.effects.ddl = true;
        self.bound(params);
        params.visit(self);
    }

    pub(super) fn create_cast(&mut self, create: &CreateCastStmt) {
        let CreateCastStmt { sourcetype, targettype, func, context: _, inout: _ } = create;
        self.effects.ddl = true;
        if let Some(function) = func {
            self.call(&function.objname);
        }
        self.all(&[sourcetype, targettype, func]);
    }

    pub(super) fn create_transform(&mut self, create: &CreateTransformStmt) {
        let CreateTransformStmt { replace: _, type_name, lang: _, fromsql, tosql } = create;
        self.effects.ddl = true;
        for function in [fromsql, tosql].into_iter().flatten() {
            self.call(&function.objname);
        }
        self.all(&[type_name, fromsql, tosql]);
    }

    pub(super) fn create_conversion(&mut self, create: &CreateConversionStmt) {
        let CreateConversionStmt {
            conversion_name: _,
            for_encoding_name: _,
            to_encoding_name: _,
            func_name,
            def: _,
        } = create;
        self.effects.ddl = true;
        self.call(func_name);
    }

    pub(super) fn create_operator_class(&mut self, create: &CreateOpClassStmt) {
        let CreateOpClassStmt {
            opclassname: _,
            opfamilyname: _,
            amname: _,
            datatype,
            items,
            is_default: _,
        } = create;
        self.effects.ddl = true;
        self.all(&[datatype, items]);
    }

    pub(super) fn operator_class_item(&mut self, item: &CreateOpClassItem) {
        let CreateOpClassItem { itemtype, name, number: _, order_family: _, class_args, storedtype } = item;
        match name {
            // `OPCLASS_ITEM_OPERATOR` of PostgreSQL's `nodes/parsenodes.h`; the other that has a name is
            // `OPCLASS_ITEM_FUNCTION`.
            Some(operator) if *itemtype == 1 => self.operator(&operator.objname),
            Some(function) => {
                self.call(&function.objname);
            }
            None => {}
        }
        self.all(&[name, class_args, storedtype]);
    }

    /// The handler is code of the host.
    pub(super) fn create_access_method(&mut self, create: &CreateAmStmt) {
        let CreateAmStmt { amname: _, handler_name, amtype: _ } = create;
        self.effects.ddl = true;
        self.effects.host_access = true;
        self.call(handler_name);
    }

    pub(super) fn create_language(&mut self, create: &CreatePLangStmt) {
        let CreatePLangStmt { replace: _, plname: _, plhandler, plinline, plvalidator, pltrusted: _ } =
            create;
        self.effects.ddl = true;
        self.effects.host_access = true;
        for function in [plhandler, plinline, plvalidator] {
            if !function.is_empty() {
                self.call(function);
            }
        }
    }

    pub(super) fn create_publication(&mut self, create: &CreatePublicationStmt) {
        let CreatePublicationStmt { pubname: _, options, pubobjects, for_all_tables: _ } = create;
        self.effects.ddl = true;
        self.all(&[options, pubobjects]);
    }

    pub(super) fn alter_publication(&mut self, alter: &AlterPublicationStmt) {
        let AlterPublicationStmt { pubname: _, options, pubobjects, for_all_tables: _, action: _ } = alter;
        self.effects.ddl = true;
        self.all(&[options, pubobjects]);
    }

    pub(super) fn publication_object(&mut self, object: &PublicationObjSpec) {
        // A whole schema can be named too: its tables are not in the text.
        let PublicationObjSpec { pubobjtype: _, name: _, pubtable, location: _ } = object;
        pubtable.visit(self);
    }

    /// A publication sends rows away: they are read, and its definition says which.
    pub(super) fn publication_table(&mut self, table: &PublicationTable) {
        let PublicationTable { relation, where_clause, columns: _ } = table;
        self.relation_opt(relation, Access::Read);
        self.relation_opt(relation, Access::Define);
        self.about(relation, |walk| where_clause.visit(walk));
    }

    pub(super) fn column_def(&mut self, column: &ColumnDef) {
        let ColumnDef {
            colname: _,
            type_name,
            compression: _,
            inhcount: _,
            is_local: _,
            is_not_null: _,
            is_from_type: _,
            storage: _,
            storage_name: _,
            raw_default,
            cooked_default,
            identity: _,
            identity_sequence,
            generated: _,
            coll_clause,
            coll_oid: _,
            constraints,
            fdwoptions,
            location: _,
        } = column;
        self.all(&[type_name, raw_default, cooked_default, coll_clause, constraints, fdwoptions]);
        self.relation_opt(identity_sequence, Access::Define);
    }

    pub(super) fn constraint(&mut self, constraint: &Constraint) {
        let Constraint {
            contype: _,
            conname: _,
            deferrable: _,
            initdeferred: _,
            is_enforced: _,
            skip_validation: _,
            initially_valid: _,
            is_no_inherit: _,
            raw_expr,
            cooked_expr: _,
            generated_when: _,
            generated_kind: _,
            nulls_not_distinct: _,
            keys: _,
            without_overlaps: _,
            including: _,
            exclusions,
            options,
            indexname: _,
            indexspace: _,
            reset_default_tblspc: _,
            access_method: _,
            where_clause,
            pktable,
            fk_attrs: _,
            pk_attrs: _,
            fk_with_period: _,
            pk_with_period: _,
            fk_matchtype: _,
            fk_upd_action: _,
            fk_del_action: _,
            fk_del_set_cols: _,
            old_conpfeqop: _,
            old_pktable_oid: _,
            location: _,
        } = constraint;
        self.all(&[raw_expr, exclusions, where_clause]);
        // Those of an identity column are a sequence's.
        self.sequence_options(options);
        for exclusion in exclusions {
            // `exclude using gist (a with &&)`: the element, and the list that names the operator.
            if let Some(NodeEnum::List(pair)) = &exclusion.node
                && let Some(NodeEnum::List(operator)) =
                    pair.items.get(1).and_then(|node| node.node.as_ref())
            {
                self.operator(&operator.items);
            }
        }
        // A foreign key can tell which keys the other table has.
        self.relation_opt(pktable, Access::Read);
    }

    pub(super) fn table_like(&mut self, like: &TableLikeClause) {
        let TableLikeClause { relation, options: _, relation_oid: _ } = like;
        self.relation_opt(relation, Access::Read);
    }

    pub(super) fn index_element(&mut self, element: &IndexElem) {
        let IndexElem {
            name,
            expr,
            indexcolname: _,
            collation: _,
            opclass: _,
            opclassopts,
            ordering: _,
            nulls_ordering: _,
        } = element;
        self.column_named(name);
        self.all(&[expr, opclassopts]);
    }

    pub(super) fn statistics_element(&mut self, element: &StatsElem) {
        let StatsElem { name, expr } = element;
        self.column_named(name);
        expr.visit(self);
    }

    pub(super) fn partition_element(&mut self, element: &PartitionElem) {
        let PartitionElem { name, expr, collation: _, opclass: _, location: _ } = element;
        self.column_named(name);
        expr.visit(self);
    }

    pub(super) fn partition_command(&mut self, command: &PartitionCmd) {
        let PartitionCmd { name, bound, concurrent: _ } = command;
        self.relation_opt(name, Access::Define);
        bound.visit(self);
    }

    /// A column that is named without being an expression.
    fn column_named(&mut self, column: &str) {
        if let Some(column) = super::name(column) {
            self.note_origin(None, &column);
        }
    }

    /// Walks the expressions of a definition, which speak of one relation and, in rules and triggers,
    /// of its rows before and after.
    pub(super) fn about(&mut self, relation: &Option<RangeVar>, walk: impl FnOnce(&mut Self)) {
        let base = relation.as_ref().map(from::base);
        let rows = ["old", "new"].into_iter().filter_map(|row| {
            let base = base.as_ref()?;
            Some(Range { alias: Some(row.into()), source: base.source.clone() })
        });
        let ranges = base.iter().cloned().chain(rows).collect();
        self.within(Scope::of(ranges), walk);
    }
}

impl Visit for PublicationTable {
    fn visit(&self, walk: &mut Walk) {
        walk.publication_table(self);
    }
}

passes_on! {
    PartitionSpec { part_params; strategy, location }
    PartitionBoundSpec {
        listdatums, lowerdatums, upperdatums; strategy, is_default, modulus, remainder, location
    }
    PartitionRangeDatum { value; kind, location }
}
