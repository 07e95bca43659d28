//! Free ports on loopback.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    net::{Ipv4Addr, TcpListener},
};

use crate::error::{Error, Result};

/// A port on 127.0.0.1 that nobody listens on now.
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
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::new("there is no free port between 20000 and 32000 on 127.0.0.1"))
}
