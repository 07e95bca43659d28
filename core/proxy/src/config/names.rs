//! The names that policies can speak of.

use std::sync::Arc;

use super::{listener::ReadListener, target::ReadTarget};

/// What a configuration calls its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of the listeners.
    pub listeners: Vec<Arc<str>>,
    /// Of the targets.
    pub targets: Vec<Arc<str>>,
    /// What the listeners' clients speak.
    pub protocols: Vec<&'static str>,
}

impl Names {
    /// All of them, or none: one that can not be read may be the one that a policy means.
    pub(super) fn read(listeners: &[ReadListener], targets: &[ReadTarget]) -> Option<Self> {
        let name = |listener: &ReadListener| Some(listener.name.as_ref()?.value.clone());
        let protocol = |listener: &ReadListener| Some(listener.protocol.as_ref()?.value);
        Some(Self {
            listeners: listeners.iter().map(name).collect::<Option<_>>()?,
            targets: targets
                .iter()
                .map(|target| Some(target.name.as_ref()?.value.clone()))
                .collect::<Option<_>>()?,
            protocols: listeners.iter().map(protocol).collect::<Option<_>>()?,
        })
    }
}
