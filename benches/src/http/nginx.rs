//! nginx as Debian packages it, with one worker: once as the target, once as a proxy in front of it.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use gatewright_testbed::{Error, Pair, Result, Service, Stage, free_port};

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nginx {
    service: Service,
    port: u16,
}

/// An answer of 1,024 bytes.
const NOTE: usize = 964;

impl Nginx {
    /// One that answers with 1 KB of JSON, or with 100 MB.
    pub(crate) fn target(stage: &Stage) -> Result<Self> {
        let note = "x".repeat(NOTE);
        let answer = format!(r#"{{"id":7,"name":"Ada","email":"ada@example.com","note":"{note}"}}"#);
        let locations =
            format!("location /api/people/7 {{ default_type application/json; return 200 '{answer}'; }}");
        let locations =
            format!("{locations} location = /api/large.json {{ root {}; }}", large(stage)?.display());
        Self::start(stage, "target", "", &locations, None)
    }

    /// One that passes requests on, over connections that it keeps.
    pub(crate) fn proxy(stage: &Stage, target: u16, pair: Option<&Pair>) -> Result<Self> {
        let upstream = format!(
            "upstream target {{ server 127.0.0.1:{target}; keepalive 64; keepalive_requests 1000000000; }}"
        );
        let locations = "location / { proxy_pass http://target; proxy_http_version 1.1; proxy_set_header Connection \"\"; }";
        Self::start(stage, "nginx", &upstream, locations, pair)
    }

    fn start(
        stage: &Stage,
        name: &str,
        upstream: &str,
        locations: &str,
        pair: Option<&Pair>,
    ) -> Result<Self> {
        let directory = stage.private_directory(name)?;
        let port = free_port()?;
        let config = directory.join("nginx.conf");
        fs::write(&config, configuration(&directory, port, upstream, locations, pair))
            .map_err(|error| Error::new(format!("writing {}: {error}", config.display())))?;
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(&config).arg("-p").arg(&directory).args(["-g", "daemon off;"]);
        let mut service = stage.spawn(name, &mut command)?;
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

/// Bytes of the large answer.
pub(crate) const LARGE: usize = 100_000_000;

/// The root of `/api/large.json`: a list of people, in lines of about 200 bytes.
fn large(stage: &Stage) -> Result<PathBuf> {
    let root = stage.private_directory("root")?;
    stage.private_directory("root/api")?;
    let filler = "lorem ipsum dolor sit amet ".repeat(4);
    let mut text = String::with_capacity(LARGE + 1024);
    text.push('[');
    for number in 0.. {
        let card = 4_000_000_000_000_000_u64 + number;
        text.push_str(&format!(
            "{{\"id\":{number},\"name\":\"Ada\",\"card\":\"{card}\",\"note\":\"{filler}\"}},\n"
        ));
        if text.len() >= LARGE {
            break;
        }
    }
    text.push_str("{}]");
    let path = root.join("api/large.json");
    fs::write(&path, text).map_err(|error| Error::new(format!("writing {}: {error}", path.display())))?;
    Ok(root)
}

fn configuration(
    directory: &Path,
    port: u16,
    upstream: &str,
    locations: &str,
    pair: Option<&Pair>,
) -> String {
    let directory = directory.display();
    let (ssl, protection) = pair.map_or_else(Default::default, |pair| {
        let (certificate, key) = (pair.certificate.display(), pair.key.display());
        (" ssl", format!("ssl_certificate {certificate}; ssl_certificate_key {key};"))
    });
    format!(
        r"user root;
# One process: what the kernel charges to its pid is all that it costs.
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  {upstream}
  server {{
    listen 127.0.0.1:{port}{ssl};
    {protection}
    {locations}
  }}
}}
"
    )
}
