//! `gatewright kubeconfig`
//!
//! What it writes holds no secret: kubectl reads the token from a file, or asks a program for it. So it may be kept
//! and handed round like any configuration. It is never merged into another kubeconfig, because that one holds
//! credentials of clusters that are none of the gateway's business; `KUBECONFIG=a:b` merges them where it is read.

use std::{
    fmt::Write as _,
    fs,
    path::{self, Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{Answer, ConfigArgument, Failure, Terminal, private_file};
use crate::config::{Config, Listener};

const AFTER_HELP: &str = "The token comes from a file, which kubectl reads again when it changes:
  gatewright kubeconfig --ca ca.pem --token-file alice.token
or from a program that prints an ExecCredential, written behind `--`:
  gatewright kubeconfig --ca ca.pem -- gatewright token exec-credential --subject alice --kind human
kubectl runs the program wherever it is run itself. So a program that is named by a path is written with its whole path,
and gatewright's own with the whole path of its --config: the one that is given behind `--`, else the one that is used here.
`gatewright token exec-credential` reads the key of the built-in issuer: whoever can run it can be anybody. It is for trying this on one
machine; give people a program of your identity provider's, or a token.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The listener that kubectl is to speak to; without it, the only one of protocol kubernetes
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Where clients reach the listener, where that is not the address that it listens on
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Certificate authorities (PEM) that clients verify the listener against, instead of their system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File that will hold the user's token
    #[arg(long, value_name = "FILE", conflicts_with = "credential")]
    token_file: Option<PathBuf>,
    /// Name of the context, the cluster and the user
    #[arg(long, value_name = "NAME", default_value = "gatewright")]
    context: String,
    /// Namespace of the context
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Write to this file, readable by its owner only, and not to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace that file if it is there
    #[arg(long, requires = "output")]
    force: bool,
    /// A program that prints the user's credential, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    credential: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let config = match arguments.config.load(terminal)? {
        Ok(config) => config,
        Err(answer) => return Ok(answer),
    };
    let listener = choose(&config, arguments.listener.as_deref())?;
    let server = match &arguments.server {
        Some(url) => checked(url)?,
        None => url_of(listener)?,
    };
    let authority = arguments.ca.as_deref().map(authority).transpose()?;
    let text = kubeconfig(arguments, &server, authority.as_deref())?;
    match &arguments.output {
        None => terminal.line(text.trim_end())?,
        Some(path) => private_file::write(path, text.as_bytes(), arguments.force)?,
    }
    Ok(Answer::Done)
}

fn choose<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c Listener, Failure> {
    let fits = |listener: &&Listener| match name {
        Some(name) => &*listener.name == name,
        None => listener.protocol == "kubernetes",
    };
    let listeners = || config.listeners.iter().map(|listener| &**listener);
    let mut found = listeners().filter(fits);
    let names: Vec<_> =
        listeners().map(|listener| format!("`{}` ({})", listener.name, listener.protocol)).collect();
    let remedy = format!("name one with `--listener`: {}", names.join(", "));
    match (found.next(), found.next()) {
        (Some(listener), None) => Ok(listener),
        (Some(_), Some(_)) => {
            Err(Failure::new("there are several listeners of protocol kubernetes", remedy))
        }
        (None, _) => Err(Failure::new(
            name.map_or_else(
                || "there is no listener of protocol kubernetes".to_owned(),
                |name| format!("there is no listener `{name}`"),
            ),
            remedy,
        )),
    }
}

fn url_of(listener: &Listener) -> Result<String, Failure> {
    if listener.listen.ip().is_unspecified() {
        return Err(Failure::new(
            format_args!("`{}` listens on every address of its machine", listener.name),
            "say where clients reach it, with `--server https://NAME:PORT`",
        ));
    }
    let scheme = if listener.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", listener.listen))
}

