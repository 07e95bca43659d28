use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::pki_types::ServerName;
use sha2::{Digest as _, Sha256, Sha384};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::dev_certificates::{CertificateRequest, WrittenCertificates, write_certificates};

fn server_files(written: &WrittenCertificates) -> KeyPairFiles {
    KeyPairFiles { certificate: written.server.0.clone(), key: written.server.1.clone() }
}

/// Connects the two and returns the certificate that the client saw.
async fn shake_hands(server: &ServerTls, client: &ClientTls) -> std::io::Result<Vec<u8>> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("localhost").unwrap();
    let connect = TlsConnector::from(client.config());
    let accept = TlsAcceptor::from(server.config());
    let (seen, served) = tokio::join!(connect.connect(name, near), accept.accept(far));
    let (seen, _served) = (seen?, served?);
    let (_, connection) = seen.get_ref();
    assert_eq!(connection.alpn_protocol(), Some(ALPN_POSTGRESQL));
    Ok(connection.peer_certificates().unwrap()[0].to_vec())
}

#[tokio::test]
async fn f027_a_replaced_certificate_is_served_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let written = write_certificates(folder.path(), &CertificateRequest::localhost(now)).unwrap();
    let server = ServerTls::load(server_files(&written), &[ALPN_POSTGRESQL], now).unwrap();
    let files = ClientFiles { ca: written.ca.clone(), identity: None };
    let client = ClientTls::load(files, ALPN_POSTGRESQL, now).unwrap();
    let before = shake_hands(&server, &client).await.unwrap();
    assert_eq!(server.reload(now).unwrap(), Reload::Unchanged);

    write_certificates(folder.path(), &CertificateRequest::localhost(now)).unwrap();
    assert_eq!(server.reload(now).unwrap(), Reload::Replaced);
    assert!(shake_hands(&server, &client).await.is_err(), "the old authority is still the trusted one");
    assert_eq!(client.reload(now).unwrap(), Reload::Replaced);
    let after = shake_hands(&server, &client).await.unwrap();
    assert_ne!(before, after);
}

#[tokio::test]
async fn f037_a_broken_replacement_leaves_the_certificate_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let written = write_certificates(folder.path(), &CertificateRequest::localhost(now)).unwrap();
    let server = ServerTls::load(server_files(&written), &[ALPN_POSTGRESQL], now).unwrap();
    let files = ClientFiles { ca: written.ca.clone(), identity: None };
    let client = ClientTls::load(files, ALPN_POSTGRESQL, now).unwrap();
    let before = shake_hands(&server, &client).await.unwrap();

    fs::write(&written.server.0, "half a file").unwrap();
    assert!(matches!(server.reload(now), Err(CertificateError::NoCertificate { .. })));
    fs::copy(&written.target.0, &written.server.0).unwrap();
    assert!(matches!(server.reload(now), Err(CertificateError::Mismatch { .. })));
    assert_eq!(shake_hands(&server, &client).await.unwrap(), before);
}

#[test]
fn f027_certificates_out_of_their_time_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let day = Duration::from_secs(24 * 60 * 60);
    let written = write_certificates(folder.path(), &CertificateRequest::localhost(now)).unwrap();
    let load = |at| ServerTls::load(server_files(&written), &[ALPN_POSTGRESQL], at);
    let server = load(now).unwrap();
    let left = server.not_after().unwrap().duration_since(now).unwrap();
    assert!(left > 89 * day && left < 90 * day, "{left:?}");
    assert!(matches!(load(now + 100 * day), Err(CertificateError::Expired { since: 10, .. })));
    assert!(matches!(load(now - 10 * day), Err(CertificateError::NotYet { days: 9, .. })));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let written = write_certificates(folder.path(), &CertificateRequest::localhost(now)).unwrap();
    fs::set_permissions(&written.server.1, fs::Permissions::from_mode(0o640)).unwrap();
    let error = ServerTls::load(server_files(&written), &[ALPN_POSTGRESQL], now).unwrap_err();
    assert!(error.is_about_key());
    assert!(error.to_string().contains("640"), "{error}");
    assert!(error.remedy().contains("chmod 600"), "{}", error.remedy());
}

#[tokio::test]
async fn a_target_with_another_name_is_not_reached() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let request = CertificateRequest {
        hosts: vec!["elsewhere.example".into()],
        ..CertificateRequest::localhost(now)
    };
    let written = write_certificates(folder.path(), &request).unwrap();
    let server = ServerTls::load(server_files(&written), &[ALPN_POSTGRESQL], now).unwrap();
    let files = ClientFiles { ca: written.ca.clone(), identity: None };
    let client = ClientTls::load(files, ALPN_POSTGRESQL, now).unwrap();
    assert!(shake_hands(&server, &client).await.is_err());
}

#[test]
fn channel_binding_uses_the_hash_of_the_signature() {
    let made = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().clone()
    };
    let p256 = made(&PKCS_ECDSA_P256_SHA256);
    assert_eq!(server_end_point(&p256), Some(Sha256::digest(&p256).to_vec()));
    let p384 = made(&PKCS_ECDSA_P384_SHA384);
    assert_eq!(server_end_point(&p384), Some(Sha384::digest(&p384).to_vec()));
    assert_eq!(server_end_point(&made(&PKCS_ED25519)), None);
}

#[test]
fn channel_binding_never_panics_on_damaged_certificates() {
    let key = KeyPair::generate().unwrap();
    let whole = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let whole = whole.der().to_vec();
    for length in 0..whole.len() {
        assert_eq!(server_end_point(&whole[..length].to_vec().into()), None, "cut at {length}");
    }
    for place in 0..whole.len().min(200) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x80;
        // Only that it returns: many fields may change without the walk noticing.
        let _ = server_end_point(&damaged.into());
    }
}
