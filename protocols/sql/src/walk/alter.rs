//! What changes, renames, describes or drops something.

use std::sync::Arc;

use gatewright_model::sql::Access;
use pg_query::{
    NodeEnum,
    protobuf::{
        self, AlterDomainStmt, AlterFunctionStmt, AlterObjectDependsStmt, AlterObjectSchemaStmt,
        AlterOpFamilyStmt, AlterOperatorStmt, AlterOwnerStmt, AlterPolicyStmt, AlterSeqStmt,
        AlterStatsStmt, AlterTableCmd, AlterTableStmt, AlterTableType, AlterTypeStmt, CommentStmt,
        DropStmt, ObjectType, RangeVar, RenameStmt, SecLabelStmt,
    },
};

use super::{Visit, Walk};

impl Walk {
    pub(super) fn alter_table(&mut self, alter: &AlterTableStmt) {
        let AlterTableStmt { relation, cmds, objtype: _, missing_ok: _ } = alter;
        self.relation_opt(relation, Access::Define);
        self.about(relation, |walk| cmds.visit(walk));
    }

    pub(super) fn alter_table_command(&mut self, command: &AlterTableCmd) {
        let AlterTableCmd {
            subtype,
            name: _,
            num: _,
            newowner: _,
            def,
            behavior: _,
            missing_ok: _,
            recurse: _,
        } = command;
        match def.as_ref().and_then(|def| def.node.as_ref()) {
            // `inherit parent`, `no inherit parent`.
            Some(NodeEnum::RangeVar(relation)) => self.relation(relation, Access::Define),
            Some(def) => {
                if let NodeEnum::ColumnDef(column) = def
                    && AlterTableType::try_from(*subtype) == Ok(AlterTableType::AtAlterColumnType)
                    && let Some(target) = &column.type_name
                {
                    // Every row is converted.
                    self.conversion(target);
                }
                self.node(def);
            }
            None => {}
        }
    }

    pub(super) fn alter_sequence(&mut self, alter: &AlterSeqStmt) {
        let AlterSeqStmt { sequence, options, for_identity: _, missing_ok: _ } = alter;
        self.relation_opt(sequence, Access::Define);
        self.sequence_options(options);
    }

    pub(super) fn alter_domain(&mut self, alter: &AlterDomainStmt) {
        let AlterDomainStmt { subtype: _, type_name: _, name: _, def, behavior: _, missing_ok: _ } = alter;
        self.effects.ddl = true;
        def.visit(self);
    }

    pub(super) fn alter_function(&mut self, alter: &AlterFunctionStmt) {
        let AlterFunctionStmt { objtype: _, func, actions } = alter;
        self.effects.ddl = true;
        self.all(&[func, actions]);
    }

    pub(super) fn alter_policy(&mut self, alter: &AlterPolicyStmt) {
        let AlterPolicyStmt { policy_name: _, table, roles: _, qual, with_check } = alter;
        self.relation_opt(table, Access::Define);
        self.about(table, |walk| walk.all(&[qual, with_check]));
    }

    pub(super) fn alter_statistics(&mut self, alter: &AlterStatsStmt) {
        let AlterStatsStmt { defnames: _, stxstattarget, missing_ok: _ } = alter;
        self.effects.ddl = true;
        stxstattarget.visit(self);
    }

    pub(super) fn alter_operator(&mut self, alter: &AlterOperatorStmt) {
        let AlterOperatorStmt { opername, options } = alter;
        self.effects.ddl = true;
        self.bound(options);
        self.all(&[opername, options]);
    }

    pub(super) fn alter_type(&mut self, alter: &AlterTypeStmt) {
        let AlterTypeStmt { type_name: _, options } = alter;
        self.effects.ddl = true;
        self.bound(options);
        options.visit(self);
    }

    pub(super) fn alter_operator_family(&mut self, alter: &AlterOpFamilyStmt) {
        let AlterOpFamilyStmt { opfamilyname: _, amname: _, is_drop: _, items } = alter;
        self.effects.ddl = true;
        items.visit(self);
    }

    pub(super) fn alter_depends(&mut self, alter: &AlterObjectDependsStmt) {
        let AlterObjectDependsStmt { object_type, relation, object, extname: _, remove: _ } = alter;
        self.changes(*object_type, relation, object);
    }

    pub(super) fn alter_schema_of(&mut self, alter: &AlterObjectSchemaStmt) {
        let AlterObjectSchemaStmt { object_type, relation, object, newschema: _, missing_ok: _ } = alter;
        self.changes(*object_type, relation, object);
    }

    pub(super) fn alter_owner(&mut self, alter: &AlterOwnerStmt) {
        let AlterOwnerStmt { object_type, relation, object, newowner: _ } = alter;
        self.changes(*object_type, relation, object);
    }

    pub(super) fn rename(&mut self, rename: &RenameStmt) {
        let RenameStmt {
            rename_type,
            relation_type: _,
            relation,
            object,
            subname: _,
            newname,
            behavior: _,
            missing_ok: _,
        } = rename;
        self.changes(*rename_type, relation, object);
        if is_relation(*rename_type)
            && let Some(relation) = relation
        {
            let schema = (!relation.schemaname.is_empty()).then(|| Arc::from(relation.schemaname.as_str()));
            let name: Arc<str> = Arc::from(newname.as_str());
            self.renames_to = Some(Arc::clone(&name));
            self.relation_named(schema, name, Access::Define);
        }
    }

    /// An object whose relation, where it has one, stands beside its name or in it.
    fn changes(
        &mut self,
        object_type: i32,
        relation: &Option<RangeVar>,
        object: &Option<Box<protobuf::Node>>,
    ) {
        self.effects.ddl = true;
        match relation {
            // The name that remains is that of a part: a column, a trigger.
            Some(relation) => {
                self.relation(relation, Access::Define);
                object.visit(self);
            }
            None => self.object_opt(object_type, object, Access::Define),
        }
    }

    pub(super) fn drop_objects(&mut self, drop: &DropStmt) {
        let DropStmt { objects, remove_type, behavior: _, missing_ok: _, concurrent: _ } = drop;
        self.effects.ddl = true;
        for object in objects {
            self.object(*remove_type, object, Access::Define);
        }
    }

    pub(super) fn comment(&mut self, comment: &CommentStmt) {
        let CommentStmt { objtype, object, comment: _ } = comment;
        self.effects.ddl = true;
        self.object_opt(*objtype, object, Access::Define);
    }

    pub(super) fn security_label(&mut self, label: &SecLabelStmt) {
        let SecLabelStmt { objtype, object, provider: _, label: _ } = label;
        self.effects.ddl = true;
        self.object_opt(*objtype, object, Access::Define);
    }
}

/// Is it something that FROM could name, or that has its name in the same place?
fn is_relation(object_type: i32) -> bool {
    use ObjectType as T;
    matches!(
        T::try_from(object_type),
        Ok(T::ObjectTable
            | T::ObjectView
            | T::ObjectMatview
            | T::ObjectForeignTable
            | T::ObjectSequence
            | T::ObjectIndex)
    )
}