/// A URL that kubectl would send a token to.
fn checked(url: &str) -> Result<String, Failure> {
    let good = url.parse::<hyper::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("https" | "http"))
            && uri.authority().is_some()
            && uri.query().is_none()
    });
    if good {
        return Ok(url.to_owned());
    }
    Err(Failure::new(format_args!("`{url}` is not where a server is"), "write it as `https://NAME:PORT`"))
}

/// The file's bytes, if there is a certificate in them and nothing that must stay private.
fn authority(path: &Path) -> Result<Vec<u8>, Failure> {
    let remedy = "name a file of certificates in PEM, with `--ca`";
    let bytes = fs::read(path).map_err(|error| {
        Failure::new(format_args!("can not read `{}`: {error}", path.display()), remedy)
    })?;
    if String::from_utf8_lossy(&bytes).contains("PRIVATE KEY") {
        return Err(Failure::new(format_args!("`{}` holds a private key", path.display()), remedy));
    }
    let mut certificates = CertificateDer::pem_slice_iter(&bytes);
    match certificates.next() {
        Some(Ok(_)) if certificates.all(|certificate| certificate.is_ok()) => Ok(bytes),
        _ => Err(Failure::new(format_args!("`{}` holds no certificate", path.display()), remedy)),
    }
}

fn kubeconfig(arguments: &Arguments, server: &str, authority: Option<&[u8]>) -> Result<String, Failure> {
    let name = quoted(&arguments.context);
    let mut text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: {name}\n  cluster:\n    server: {}\n",
        quoted(server)
    );
    if let Some(authority) = authority {
        let data = BASE64_STANDARD.encode(authority);
        let _ = writeln!(text, "    certificate-authority-data: {data}");
    }
    let _ = writeln!(text, "contexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {name}");
    if let Some(namespace) = &arguments.namespace {
        let _ = writeln!(text, "    namespace: {}", quoted(namespace));
    }
    let _ = writeln!(text, "users:\n- name: {name}\n  user:");
    let credential = anywhere(&arguments.credential, arguments.config.path());
    match (&arguments.token_file, credential.split_first()) {
        (Some(path), _) => {
            let _ = writeln!(text, "    tokenFile: {}", quoted(&absolute(path)));
        }
        (None, Some((command, rest))) => {
            let _ = writeln!(text, "    exec:\n      apiVersion: client.authentication.k8s.io/v1");
            let _ =
                writeln!(text, "      interactiveMode: IfAvailable\n      command: {}", quoted(command));
            let _ = writeln!(text, "      args:{}", if rest.is_empty() { " []" } else { "" });
            for argument in rest {
                let _ = writeln!(text, "      - {}", quoted(argument));
            }
        }
        (None, None) => {
            return Err(Failure::new(
                "nothing says how the user gets a token",
                "give `--token-file FILE`, or a program behind `--` (see `gatewright kubeconfig --help`)",
            ));
        }
    }
    Ok(text)
}

/// The same program with the same arguments, from whatever folder it is run.
fn anywhere(credential: &[String], config: &Path) -> Vec<String> {
    let mut words = credential.iter();
    let Some(program) = words.next().map(Path::new) else { return Vec::new() };
    // A bare name is looked for in PATH.
    let named =
        if program.components().count() > 1 { absolute(program) } else { program.display().to_string() };
    let mut all = vec![named];
    if program.file_name() != Some("gatewright".as_ref()) {
        all.extend(words.cloned());
        return all;
    }
    let mut has_config = false;
    while let Some(word) = words.next() {
        if let Some(file) = word.strip_prefix("--config=") {
            has_config = true;
            all.push(format!("--config={}", absolute(file.as_ref())));
            continue;
        }
        all.push(word.clone());
        if matches!(&**word, "--config" | "-c") {
            has_config = true;
            all.extend(words.next().map(|file| absolute(file.as_ref())));
        }
    }
    if !has_config {
        all.extend(["--config".to_owned(), absolute(config)]);
    }
    all
}

fn absolute(path: &Path) -> String {
    path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// A string of JSON is one of YAML too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
