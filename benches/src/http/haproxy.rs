//! HAProxy as Debian packages it, with one thread.

use std::{fs, net::TcpStream, process::Command, time::Duration};

use gatewright_testbed::{Error, Pair, Result, Service, Stage, free_port};

/// A running HAProxy.
#[derive(Debug)]
pub(crate) struct HaProxy {
    service: Service,
    port: u16,
}

impl HaProxy {
    /// One that passes requests on, over connections that it keeps.
    pub(crate) fn start(stage: &Stage, target: u16, pair: Option<&Pair>) -> Result<Self> {
        let directory = stage.private_directory("haproxy")?;
        let port = free_port()?;
        let write = |name: &str, content: &[u8]| {
            let path = directory.join(name);
            let written = fs::write(&path, content);
            written.map_err(|error| Error::new(format!("writing {}: {error}", path.display())))?;
            Ok::<_, Error>(path)
        };
        // It wants the certificate and its key in one file.
        let protection = match pair {
            None => String::new(),
            Some(pair) => {
                let both: std::io::Result<Vec<u8>> =
                    fs::read(&pair.certificate).and_then(|pem| Ok([pem, fs::read(&pair.key)?].concat()));
                let both = both.map_err(|error| Error::new(format!("reading a certificate: {error}")))?;
                format!(" ssl crt {}", write("server.pem", &both)?.display())
            }
        };
        let config = write(
            "haproxy.cfg",
            format!(
                "global\n  nbthread 1\n  maxconn 4096\ndefaults\n  mode http\n  timeout connect 10s\n  \
                 timeout client 60s\n  timeout server 60s\n  option http-keep-alive\n  http-reuse always\n\
                 frontend clients\n  bind 127.0.0.1:{port}{protection}\n  default_backend target\n\
                 backend target\n  server target 127.0.0.1:{target}\n"
            )
            .as_bytes(),
        )?;
        let mut command = Command::new("/usr/sbin/haproxy");
        let mut service = stage.spawn("haproxy", command.arg("-db").arg("-f").arg(config))?;
        service.wait_until(Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(Self { service, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.service.pid()
    }
}
