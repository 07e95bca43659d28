//! A real OpenSSH server, and keys for it.

use std::{
    fs::{self, Permissions},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    error::{Error, Result, about},
    port::free_port,
    stage::{Service, Stage},
    user::User,
};

/// A running sshd that lets one key in, to an account that is not root's: there, sshd does less than elsewhere.
#[derive(Debug)]
pub struct Sshd {
    port: u16,
    account: String,
    directory: PathBuf,
    home: PathBuf,
    log: PathBuf,
    service: Service,
}

/// Debian keeps it where only root's PATH leads, and it wants to be called by its whole path.
const PROGRAM: &str = "/usr/sbin/sshd";

impl Sshd {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// Where it is not installed or does not start.
    pub fn start(stage: &Stage, name: &str) -> Result<Self> {
        let (directory, home) =
            (stage.private_directory(name)?, stage.private_directory(&format!("{name}-home"))?);
        let (account, user) = account()?;
        user.own(&home)?;
        // The account reads the key that is let in.
        about(fs::set_permissions(&directory, Permissions::from_mode(0o711)), "opening", &directory)?;
        let port = free_port()?;
        for key in ["host_key", "host_authority", "account_key"] {
            make_key(&directory.join(key))?;
        }
        let about_host = ["-h", "-n", "127.0.0.1", "-V", "-1h:+1h"];
        sign(&directory.join("host_authority"), "host", &about_host, &directory.join("host_key"))?;
        // Read at each login: a test writes whom it trusts.
        write(&directory.join("user_authorities"), "")?;
        // Where it is started by root, it keeps an empty folder to lock itself into.
        let _ = fs::create_dir_all("/run/sshd");
        let config = directory.join("sshd_config");
        // Without PAM, an account whose password is locked is. Only root has PAM.
        let pam = if matches!(user, User::Other { .. }) { "yes" } else { "no" };
        write(&config, &configuration(&directory, &home, port, pam))?;
        let mut command = Command::new(PROGRAM);
        command.args(["-D", "-e", "-f"]).arg(&config);
        let mut service = stage.spawn(name, &mut command)?;
        service.wait_until(Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        let log = stage.directory().join(format!("{name}.log"));
        Ok(Self { port, account, directory, home, log, service })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process that waits for connections.
    pub fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// The account that its key is for.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// A folder of the account's.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where the account's private key is.
    pub fn account_key(&self) -> PathBuf {
        self.directory.join("account_key")
    }

    /// The public key of the authority that has signed its host key, for 127.0.0.1.
    ///
    /// # Errors
    /// Where it can not be read.
    pub fn host_authority(&self) -> Result<String> {
        public_key(&self.directory.join("host_authority"))
    }

    /// Trusts this authority's certificates for users, and no key any more.
    ///
    /// # Errors
    /// Where the file can not be written.
    pub fn trust_only(&self, authority: &str) -> Result<()> {
        write(&self.directory.join("user_authorities"), &format!("{authority}\n"))?;
        write(&self.directory.join("account_key.pub"), "")
    }

    /// What it has logged so far.
    ///
    /// # Errors
    /// Where it can not be read.
    pub fn log(&self) -> Result<String> {
        let text = fs::read_to_string(&self.log);
        text.map_err(|error| Error::new(format!("reading {}: {error}", self.log.display())))
    }

    /// Its host key, as `ssh-keyscan` prints it behind the name.
    ///
    /// # Errors
    /// Where it can not be read.
    pub fn host_key(&self) -> Result<String> {
        public_key(&self.directory.join("host_key"))
    }
}

/// Makes a key without a passphrase, and `FILE.pub` beside it.
///
/// # Errors
/// Where there is no `ssh-keygen`.
pub fn make_key(file: &Path) -> Result<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(file);
    let status = command.status().map_err(|error| Error::new(format!("running ssh-keygen: {error}")))?;
    if status.success() { Ok(()) } else { Err(Error::new("ssh-keygen failed")) }
}

/// Has an authority sign a public key, with options of `ssh-keygen`; the certificate is `FILE-cert.pub`.
///
/// # Errors
/// Where there is no `ssh-keygen`, or it refuses.
pub fn sign(authority: &Path, id: &str, options: &[&str], file: &Path) -> Result<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-I", id]).args(options).arg("-s").arg(authority).arg(file.with_extension("pub"));
    let status = command.status().map_err(|error| Error::new(format!("running ssh-keygen: {error}")))?;
    if status.success() { Ok(()) } else { Err(Error::new("ssh-keygen signed nothing")) }
}

/// The public key beside a private one.
///
/// # Errors
/// Where it can not be read.
pub fn public_key(file: &Path) -> Result<String> {
    let file = file.with_extension("pub");
    let text = fs::read_to_string(&file);
    let text = text.map_err(|error| Error::new(format!("reading {}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(|error| Error::new(format!("writing {}: {error}", file.display())))
}

/// Who is let in: whoever runs this, or, where that is root, the user that PostgreSQL runs as.
fn account() -> Result<(String, User)> {
    let user = User::unprivileged()?;
    if let User::Other { .. } = user {
        return Ok(("postgres".to_owned(), user));
    }
    let output = Command::new("id").arg("-un").output();
    let output = output.map_err(|error| Error::new(format!("running id: {error}")))?;
    Ok((String::from_utf8_lossy(&output.stdout).trim().to_owned(), user))
}

fn configuration(directory: &Path, home: &Path, port: u16, pam: &str) -> String {
    let (directory, home) = (directory.display(), home.display());
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host_key\nPidFile none\n\
         HostCertificate {directory}/host_key-cert.pub\nTrustedUserCAKeys {directory}/user_authorities\n\
         AuthorizedKeysFile {directory}/account_key.pub\nStrictModes no\nUsePAM {pam}\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\n\
         AcceptEnv LANG LC_* GREETING\nAllowTcpForwarding yes\nAllowStreamLocalForwarding yes\n\
         X11Forwarding yes\nSetEnv XAUTHORITY={home}/xauthority\n\
         PrintMotd no\nPrintLastLog no\nMaxSessions 200\nMaxStartups 200\nSubsystem sftp internal-sftp\nLogLevel VERBOSE\n"
    )
}
