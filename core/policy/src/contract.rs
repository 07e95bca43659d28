//! The host's side of the contract `gatewright:policy` 1.x: every function that a module can import.
//!
//! Written by hand over wasmtime's linker, and not generated: strings are then read in place instead of
//! being copied to the host first, getters hand out shared text without a copy, and every call passes one
//! budget. A test holds the WIT against what is linked here.
//!
//! Facets are handles without a table: the instance judges one event at a time, so a handle's number needs
//! to say nothing. A handle that a module keeps beyond its call sees the next event of the same session,
//! or none.

mod event;
mod http;
mod kubernetes;
mod manifest;
mod sql;
mod ssh;
pub(crate) mod verdict;

use std::borrow::Cow;

use wasmtime::{
    StoreContextMut,
    component::{ComponentType, Linker, LinkerInstance, Lower, Resource, ResourceType, WasmStr},
};

use crate::guest::{Guest, Stop};

/// The package that modules may import, and nothing else.
pub(crate) const PACKAGE: &str = "gatewright:policy/";

/// The interface that modules export. One that was built for an earlier 1.x exports it under that version, and
/// wasmtime finds it there: names that differ in what semantic versioning calls compatible are one name.
pub(crate) const MODULE: &str = "gatewright:policy/module@1.5.0";

/// SHA-256 over the contract's WIT files in the order of their names, each as name, 0, contents, 0. Whoever changes the contract changes
/// this, and writes into `plugin-sdk/wit/CHANGES.md` what it means for modules that exist.
pub const CONTRACT_DIGEST: &str = "32dc5513ad9dcb3c6194a4b044e4a69a31807f640ff74ca7d6799d78d3f61145";

/// Version of the contract.
pub const CONTRACT_VERSION: &str = "1.5.0";

pub(crate) use event::EventHandle;
pub(crate) use manifest::ManifestHandle;
pub(crate) use verdict::VerdictHandle;

/// Links the whole contract.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    sql::link(&mut Interface::open(linker, "gatewright:policy/sql@1.5.0")?)?;
    http::link(&mut Interface::open(linker, "gatewright:policy/http@1.5.0")?)?;
    kubernetes::link(&mut Interface::open(linker, "gatewright:policy/kubernetes@1.5.0")?)?;
    ssh::link(&mut Interface::open(linker, "gatewright:policy/ssh@1.5.0")?)?;
    event::link(&mut Interface::open(linker, "gatewright:policy/event@1.5.0")?)?;
    verdict::link(&mut Interface::open(linker, "gatewright:policy/verdict@1.5.0")?)?;
    manifest::link(&mut Interface::open(linker, "gatewright:policy/manifest@1.5.0")?)
}

/// One interface of the contract under construction.
struct Interface<'l>(LinkerInstance<'l, Guest>);

impl<'l> Interface<'l> {
    fn open(linker: &'l mut Linker<Guest>, name: &str) -> wasmtime::Result<Self> {
        Ok(Self(linker.instance(name)?))
    }

    /// A resource whose handles need no clean-up.
    fn resource<H: 'static>(&mut self, name: &str) -> wasmtime::Result<()> {
        self.0.resource(name, ResourceType::host::<H>(), |_, _| Ok(()))
    }

    /// A method without arguments.
    fn get<H: 'static, R>(
        &mut self,
        name: &str,
        get: impl Fn(&Guest) -> Result<R, Stop> + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        R: ComponentType + Lower + Send + Sync + 'static,
    {
        self.0.func_wrap(name, move |mut cx: StoreContextMut<Guest>, (_self,): (Resource<H>,)| {
            cx.data_mut().count_call()?;
            Ok((get(cx.data())?,))
        })
    }

    /// A method that takes one number.
    fn get_at<H: 'static, R>(
        &mut self,
        name: &str,
        get: impl Fn(&Guest, u32) -> Result<R, Stop> + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        R: ComponentType + Lower + Send + Sync + 'static,
    {
        type Arguments<H> = (Resource<H>, u32);
        self.0.func_wrap(name, move |mut cx: StoreContextMut<Guest>, (_self, at): Arguments<H>| {
            cx.data_mut().count_call()?;
            Ok((get(cx.data(), at)?,))
        })
    }

    /// A method that takes two numbers: a statement, and a part of it.
    fn get_part<H: 'static, R>(
        &mut self,
        name: &str,
        get: impl Fn(&Guest, u32, u32) -> Result<R, Stop> + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        R: ComponentType + Lower + Send + Sync + 'static,
    {
        type Arguments<H> = (Resource<H>, u32, u32);
        self.0.func_wrap(name, move |mut cx: StoreContextMut<Guest>, (_self, at, part): Arguments<H>| {
            cx.data_mut().count_call()?;
            Ok((get(cx.data(), at, part)?,))
        })
    }

    /// A method that takes a word.
    fn ask<H: 'static, R>(
        &mut self,
        name: &str,
        ask: impl Fn(&Guest, &str) -> Result<R, Stop> + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        R: ComponentType + Lower + Send + Sync + 'static,
    {
        type Arguments<H> = (Resource<H>, WasmStr);
        self.0.func_wrap(name, move |mut cx: StoreContextMut<Guest>, (_self, word): Arguments<H>| {
            cx.data_mut().count_call()?;
            let word = text(&cx, &word)?;
            Ok((ask(cx.data(), &word)?,))
        })
    }
}

/// Text of the module, read where it lies. Its length is bounded by [`crate::Limits::string`].
fn text<'a>(cx: &'a StoreContextMut<'_, Guest>, string: &WasmStr) -> Result<Cow<'a, str>, Stop> {
    string.to_str(cx).map_err(|_| Stop::Invalid("passed text that is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use sha2::{Digest as _, Sha256};

    use super::*;

    fn wit() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-sdk/wit")
    }

    #[test]
    fn the_contract_is_the_one_that_this_host_implements() {
        let mut files: Vec<_> = fs::read_dir(wit()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "wit"));
        files.sort();
        let mut hash = Sha256::new();
        for file in files {
            hash.update(file.file_name().unwrap().as_encoded_bytes());
            hash.update([0]);
            hash.update(fs::read(file).unwrap());
            hash.update([0]);
        }
        let changes = "the contract changed: update CONTRACT_DIGEST and plugin-sdk/wit/CHANGES.md";
        assert_eq!(hex::encode(hash.finalize()), CONTRACT_DIGEST, "{changes}");
    }

    #[test]
    fn the_version_is_the_one_that_the_contract_says() {
        let module = fs::read_to_string(wit().join("module.wit")).unwrap();
        assert!(module.contains(&format!("package gatewright:policy@{CONTRACT_VERSION};")));
        assert_eq!(MODULE, format!("{PACKAGE}module@{CONTRACT_VERSION}"));
    }
}
