//! One compiled module: from bytes to something that can be instantiated, checked on the way.

use std::{fmt, panic};

use gatewright_model::digest::Digest;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};
use wit_component::ComponentEncoder;

use crate::{
    block_on::block_on,
    contract::{MODULE, PACKAGE},
    guest::Guest,
    host::{Host, Ticks},
    instance::{self, Failure},
    limits::Limits,
    manifest::Manifest,
};

/// A module that was compiled, fits the contract and has described itself. Immutable; every session makes
/// instances of its own.
pub struct Module {
    digest: Digest,
    size: usize,
    manifest: Manifest,
    pub(crate) plan: Plan,
}

/// What it takes to make an instance.
pub(crate) struct Plan {
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) exports: Exports,
    pub(crate) limits: Limits,
    pub(crate) ticks: Ticks,
}

/// Where the module's functions are, so that no name is looked up when an instance is made.
pub(crate) struct Exports {
    pub(crate) describe: ComponentExportIndex,
    pub(crate) configure: ComponentExportIndex,
    pub(crate) evaluate: ComponentExportIndex,
}

/// How a core module begins; a component has another version in it.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// What is said of bytes on which the compiler gives up without a word.
const DAMAGED: &str =
    "it is damaged or cut off: build it again, and move it into place only when it is whole";

impl Module {
    pub(crate) fn compile(host: &Host, digest: Digest, bytes: &[u8]) -> Result<Self, ModuleError> {
        let limit = host.limits().module;
        if bytes.len() > limit {
            return Err(ModuleError::TooLarge { size: bytes.len(), limit });
        }
        // What is cut off is found first, in words.
        if bytes.starts_with(CORE_MODULE) {
            wasmtime::Module::validate(host.engine(), bytes)
                .map_err(|_| ModuleError::Compile(DAMAGED.to_owned()))?;
        }
        // The bytes may be hostile, and a bug in a compiler must not end the gateway.
        let built = panic::catch_unwind(panic::AssertUnwindSafe(|| Plan::build(host, bytes)));
        let plan = built.unwrap_or_else(|_| Err(ModuleError::Compile(DAMAGED.to_owned())))?;
        let manifest = block_on(instance::describe(&plan))?;
        let manifest = manifest.finish().map_err(ModuleError::Manifest)?;
        Ok(Self { digest, size: bytes.len(), manifest, plan })
    }

    /// SHA-256 of its bytes, as they are in the file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Length of the file in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("digest", &self.digest).field("manifest", &self.manifest).finish()
    }
}

impl Plan {
    fn build(host: &Host, bytes: &[u8]) -> Result<Self, ModuleError> {
        let component = component(bytes)?;
        let component = Component::new(host.engine(), &*component).map_err(compile_error)?;
        let ty = component.component_type();
        for (name, _) in ty.imports(host.engine()) {
            if !name.starts_with(PACKAGE) {
                return Err(ModuleError::Import(name.to_owned()));
            }
        }
        let pre = host.linker().instantiate_pre(&component).map_err(ModuleError::contract)?;
        let exports = Exports::find(&component)?;
        Ok(Self { pre, exports, limits: *host.limits(), ticks: host.ticks().clone() })
    }
}

impl Exports {
    fn find(component: &Component) -> Result<Self, ModuleError> {
        let module = component
            .get_export_index(None, MODULE)
            .ok_or_else(|| ModuleError::Export(MODULE.to_owned()))?;
        let function = |name: &str| {
            component
                .get_export_index(Some(&module), name)
                .ok_or_else(|| ModuleError::Export(format!("{MODULE}#{name}")))
        };
        Ok(Self {
            describe: function("describe")?,
            configure: function("configure")?,
            evaluate: function("evaluate")?,
        })
    }
}

/// The component in the bytes: itself, or made of the core module that `cargo build` gives an author.
fn component(bytes: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, ModuleError> {
    // Magic number, then version and layer (WebAssembly core specification 5.5.16; component model
    // design/mvp/Binary.md).
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(bytes.into()),
        Some(b"\0asm\x01\0\0\0") => {
            let encoded = ComponentEncoder::default()
                .validate(true)
                .module(bytes)
                .and_then(|mut encoder| encoder.encode())
                .map_err(|error| ModuleError::Encode(one_line(&error)))?;
            Ok(encoded.into())
        }
        _ => Err(ModuleError::NotWasm),
    }
}

fn compile_error(error: wasmtime::Error) -> ModuleError {
    ModuleError::Compile(one_line(&error))
}

fn one_line(error: &impl fmt::Display) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Why bytes are no module that this gateway can use.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// More bytes than [`Limits::module`].
    #[error("the module has {size} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Neither a core module nor a component.
    #[error("the file is not WebAssembly")]
    NotWasm,
    /// A core module that no component can be made of: most often it imports something.
    #[error("the module does not fit the policy contract: {0}")]
    Encode(String),
    /// It imports what policies may not have.
    #[error("the module imports `{0}`, and a policy may import nothing but `gatewright:policy`")]
    Import(String),
    /// It is not valid, or uses a proposal that is off.
    #[error("the module does not compile: {0}")]
    Compile(String),
    /// It was built for another version of the contract.
    #[error("the module does not fit this gateway's contract: {0}")]
    Contract(String),
    /// It does not export what a policy exports.
    #[error("the module does not export `{0}`")]
    Export(String),
    /// It failed to describe itself.
    #[error("the module does not describe itself: {0}")]
    Describe(Failure),
    /// It described itself wrongly.
    #[error("the module's manifest can not be used: {0}")]
    Manifest(String),
}

impl ModuleError {
    pub(crate) fn contract(error: wasmtime::Error) -> Self {
        Self::Contract(one_line(&error))
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "build it with `--release` and `opt-level = \"s\"`",
            Self::NotWasm | Self::Compile(_) => {
                "build it with `cargo build --release --target wasm32-unknown-unknown`"
            }
            Self::Encode(_) | Self::Import(_) => {
                "build it for the target `wasm32-unknown-unknown` with the policy SDK; WASI is not available"
            }
            Self::Contract(_) | Self::Export(_) => {
                "build it with the version of the policy SDK that belongs to this gateway"
            }
            Self::Describe(_) | Self::Manifest(_) => "look at the module's `policy!` macro",
        }
    }
}
