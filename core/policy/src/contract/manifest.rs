//! `gatewright:policy/manifest`: what a module says about itself, under construction.

use wasmtime::{
    StoreContextMut,
    component::{Resource, WasmStr},
};

use super::{Interface, text};
use crate::{
    guest::{Guest, Stop},
    manifest::ManifestDraft,
};

/// Type of the handle to a manifest.
pub(crate) struct ManifestHandle;

type H = ManifestHandle;
type Cx<'a> = StoreContextMut<'a, Guest>;

/// Kinds that a manifest may list.
const KINDS: usize = 64;

pub(super) fn link(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.resource::<H>("manifest")?;
    let Interface(instance) = interface;
    instance.func_wrap("[constructor]manifest", |mut cx: Cx, (name, version): (WasmStr, WasmStr)| {
        cx.data_mut().count_call()?;
        let (name, version) = (text(&cx, &name)?.into_owned(), text(&cx, &version)?.into_owned());
        if cx.data().manifest.is_some() {
            Err(Stop::Invalid("made more than one manifest".to_owned()))?;
        }
        cx.data_mut().manifest = Some(ManifestDraft { name, version, ..ManifestDraft::default() });
        Ok((Resource::<H>::new_own(0),))
    })?;
    instance.func_wrap(
        "[method]manifest.add-kind",
        |mut cx: Cx, (_self, kind): (Resource<H>, WasmStr)| {
            cx.data_mut().count_call()?;
            let kind = text(&cx, &kind)?.into_owned();
            let manifest = open(cx.data_mut())?;
            if manifest.kinds.len() == KINDS {
                Err(Stop::Invalid(format!("lists more than {KINDS} event kinds")))?;
            }
            manifest.kinds.push(kind);
            Ok(())
        },
    )?;
    instance.func_wrap(
        "[method]manifest.add-input",
        |mut cx: Cx, (_self, input): (Resource<H>, WasmStr)| {
            cx.data_mut().count_call()?;
            let input = text(&cx, &input)?.into_owned();
            let inputs = &mut open(cx.data_mut())?.inputs;
            match &*input {
                "parameters" => inputs.parameters = true,
                "body" => inputs.body = true,
                "clock" => inputs.clock = true,
                _ => Err(Stop::Invalid("declares an input that this gateway does not have".to_owned()))?,
            }
            Ok(())
        },
    )?;
    instance.func_wrap(
        "[method]manifest.set-settings-schema",
        |mut cx: Cx, (_self, schema): (Resource<H>, WasmStr)| {
            cx.data_mut().count_call()?;
            let schema = text(&cx, &schema)?.into_owned();
            open(cx.data_mut())?.settings_schema = schema;
            Ok(())
        },
    )
}

fn open(guest: &mut Guest) -> Result<&mut ManifestDraft, Stop> {
    guest
        .manifest
        .as_mut()
        .ok_or_else(|| Stop::Invalid("used its manifest after it was complete".to_owned()))
}
