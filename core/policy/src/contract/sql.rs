//! `gatewright:policy/sql`: the SQL facet.

use std::sync::Arc;

use gatewright_model::sql::{Access, Effects, Parameter, Relation, SqlEvent};
use wasmtime::{
    StoreContextMut,
    component::{Resource, WasmStr},
};

use super::{Interface, text};
use crate::guest::{Guest, Stop, item};

/// Type of the handle to the SQL facet.
pub(super) struct SqlHandle;

type H = SqlHandle;

pub(super) fn link(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.resource::<H>("sql")?;
    link_whole(interface)?;
    link_statement(interface)?;
    link_relation(interface)?;
    link_column(interface)?;
    link_function(interface)?;
    link_parameter(interface)
}

fn link_whole(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]sql.text", Guest::text)?;
    interface
        .get::<H, _>("[method]sql.normalised", |guest| Ok(Arc::clone(&guest.sql()?.analysis.normalised)))?;
    interface.get::<H, _>("[method]sql.fingerprint", |guest| {
        Ok(Arc::clone(&guest.sql()?.analysis.fingerprint))
    })?;
    interface.ask::<H, _>("[method]sql.has-effect", has_effect)?;
    interface.0.func_wrap(
        "[method]sql.touches",
        |mut cx: StoreContextMut<Guest>,
         (_self, schema, relation, access): (Resource<H>, WasmStr, WasmStr, WasmStr)| {
            cx.data_mut().count_call()?;
            let (schema, relation) = (text(&cx, &schema)?, text(&cx, &relation)?);
            let access = question(&text(&cx, &access)?)?;
            Ok((touches(cx.data().sql()?, &schema, &relation, access),))
        },
    )?;
    interface.ask::<H, _>("[method]sql.calls", |guest, name| {
        let statements = &guest.sql()?.analysis.statements;
        Ok(statements.iter().flat_map(|statement| &statement.functions).any(|own| *own.name == *name))
    })?;
    interface.get::<H, _>("[method]sql.statement-count", |guest| {
        Ok(guest.sql()?.analysis.statements.len() as u32)
    })
}

fn has_effect(guest: &Guest, word: &str) -> Result<bool, Stop> {
    let effects = guest.sql()?.analysis.effects().each();
    let known = effects.iter().find(|(own, _)| *own == word);
    known.map(|(_, on)| *on).ok_or_else(|| unknown_word("effect"))
}

fn touches(sql: &SqlEvent, schema: &str, relation: &str, access: Option<Access>) -> bool {
    let fits = |named: &Relation| {
        named.may_be(schema, relation) && access.is_none_or(|access| named.access == access)
    };
    sql.analysis.statements.iter().any(|statement| statement.relations.iter().any(fits))
}

/// The access of a question: none stands for any.
fn question(word: &str) -> Result<Option<Access>, Stop> {
    let known = [Access::Read, Access::Write, Access::Define];
    match word {
        "any" => Ok(None),
        _ => known
            .into_iter()
            .find(|access| access.as_str() == word)
            .map(Some)
            .ok_or_else(|| unknown_word("access")),
    }
}

/// The word itself stays out of it: a module could spell a literal in one.
fn unknown_word(what: &str) -> Stop {
    Stop::Invalid(format!("asked about an {what} that there is not"))
}

fn link_statement(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get_at::<H, _>("[method]sql.statement-kind", |guest, at| Ok(guest.statement(at)?.kind))?;
    interface.get_at::<H, _>("[method]sql.further-kind-count", |guest, at| {
        Ok(guest.statement(at)?.further_kinds.len() as u32)
    })?;
    interface.get_part::<H, _>("[method]sql.further-kind", |guest, at, index| {
        item(&guest.statement(at)?.further_kinds, index).copied()
    })?;
    interface.get_at::<H, _>("[method]sql.statement-effects", |guest, at| {
        Ok(effect_bits(guest.statement(at)?.effects))
    })?;
    interface.get_at::<H, _>("[method]sql.has-where", |guest, at| Ok(guest.statement(at)?.has_where))?;
    interface.get_at::<H, _>("[method]sql.relation-count", |guest, at| {
        Ok(guest.statement(at)?.relations.len() as u32)
    })?;
    interface.get_at::<H, _>("[method]sql.column-count", |guest, at| {
        Ok(guest.statement(at)?.columns.len() as u32)
    })?;
    interface.get_at::<H, _>("[method]sql.function-count", |guest, at| {
        Ok(guest.statement(at)?.functions.len() as u32)
    })
}

/// Bit `n` is the `n`th effect of [`Effects::each`]: the order is part of the contract.
fn effect_bits(effects: Effects) -> u64 {
    effects.each().iter().rev().fold(0, |bits, (_, on)| bits << 1 | u64::from(*on))
}

fn link_relation(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get_part::<H, _>("[method]sql.relation-schema", |guest, at, part| {
        Ok(item(&guest.statement(at)?.relations, part)?.schema.clone())
    })?;
    interface.get_part::<H, _>("[method]sql.relation-name", |guest, at, part| {
        Ok(Arc::clone(&item(&guest.statement(at)?.relations, part)?.name))
    })?;
    interface.get_part::<H, _>("[method]sql.relation-access", |guest, at, part| {
        Ok(item(&guest.statement(at)?.relations, part)?.access.as_str())
    })
}

fn link_column(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get_part::<H, _>("[method]sql.column-relation", |guest, at, part| {
        Ok(item(&guest.statement(at)?.columns, part)?.relation.clone())
    })?;
    interface.get_part::<H, _>("[method]sql.column-name", |guest, at, part| {
        Ok(Arc::clone(&item(&guest.statement(at)?.columns, part)?.name))
    })
}

fn link_function(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get_part::<H, _>("[method]sql.function-schema", |guest, at, part| {
        Ok(item(&guest.statement(at)?.functions, part)?.schema.clone())
    })?;
    interface.get_part::<H, _>("[method]sql.function-name", |guest, at, part| {
        Ok(Arc::clone(&item(&guest.statement(at)?.functions, part)?.name))
    })?;
    interface.get_part::<H, _>("[method]sql.function-class", |guest, at, part| {
        Ok(item(&guest.statement(at)?.functions, part)?.class.as_str())
    })
}

fn link_parameter(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]sql.parameter-count", |guest| Ok(parameters(guest)?.len() as u32))?;
    interface.get_at::<H, _>("[method]sql.parameter-kind", |guest, at| {
        Ok(match item(parameters(guest)?, at)? {
            Parameter::Null => "null",
            Parameter::Text(_) => "text",
            Parameter::Binary(_) => "binary",
        })
    })?;
    interface.get_at::<H, _>("[method]sql.parameter-text", |guest, at| {
        Ok(match item(parameters(guest)?, at)? {
            Parameter::Text(text) => Some(Arc::clone(text)),
            Parameter::Null | Parameter::Binary(_) => None,
        })
    })
}

fn parameters(guest: &Guest) -> Result<&[Parameter], Stop> {
    if !guest.inputs.parameters {
        return Err(Stop::Invalid("read parameters, which its manifest does not declare".to_owned()));
    }
    Ok(&guest.sql()?.parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_effects_are_those_of_the_contract() {
        let words = ["read", "write", "ddl", "session", "host_access", "transaction", "dynamic"];
        assert_eq!(Effects::default().each().map(|(word, _)| word), words);
        assert_eq!(effect_bits(Effects { read: true, ..Effects::default() }), 1);
        assert_eq!(
            effect_bits(Effects { host_access: true, dynamic: true, ..Effects::default() }),
            0b101_0000
        );
    }
}
