//! `gatewright:policy/event`: the event, its principal and its session.

use std::{sync::Arc, time::UNIX_EPOCH};

use gatewright_model::event::Facet;
use wasmtime::component::Resource;

use super::{Interface, http::HttpHandle, kubernetes::KubernetesHandle, sql::SqlHandle, ssh::SshHandle};
use crate::guest::{Guest, Stop, item};

/// Type of the handle to an event.
pub(crate) struct EventHandle;
struct PrincipalHandle;
struct SessionHandle;

pub(super) fn link(interface: &mut Interface) -> wasmtime::Result<()> {
    link_event(interface)?;
    link_principal(interface)?;
    link_session(interface)
}

fn link_event(interface: &mut Interface) -> wasmtime::Result<()> {
    type H = EventHandle;
    interface.resource::<H>("event")?;
    interface.resource::<PrincipalHandle>("principal")?;
    interface.resource::<SessionHandle>("session")?;
    interface.get::<H, _>("[method]event.kind", |guest| Ok(guest.event()?.kind()))?;
    interface.get::<H, _>("[method]event.grade", |guest| Ok(guest.event()?.grade().as_str()))?;
    interface.get::<H, _>("[method]event.grade-reason", |guest| Ok(guest.event()?.grade_reason()))?;
    interface.get::<H, _>("[method]event.now", now)?;
    interface.get::<H, _>("[method]event.principal", |_| Ok(Resource::<PrincipalHandle>::new_own(0)))?;
    interface.get::<H, _>("[method]event.session", |_| Ok(Resource::<SessionHandle>::new_own(0)))?;
    interface.get::<H, _>("[method]event.sql", |guest| {
        Ok(matches!(guest.event()?.facet, Facet::Sql(_)).then(|| Resource::<SqlHandle>::new_own(0)))
    })?;
    interface.get::<H, _>("[method]event.http", |guest| {
        Ok(matches!(guest.event()?.facet, Facet::Http(_)).then(|| Resource::<HttpHandle>::new_own(0)))
    })?;
    interface.get::<H, _>("[method]event.kubernetes", |guest| {
        let is_kubernetes = matches!(guest.event()?.facet, Facet::Kubernetes(_));
        Ok(is_kubernetes.then(|| Resource::<KubernetesHandle>::new_own(0)))
    })?;
    interface.get::<H, _>("[method]event.ssh", |guest| {
        Ok(matches!(guest.event()?.facet, Facet::Ssh(_)).then(|| Resource::<SshHandle>::new_own(0)))
    })
}

fn now(guest: &Guest) -> Result<u64, Stop> {
    if !guest.inputs.clock {
        return Err(Stop::Invalid("read the clock, which its manifest does not declare".to_owned()));
    }
    let since = guest.now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn link_principal(interface: &mut Interface) -> wasmtime::Result<()> {
    type H = PrincipalHandle;
    interface.get::<H, _>("[method]principal.subject", |guest| {
        Ok(Arc::clone(&guest.session()?.principal.subject))
    })?;
    interface.get::<H, _>("[method]principal.issuer", |guest| {
        Ok(Arc::clone(&guest.session()?.principal.issuer))
    })?;
    interface
        .get::<H, _>("[method]principal.kind", |guest| Ok(guest.session()?.principal.kind.as_str()))?;
    interface.ask::<H, _>("[method]principal.in-group", |guest, group| {
        Ok(guest.session()?.principal.in_group(group))
    })?;
    interface.get::<H, _>("[method]principal.group-count", |guest| {
        Ok(guest.session()?.principal.groups.len() as u32)
    })?;
    interface.get_at::<H, _>("[method]principal.group", |guest, at| {
        item(&guest.session()?.principal.groups, at).cloned()
    })?;
    interface.get::<H, _>("[method]principal.actor-count", |guest| {
        Ok(guest.session()?.principal.actors.len() as u32)
    })?;
    interface.get_at::<H, _>("[method]principal.actor", |guest, at| {
        item(&guest.session()?.principal.actors, at).cloned()
    })?;
    interface.ask::<H, _>("[method]principal.involves", |guest, subject| {
        Ok(guest.session()?.principal.involves(subject))
    })?;
    interface.ask::<H, _>("[method]principal.claim", |guest, name| {
        let claims = &guest.session()?.principal.claims;
        Ok(claims.iter().find(|(own, _)| **own == *name).map(|(_, value)| Arc::clone(value)))
    })
}

fn link_session(interface: &mut Interface) -> wasmtime::Result<()> {
    type H = SessionHandle;
    interface.get::<H, _>("[method]session.protocol", |guest| Ok(guest.session()?.protocol))?;
    interface
        .get::<H, _>("[method]session.listener", |guest| Ok(Arc::clone(&guest.session()?.listener)))?;
    interface.get::<H, _>("[method]session.target", |guest| Ok(Arc::clone(&guest.session()?.target)))?;
    interface.get::<H, _>("[method]session.account", |guest| Ok(Arc::clone(&guest.session()?.account)))?;
    interface.ask::<H, _>("[method]session.attribute", |guest, name| {
        Ok(guest.session()?.attribute(name).map(str::to_owned))
    })?;
    interface
        .get::<H, _>("[method]session.client-address", |guest| Ok(guest.session()?.client.ip().to_string()))
}
