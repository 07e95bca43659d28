//! `gatewright:policy/kubernetes`: the Kubernetes facet.

use std::sync::Arc;

use gatewright_model::kubernetes::{RequestInfo, Stream};
use wasmtime::component::Resource;

use super::{Interface, http::HttpHandle};
use crate::guest::{Guest, Stop, item};

/// Type of the handle to the Kubernetes facet.
pub(super) struct KubernetesHandle;

type H = KubernetesHandle;

pub(super) fn link(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.resource::<H>("kubernetes")?;
    interface.get::<H, _>("[method]kubernetes.http", |_| Ok(Resource::<HttpHandle>::new_own(0)))?;
    link_info(interface)?;
    link_stream(interface)?;
    link_impersonation(interface)
}

fn link_info(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]kubernetes.is-resource-request", |guest| {
        Ok(guest.kubernetes()?.info.is_resource_request)
    })?;
    interface.get::<H, _>("[method]kubernetes.is-dry-run", |guest| Ok(guest.kubernetes()?.info.dry_run))?;
    interface.get::<H, _>("[method]kubernetes.patch-kind", |guest| {
        Ok(guest.kubernetes()?.info.patch_type.map_or("", |patch| patch.as_str()))
    })?;
    type Part = fn(&RequestInfo) -> &Arc<str>;
    let parts: [(&str, Part); 9] = [
        ("verb", |info| &info.verb),
        ("api-group", |info| &info.api_group),
        ("api-version", |info| &info.api_version),
        ("resource", |info| &info.resource),
        ("subresource", |info| &info.subresource),
        ("namespace", |info| &info.namespace),
        ("name", |info| &info.name),
        ("label-selector", |info| &info.label_selector),
        ("field-selector", |info| &info.field_selector),
    ];
    for (name, part) in parts {
        interface.get::<H, _>(&format!("[method]kubernetes.{name}"), move |guest| {
            Ok(Arc::clone(part(&guest.kubernetes()?.info)))
        })?;
    }
    Ok(())
}

fn link_stream(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]kubernetes.stream-kind", |guest| {
        Ok(guest.kubernetes()?.stream.as_deref().map(|stream| stream.kind.as_str()))
    })?;
    type Flag = fn(&Stream) -> bool;
    let flags: [(&str, Flag); 3] = [
        ("stream-by-node", |stream| stream.by_node),
        ("stdin", |stream| stream.stdin),
        ("tty", |stream| stream.tty),
    ];
    for (name, flag) in flags {
        interface.get::<H, _>(&format!("[method]kubernetes.{name}"), move |guest| {
            Ok(guest.kubernetes()?.stream.as_deref().is_some_and(flag))
        })?;
    }
    type Part = fn(&Stream) -> &Arc<str>;
    let parts: [(&str, Part); 4] = [
        ("stream-namespace", |stream| &stream.namespace),
        ("stream-name", |stream| &stream.name),
        ("stream-path", |stream| &stream.proxy_path),
        ("container", |stream| &stream.container),
    ];
    for (name, part) in parts {
        interface.get::<H, _>(&format!("[method]kubernetes.{name}"), move |guest| {
            let stream = guest.kubernetes()?.stream.as_deref();
            Ok(stream.map_or_else(|| Arc::from(""), |stream| Arc::clone(part(stream))))
        })?;
    }
    interface.get::<H, _>("[method]kubernetes.command-count", |guest| Ok(command(guest)?.len() as u32))?;
    interface
        .get_at::<H, _>("[method]kubernetes.command", |guest, at| item(command(guest)?, at).cloned())?;
    interface.get::<H, _>("[method]kubernetes.port-count", |guest| Ok(ports(guest)?.len() as u32))?;
    interface
        .get_at::<H, _>("[method]kubernetes.port", |guest, at| Ok(u32::from(*item(ports(guest)?, at)?)))
}

fn link_impersonation(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]kubernetes.impersonated-user", |guest| {
        Ok(guest.kubernetes()?.impersonation.as_ref().map(|other| Arc::clone(&other.user)))
    })?;
    interface.get::<H, _>("[method]kubernetes.impersonated-group-count", |guest| {
        Ok(groups(guest)?.len() as u32)
    })?;
    interface.get_at::<H, _>("[method]kubernetes.impersonated-group", |guest, at| {
        item(groups(guest)?, at).cloned()
    })
}

fn command(guest: &Guest) -> Result<&[Arc<str>], Stop> {
    Ok(guest.kubernetes()?.stream.as_deref().map_or(&[], |stream| &stream.command))
}

fn ports(guest: &Guest) -> Result<&[u16], Stop> {
    Ok(guest.kubernetes()?.stream.as_deref().map_or(&[], |stream| &stream.ports))
}

fn groups(guest: &Guest) -> Result<&[Arc<str>], Stop> {
    Ok(guest.kubernetes()?.impersonation.as_deref().map_or(&[], |other| &other.groups))
}
