//! Certificates made by openssl: not by the library that the gateway uses, so that both can not be wrong alike.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
};

use crate::{
    error::{Result, about, output_of},
    stage::Stage,
};

/// An authority and what it signed.
#[derive(Debug, Clone)]
pub struct Certificates {
    directory: PathBuf,
}

/// A certificate and its private key, both PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes an authority in the directory `NAME` of the stage.
    ///
    /// # Errors
    /// Where openssl is missing or fails.
    pub fn new(stage: &Stage, name: &str) -> Result<Self> {
        let directory = stage.private_directory(name)?;
        // Nothing of the system's openssl.cnf: its default extensions would be added to ours.
        let settings = directory.join("openssl.cnf");
        about(fs::write(&settings, "[req]\ndistinguished_name = name\n[name]\n"), "writing", &settings)?;
        let this = Self { directory };
        let subject = format!("/CN=Gatewright testbed {}", name.replace('/', " "));
        this.request("ca", &subject, &["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"], &[])?;
        Ok(this)
    }

    /// The authority's certificate: what a client has to trust.
    pub fn authority(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A certificate for a server on `localhost` and 127.0.0.1, which the demo calls `api.example`, too.
    ///
    /// # Errors
    /// Where openssl fails.
    pub fn server(&self, name: &str) -> Result<Pair> {
        self.issue(
            name,
            "localhost",
            &["subjectAltName=DNS:localhost,DNS:api.example,IP:127.0.0.1", "extendedKeyUsage=serverAuth"],
        )
    }

    /// A certificate for a server that has another name than the one it is reached by.
    ///
    /// # Errors
    /// Where openssl fails.
    pub fn server_elsewhere(&self, name: &str) -> Result<Pair> {
        let extensions = ["subjectAltName=DNS:elsewhere.example", "extendedKeyUsage=serverAuth"];
        self.issue(name, "elsewhere.example", &extensions)
    }

    /// A certificate for a client, with its name as the common name.
    ///
    /// # Errors
    /// Where openssl fails.
    pub fn client(&self, name: &str) -> Result<Pair> {
        self.issue(name, name, &["extendedKeyUsage=clientAuth"])
    }

    fn issue(&self, name: &str, common_name: &str, extensions: &[&str]) -> Result<Pair> {
        let extensions: Vec<&str> =
            extensions.iter().copied().chain(["basicConstraints=critical,CA:FALSE"]).collect();
        let signer = ["-CA", "ca.pem", "-CAkey", "ca.key"];
        self.request(name, &format!("/CN={common_name}"), &extensions, &signer)?;
        let key = self.directory.join(format!("{name}.key"));
        about(fs::set_permissions(&key, Permissions::from_mode(0o600)), "closing", &key)?;
        Ok(Pair { certificate: self.directory.join(format!("{name}.pem")), key })
    }

    fn request(&self, name: &str, subject: &str, extensions: &[&str], signer: &[&str]) -> Result<()> {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&self.directory).args([
            "req",
            "-config",
            "openssl.cnf",
            "-x509",
            "-days",
            "90",
        ]);
        openssl.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"]);
        openssl.args(["-subj", subject, "-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")]);
        for extension in extensions {
            openssl.args(["-addext", extension]);
        }
        output_of("openssl", openssl.args(signer).output()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssl_accepts_what_was_issued() {
        let stage = Stage::new("certificates").unwrap();
        let certificates = Certificates::new(&stage, "tls").unwrap();
        let verify = |pair: &Pair, name: &str| {
            let mut openssl = Command::new("openssl");
            openssl.arg("verify").arg("-CAfile").arg(certificates.authority());
            openssl.args(["-verify_hostname", name]).arg(&pair.certificate);
            openssl.output().unwrap().status.success()
        };
        assert!(verify(&certificates.server("server").unwrap(), "localhost"));
        assert!(!verify(&certificates.server_elsewhere("elsewhere").unwrap(), "localhost"));
        assert!(certificates.client("app").unwrap().key.exists());
    }
}
