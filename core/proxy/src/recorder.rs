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

use crate::enforce::{Enforcement, Enforcer};

/// How long a disk may take for a piece of a recording: a session that can not be recorded is over within two seconds (threats A50).
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What a driver records with: one recording at a time.
#[derive(Default)]
pub struct Tape {
    recorder: Option<Recorder>,
    torn: bool,
}

impl Tape {
    /// Records it. What comes back has begun to be recorded.
    pub async fn record(&mut self, frame: Frame, enforcer: Option<&Enforcer>) -> Option<EventId> {
        let done = match (&frame, &mut self.recorder, enforcer) {
            (Frame::Start { event, .. }, None, Some(enforcer)) => {
                match enforcer.begin_recording(&frame).await {
                    Ok(recorder) => {
                        self.recorder = Some(recorder);
                        return Some(*event);
                    }
                    Err(error) => Err(error),
                }
            }
            (Frame::End, ..) => {
                self.end().await;
                Ok(())
            }
            (_, Some(recorder), _) => recorder.take(frame).await,
            // Nobody records: that is not recorded.
            _ => Err(io::ErrorKind::NotConnected.into()),
        };
        if let Err(error) = done {
            tracing::error!(%error, "something that must be recorded can not be, and ends");
            self.torn = true;
            if let Some(recorder) = self.recorder.take() {
                recorder.close(false);
            }
        }
        None
    }

    /// Could something not be recorded? Nothing that was to be sent behind it may be.
    pub const fn is_torn(&self) -> bool {
        self.torn
    }

    /// Writes down what there is, and whether that is all.
    pub async fn end(&mut self) {
        if let Some(recorder) = self.recorder.take() {
            recorder.end().await;
        }
    }
}

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
    async fn take(&mut self, frame: Frame) -> io::Result<()> {
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
    async fn end(mut self) {
        let complete = match self.take(Frame::End).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, file = self.file, session = %self.session.id, "a recording did not end well");
                false
            }
        };
        self.close(complete);
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
