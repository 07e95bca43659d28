//! A real nginx as an HTTP service that remembers what reached it.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    error::{Error, Result},
    port::free_port,
    stage::{Service, Stage},
};

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    directory: PathBuf,
    log: PathBuf,
    _service: Service,
}

/// Debian keeps it where only root's PATH leads.
const PROGRAM: &str = "/usr/sbin/nginx";

impl Nginx {
    /// Starts it on a free port, in plain text. `locations` are nginx's own words.
    ///
    /// # Errors
    /// Where it is not installed or does not start.
    pub fn start(stage: &Stage, locations: &str) -> Result<Self> {
        let directory = stage.private_directory("nginx")?;
        let port = free_port()?;
        let log = directory.join("requests.log");
        let config = directory.join("nginx.conf");
        fs::write(&config, configuration(&directory, port, locations))
            .map_err(|error| Error::new(format!("writing {}: {error}", config.display())))?;
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(&config).arg("-p").arg(&directory).args(["-g", "daemon off;"]);
        let mut service = stage.spawn("nginx", &mut command)?;
        service.wait_until(Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(Self { port, directory, log, _service: service })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Puts a file under its root.
    ///
    /// # Errors
    /// Where it can not be written.
    pub fn file(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.directory.join(name);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = made.and_then(|()| fs::write(&path, content));
        written.map_err(|error| Error::new(format!("writing {}: {error}", path.display())))
    }

    /// What a file under its root holds; nothing where there is none.
    pub fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.join(name)).unwrap_or_default()
    }

    /// What reached it, a line each: method, target, `Host`, `Authorization`, `X-Forwarded-For`, bytes of the body.
    pub fn requests(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn configuration(directory: &Path, port: u16, locations: &str) -> String {
    let directory = directory.display();
    format!(
        r#"user root;
# One process: whoever ends it by its pid ends all of it.
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  log_format seen '$request_method $request_uri $http_host [$http_authorization] $http_x_forwarded_for $content_length';
  access_log {directory}/requests.log seen;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  client_max_body_size 64m;
  server {{
    listen 127.0.0.1:{port};
    root {directory};
    {locations}
  }}
}}
"#
    )
}
