//! Certificates are read again when they change, without a restart (requirement O3).

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::watch::Receiver;

use super::CertificateError;

/// TLS material that can be read again.
pub trait Reloadable: Send + Sync {
    /// The file that names it in logs and metrics.
    fn path(&self) -> &Path;

    /// When the certificate that is in use ends. None: only authorities are used.
    fn not_after(&self) -> Option<SystemTime>;

    /// Reads the files again. New connections use what was read.
    ///
    /// # Errors
    ///
    /// The files can not be used; what was in use stays (threats F37).
    fn reload(&self, now: SystemTime) -> Result<Reload, CertificateError>;
}

/// What became of reading again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The files are as before.
    Unchanged,
    /// New connections use the new files.
    Replaced,
}

/// Reads the material again every `interval` and whenever `hangup` changes; reports through logs.
///
/// It compares contents and not times of change, so that it does not matter how a file was replaced:
/// renamed over, written in place, or by a symbolic link as Kubernetes does. Ends when the sender of
/// `hangup` is gone.
pub async fn watch(material: Vec<Arc<dyn Reloadable>>, interval: Duration, mut hangup: Receiver<u64>) {
    loop {
        let material = material.clone();
        // Small files, but on a disk that may hang: not on a thread that serves sessions.
        let done = tokio::task::spawn_blocking(move || {
            for item in &material {
                reload_one(&**item, SystemTime::now());
            }
        });
        if done.await.is_err() {
            tracing::error!("reloading certificates failed, the ones in use stay");
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            changed = hangup.changed() => if changed.is_err() { return },
        }
    }
}

fn reload_one(item: &dyn Reloadable, now: SystemTime) {
    let path = item.path().display();
    match item.reload(now) {
        Ok(Reload::Unchanged) => {}
        Ok(Reload::Replaced) => tracing::info!(%path, "certificate replaced"),
        Err(error) => {
            tracing::error!(%path, %error, remedy = error.remedy(), "certificate not replaced, the old one stays");
        }
    }
    let left = item.not_after().map(|end| end.duration_since(now).unwrap_or_default());
    match left.map(|left| left.as_secs() / DAY) {
        Some(0) => tracing::error!(%path, "certificate ends within a day"),
        Some(days @ 1..EXPIRY_WARNING_DAYS) => tracing::warn!(%path, days, "certificate ends soon"),
        _ => {}
    }
}

const DAY: u64 = 24 * 60 * 60;

/// A certificate that ends within this many days is a warning (threats F27).
pub(crate) const EXPIRY_WARNING_DAYS: u64 = 30;
