//! A Kubernetes API server for tests, the demo and the bench: it replays what a real one answered.
//!
//! It is fed from the recordings in `tests/testbed/kubernetes/transcripts`, whose README says what may differ between a
//! recorded request and one that asks again. Whatever reaches it goes into a journal, so that a test can say
//! what a server behind the gateway saw, above all that it saw nothing.
//!
//! It authenticates (the recorded tokens and no other) and does not authorise: that is not what is tested. In the
//! namespace `synthetic` it makes its answers up, where recordings would be too small or too stiff.

mod answer;
mod asked;
mod book;
mod conversation;
mod frames;
mod journal;
mod pieces;
mod recording;
mod synthetic;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Parser;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{answer::Server, book::Book, journal::Journal, synthetic::Synthetic};

/// Anything that can go wrong here ends a connection or the program, with words for a person.
type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// The server's certificate (PEM)
    #[arg(long)]
    certificate: PathBuf,
    /// Its private key (PEM)
    #[arg(long)]
    key: PathBuf,
    /// Where to write what arrives, a line of JSON for each thing; nowhere without it
    #[arg(long)]
    journal: Option<PathBuf>,
    /// The directory of the recordings
    #[arg(long)]
    recordings: PathBuf,
    /// How many Secrets the namespace `synthetic` has
    #[arg(long, default_value_t = 3)]
    secrets: usize,
    /// Recordings to answer from, without `.jsonl`, in this order
    names: Vec<String>,
}

fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(&arguments))
}

async fn serve(arguments: &Arguments) -> Result<(), Error> {
    let server = Arc::new(Server {
        book: Book::open(&arguments.recordings, &arguments.names)?,
        journal: Journal::open(arguments.journal.as_deref())?,
        synthetic: Synthetic::new(arguments.secrets),
    });
    let acceptor = TlsAcceptor::from(Arc::new(tls(arguments)?));
    let listener = TcpListener::bind(arguments.listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (server, acceptor) = (Arc::clone(&server), acceptor.clone());
        // How a connection ends is seen by its client; here it is nobody's concern.
        tokio::spawn(async move { drop(speak(server, acceptor, stream).await) });
    }
}

async fn speak(server: Arc<Server>, acceptor: TlsAcceptor, stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let service = service_fn(|request| {
        let server = Arc::clone(&server);
        server.answer(request)
    });
    let mut http = http1::Builder::new();
    // As Go writes them.
    http.title_case_headers(true).timer(TokioTimer::new());
    Ok(http.serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
}

fn tls(arguments: &Arguments) -> Result<ServerConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(&arguments.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&arguments.key)?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
    // As the recorder spoke: clients use HTTP/1.1 for upgrades anyway.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
