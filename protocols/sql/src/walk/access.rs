//! GRANT and REVOKE.

use gatewright_model::sql::Access;
use pg_query::protobuf::{AccessPriv, AlterDefaultPrivilegesStmt, GrantStmt};

use super::{Visit, Walk, strings};

impl Walk {
    pub(super) fn grant(&mut self, grant: &GrantStmt) {
        // The type says what else the objects are: functions, schemas, languages. Only relations are
        // range variables. `all tables in schema` names no table.
        let GrantStmt {
            is_grant: _,
            targtype: _,
            objtype: _,
            objects,
            privileges,
            grantees: _,
            grant_option: _,
            grantor: _,
            behavior: _,
        } = grant;
        self.effects.ddl = true;
        self.relations(objects, Access::Define);
        privileges.visit(self);
    }

    pub(super) fn privilege(&mut self, privilege: &AccessPriv) {
        let AccessPriv { priv_name: _, cols } = privilege;
        for column in strings(cols) {
            self.note_origin(None, &column.into());
        }
    }

    pub(super) fn alter_default_privileges(&mut self, alter: &AlterDefaultPrivilegesStmt) {
        let AlterDefaultPrivilegesStmt { options, action } = alter;
        self.effects.ddl = true;
        options.visit(self);
        if let Some(grant) = action {
            self.grant(grant);
        }
    }
}
