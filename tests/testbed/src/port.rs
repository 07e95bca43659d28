//! Free ports on loopback.

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::{BuildHasher, Hasher},
    net::{Ipv4Addr, TcpListener},
    sync::{Mutex, PoisonError},
};

use crate::error::{Error, Result};

/// Those that this process was given: nobody has to listen on them yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port on 127.0.0.1 that nobody listens on now, and that this process was not given before.
///
/// Taken from below the range that the kernel gives to outgoing connections, and at random, so that another
/// test that looks at the same moment is unlikely to take the same. Whoever uses it still has to try again
/// when it was taken after all.
///
/// # Errors
/// Where none is found.
pub fn free_port() -> Result<u16> {
    for _ in 0..200 {
        let random = RandomState::new().build_hasher().finish();
        let port = 20_000 + u16::try_from(random % 12_000).unwrap_or_default();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if free && GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
    Err(Error::new("there is no free port between 20000 and 32000 on 127.0.0.1"))
}
