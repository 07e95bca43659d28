//! Writes a recording on threads that may wait for a disk, and gives up one that does.
//!
//! What is handed in was recorded when the call has returned: it is with the operating system. A disk that does not take it within
//! [`PATIENCE`] has not, whatever becomes of it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use gatewright_evidence::{Recording, Recordings, Subject, Written};
use gatewright_model::{
    audit::Record, event::SessionContext, id::EventId, recording::Frame, session::Rejection,
};
use tokio::{task::spawn_blocking, time::timeout};

use crate::enforce::Enforcement;

/// How long a disk may take for a piece of a recording: a session that can not be recorded is over within two seconds (threats A50).
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A recording that goes on.
pub struct Recorder {
    shared: Arc<Enforcement>,
    session: Arc<SessionContext>,
    event: EventId,
    file: String,
    began: Instant,
    /// None: it is with a thread, or was lost there.
    recording: Option<Recording>,
    written: Written,
}

impl Recorder {
    /// Begins one, on record.
    ///
    /// # Errors
    ///
    /// Nothing can be recorded.
    pub async fn begin(
        shared: Arc<Enforcement>,
        session: Arc<SessionContext>,
        start: &Frame,
    ) -> io::Result<Self> {
        let Frame::Start { event, title, terminal, size } = start.clone() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let file = Recordings::file_name(session.id, event);
        let record = Record::RecordingStarted {
            session: session.id,
            event,
            subject: &session.principal.subject,
            target: &session.target,
            file: &file,
        };
        let (recordings, id) = (shared.recordings.clone(), session.id);
        let recording = on_a_thread(move || {
            let terminal = terminal.as_deref();
            let subject = Subject { session: id, event, title: &title, terminal, size };
            recordings.begin(&subject, SystemTime::now())
        })
        .await?;
        shared.log.append(SystemTime::now(), &record).map_err(io::Error::other)?;
        let written = recording.written().clone();
        let (recording, began) = (Some(recording), Instant::now());
        Ok(Self { shared, session, event, file, began, recording, written })
    }

    /// Records a piece.
    ///
    /// # Errors
    ///
    /// It was not recorded, and nothing will be any more.
    pub async fn take(&mut self, frame: Frame) -> io::Result<()> {
        let at = self.began.elapsed();
        let mut recording = self.recording.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let recording = on_a_thread(move || {
            match frame {
                Frame::Output(bytes) => recording.output(at, &bytes),
                Frame::Typed(bytes) => recording.typed(at, bytes),
                Frame::Resize(size) => recording.resize(at, size),
                Frame::End => recording.end(at),
                Frame::Start { .. } => Err(io::ErrorKind::AlreadyExists.into()),
            }?;
            Ok(recording)
        })
        .await?;
        self.written = recording.written().clone();
        self.recording = Some(recording);
        Ok(())
    }

    /// Writes down what there is of it, and whether that is all.
    pub async fn end(mut self) {
        let complete = match self.take(Frame::End).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, file = self.file, session = %self.session.id, "a recording did not end well");
                false
            }
        };
        self.close(complete);
    }

    /// The same, of one that failed.
    pub fn fail(self, error: &io::Error) {
        tracing::error!(%error, file = self.file, session = %self.session.id, "a session ends because it can not be recorded");
        self.close(false);
    }

    fn close(self, complete: bool) {
        let record = Record::RecordingEnded {
            session: self.session.id,
            event: self.event,
            file: &self.file,
            bytes: self.written.bytes(),
            sha256: self.written.digest(),
            complete,
        };
        if let Err(error) = self.shared.log.append(SystemTime::now(), &record) {
            tracing::error!(%error, session = %self.session.id, "the end of a recording could not be recorded");
        }
    }
}

/// What is to be recorded and can not be does not go on.
pub fn failed() -> Rejection {
    Rejection {
        code: "record.failed",
        message: Arc::from("it must be recorded, and the gateway can not record it"),
        remedy: Arc::from(
            "tell the gateway's operator: recordings can not be written, or this one is too long",
        ),
    }
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match timeout(PATIENCE, spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
