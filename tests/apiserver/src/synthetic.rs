//! What is made up: the namespace `synthetic`, with as many Secrets as wanted and a Pod in which a command echoes,
//! and the OpenAPI document of core/v1, which was too large to keep.

#![expect(clippy::indexing_slicing, reason = "JSON that has no such field gives null")]

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::{
    Error,
    asked::Asked,
    conversation::START,
    frames::{Cutter, Framing, websocket_frame},
    journal::Journal,
};

const NAMESPACE: &str = "/api/v1/namespaces/synthetic/";

const OPENAPI: &str = "/openapi/v3/api/v1";

/// What it answers without an upgrade.
#[derive(Debug)]
pub(crate) struct Synthetic {
    list: Bytes,
    pod: Bytes,
    openapi: Bytes,
}

impl Synthetic {
    /// With so many Secrets.
    pub(crate) fn new(secrets: usize) -> Self {
        let items: Vec<_> = (0..secrets).map(secret).collect();
        let list = json!({
            "kind": "SecretList", "apiVersion": "v1", "metadata": { "resourceVersion": "1" }, "items": items,
        });
        let pod = json!({
            "kind": "Pod", "apiVersion": "v1", "metadata": { "name": "echo", "namespace": "synthetic" },
            "spec": { "containers": [{ "name": "c", "image": "localhost/echo:1" }] },
            "status": { "phase": "Running" },
        });
        Self {
            list: list.to_string().into(),
            pod: pod.to_string().into(),
            openapi: openapi().to_string().into(),
        }
    }

    /// The body of the answer, as JSON, if it is one to make up.
    pub(crate) fn answer(&self, asked: &Asked) -> Option<Bytes> {
        if asked.path == OPENAPI {
            return Some(self.openapi.clone());
        }
        let rest = asked.path.strip_prefix(NAMESPACE).filter(|_| asked.method == "GET")?;
        match rest.split('/').collect::<Vec<_>>().as_slice() {
            ["secrets"] => Some(self.list.clone()),
            ["secrets", name] => {
                let number = name.strip_prefix("secret-")?.parse().ok()?;
                let mut secret = secret(number);
                secret["kind"] = "Secret".into();
                secret["apiVersion"] = "v1".into();
                Some(secret.to_string().into())
            }
            ["pods", "echo"] => Some(self.pod.clone()),
            _ => None,
        }
    }
}

/// What kubectl looks for before it writes: may the server be asked to check the fields of these kinds?
fn openapi() -> serde_json::Value {
    let paths = [("ConfigMap", "configmaps"), ("Secret", "secrets"), ("Pod", "pods")].map(|(kind, resource)| {
        let operation = json!({
            "parameters": [{ "name": "fieldValidation", "in": "query", "schema": { "type": "string" } }],
            "responses": {},
            "x-kubernetes-group-version-kind": { "group": "", "version": "v1", "kind": kind },
        });
        let path = format!("/api/v1/namespaces/{{namespace}}/{resource}/{{name}}");
        (path, json!({ "patch": operation }))
    });
    json!({
        "openapi": "3.0.0", "info": { "title": "Kubernetes", "version": "synthetic" },
        "paths": serde_json::Map::from_iter(paths),
    })
}

fn secret(number: usize) -> serde_json::Value {
    let password = format!("synthetic-password-{number:06}");
    json!({
        "metadata": {
            "name": format!("secret-{number}"), "namespace": "synthetic",
            "uid": format!("00000000-0000-4000-8000-{number:012}"), "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": { "app": "synthetic" },
        },
        "data": {
            "username": BASE64_STANDARD.encode(format!("user-{number}")),
            "password": BASE64_STANDARD.encode(password),
        },
        "type": "Opaque",
    })
}

/// `exec` in the Pod `echo`, over a WebSocket: says its command, then echoes its input to the end.
#[derive(Debug)]
pub(crate) struct Exec {
    protocol: String,
    command: String,
    reads: bool,
}

impl Exec {
    /// If that is what the request asks for.
    pub(crate) fn of(asked: &Asked) -> Option<Self> {
        let upgrade = asked.upgrade.as_ref().filter(|upgrade| upgrade.to == "websocket")?;
        (asked.path.strip_prefix(NAMESPACE) == Some("pods/echo/exec")).then_some(())?;
        let known = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
        let protocol = upgrade.protocols.iter().find(|name| known.contains(&name.as_str()))?.clone();
        let command = asked.values("command").collect::<Vec<_>>().join(" ");
        let reads = asked.values("stdin").any(|value| value == "true" || value == "1");
        Some(Self { protocol, command, reads })
    }

    /// Of the 101.
    pub(crate) fn headers(&self) -> [(&str, &str); 3] {
        [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-protocol", &self.protocol)]
    }

    /// Speaks, once the connection is upgraded.
    pub(crate) async fn run(
        &self,
        upgrade: OnUpgrade,
        journal: &Journal,
        request: u64,
    ) -> Result<(), Error> {
        const OUT: &[u8] = &[1];
        let mut stream = TokioIo::new(upgrade.await?);
        sleep(START).await;
        let command = format!("{}\n", self.command);
        stream.write_all(&websocket_frame(2, &[OUT, command.as_bytes()])).await?;
        let mut cutter = Cutter::new(Framing::WebSocket);
        let mut buffer = vec![0; 64 * 1024];
        let mut reads = self.reads;
        while reads {
            let length = stream.read(&mut buffer).await?;
            for frame in cutter.cut(buffer.get(..length).unwrap_or_default()) {
                journal.frame(request, &frame)?;
                match (frame.kind, frame.stream) {
                    ("message", 0) => {
                        stream.write_all(&websocket_frame(2, &[OUT, &frame.data])).await?;
                    }
                    ("message", 255) | ("close", _) => reads = false,
                    ("ping", _) => stream.write_all(&websocket_frame(10, &[&frame.data])).await?,
                    _ => {}
                }
            }
            reads &= length > 0;
        }
        let success = br#"{"metadata":{},"status":"Success"}"#;
        stream.write_all(&websocket_frame(2, &[&[3], success])).await?;
        stream.write_all(&websocket_frame(8, &[&1000_u16.to_be_bytes()])).await?;
        stream.flush().await?;
        // The client says that it heard, or leaves.
        let _ = stream.read(&mut buffer).await;
        Ok(stream.shutdown().await?)
    }
}
