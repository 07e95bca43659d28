//! `gatewright:policy/ssh`: the SSH facet.

use std::{net::IpAddr, sync::Arc};

use gatewright_model::ssh::{Command, FileOperation, SshRequest, Transfer};

use super::Interface;
use crate::guest::{Guest, Stop, item};

/// Type of the handle to the SSH facet.
pub(super) struct SshHandle;

type H = SshHandle;

pub(super) fn link(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.resource::<H>("ssh")?;
    interface.get::<H, _>("[method]ssh.request", |guest| Ok(guest.ssh()?.request.as_str()))?;
    interface.get::<H, _>("[method]ssh.name", |guest| {
        Ok(match &*guest.ssh()?.request {
            SshRequest::Env { name, .. }
            | SshRequest::Subsystem { name }
            | SshRequest::Signal { name }
            | SshRequest::Pty { terminal: name } => Arc::clone(name),
            _ => Arc::from(""),
        })
    })?;
    interface.get::<H, _>("[method]ssh.value", |guest| {
        Ok(match &*guest.ssh()?.request {
            SshRequest::Env { value, .. } => Arc::clone(value),
            _ => Arc::from(""),
        })
    })?;
    interface.get::<H, _>("[method]ssh.host", |guest| {
        Ok(match &*guest.ssh()?.request {
            SshRequest::DirectTcpip { host, .. } | SshRequest::TcpipForward { address: host, .. } => {
                Arc::clone(host)
            }
            _ => Arc::from(""),
        })
    })?;
    interface.get::<H, _>("[method]ssh.port", |guest| {
        Ok(match &*guest.ssh()?.request {
            SshRequest::DirectTcpip { port, .. } | SshRequest::TcpipForward { port, .. } => *port,
            _ => 0,
        })
    })?;
    interface.get::<H, _>("[method]ssh.address-count", |guest| Ok(addresses(guest)?.len() as u32))?;
    interface
        .get_at::<H, _>("[method]ssh.address", |guest, at| Ok(item(addresses(guest)?, at)?.to_string()))?;
    interface.get::<H, _>("[method]ssh.path", |guest| {
        Ok(match &*guest.ssh()?.request {
            SshRequest::DirectStreamlocal { path }
            | SshRequest::StreamlocalForward { path }
            | SshRequest::File(FileOperation { path, .. }) => Arc::clone(path),
            _ => Arc::from(""),
        })
    })?;
    link_file(interface)?;
    link_command(interface)?;
    link_channel(interface)
}

fn link_file(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]ssh.operation", |guest| {
        Ok(file(guest)?.map_or("", |file| file.verb.as_str()))
    })?;
    interface.get::<H, _>("[method]ssh.other-path", |guest| {
        Ok(file(guest)?.and_then(|file| file.other_path.clone()).unwrap_or_else(|| Arc::from("")))
    })?;
    interface.get::<H, _>("[method]ssh.creates", |guest| {
        Ok(file(guest)?.is_some_and(|file| file.manner.creates))
    })?;
    interface.get::<H, _>("[method]ssh.replaces", |guest| {
        Ok(file(guest)?.is_some_and(|file| file.manner.replaces))
    })
}

fn link_command(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]ssh.command", |guest| {
        Ok(command(guest)?.map_or_else(|| Arc::from(""), |command| Arc::clone(&command.text)))
    })?;
    interface.get::<H, _>("[method]ssh.is-plain", |guest| {
        Ok(command(guest)?.is_some_and(|command| command.words.is_some()))
    })?;
    interface.get::<H, _>("[method]ssh.word-count", |guest| Ok(words(guest)?.len() as u32))?;
    interface.get_at::<H, _>("[method]ssh.word", |guest, at| item(words(guest)?, at).cloned())?;
    interface.get::<H, _>("[method]ssh.transfer-direction", |guest| {
        Ok(transfer(guest)?.map_or("", |transfer| transfer.direction.as_str()))
    })?;
    interface
        .get::<H, _>("[method]ssh.transfer-path-count", |guest| Ok(transfer_paths(guest)?.len() as u32))?;
    interface
        .get_at::<H, _>("[method]ssh.transfer-path", |guest, at| item(transfer_paths(guest)?, at).cloned())
}

fn link_channel(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]ssh.terminal", |guest| Ok(guest.ssh()?.terminal.clone()))?;
    interface
        .get::<H, _>("[method]ssh.variable-count", |guest| Ok(guest.ssh()?.environment.len() as u32))?;
    interface.get_at::<H, _>("[method]ssh.variable-name", |guest, at| {
        Ok(Arc::clone(&item(&guest.ssh()?.environment, at)?.0))
    })?;
    interface.get_at::<H, _>("[method]ssh.variable-value", |guest, at| {
        Ok(Arc::clone(&item(&guest.ssh()?.environment, at)?.1))
    })
}

fn addresses(guest: &Guest) -> Result<&[IpAddr], Stop> {
    Ok(match &*guest.ssh()?.request {
        SshRequest::DirectTcpip { addresses, .. } => addresses,
        _ => &[],
    })
}

fn command(guest: &Guest) -> Result<Option<&Command>, Stop> {
    Ok(match &*guest.ssh()?.request {
        SshRequest::Exec(command) => Some(command),
        _ => None,
    })
}

fn transfer(guest: &Guest) -> Result<Option<&Transfer>, Stop> {
    Ok(command(guest)?.and_then(|command| command.transfer.as_ref()))
}

fn transfer_paths(guest: &Guest) -> Result<&[Arc<str>], Stop> {
    Ok(transfer(guest)?.map_or(&[], |transfer| &transfer.paths))
}

fn file(guest: &Guest) -> Result<Option<&FileOperation>, Stop> {
    Ok(match &*guest.ssh()?.request {
        SshRequest::File(operation) => Some(operation),
        _ => None,
    })
}

fn words(guest: &Guest) -> Result<&[Arc<str>], Stop> {
    Ok(command(guest)?.and_then(|command| command.words.as_deref()).unwrap_or_default())
}
