//! What a recording has of a process's channels.
//!
//! Output is recorded as it is shown, both kinds of it in the order in which they pass. Of input there is the length only:
//! passwords are typed where nothing is shown. A size that can not be read can not be recorded either, and ends the stream.

use bytes::Bytes;
use gatewright_model::recording::{Frame, Size};
use serde_json::{Deserializer, Value};

use crate::{
    channels::{LONGEST_RESIZE, stream},
    violation::Violation,
};

/// What passed and was not recorded yet.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) frames: Vec<Frame>,
    /// The beginning of a size: over SPDY they come as a stream.
    size: Vec<u8>,
}

impl Passed {
    /// These bytes are shown.
    pub(crate) fn show(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.frames.push(Frame::Output(Bytes::copy_from_slice(bytes)));
        }
    }

    /// These bytes are of sizes of the terminal.
    ///
    /// # Errors
    ///
    /// They are none.
    pub(crate) fn resize(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.size.extend_from_slice(bytes);
        let mut sizes = Deserializer::from_slice(&self.size).into_iter::<Value>();
        let mut read = 0;
        while let Some(value) = sizes.next() {
            match value {
                Ok(value) => self.frames.push(Frame::Resize(size(&value).ok_or(NO_SIZE)?)),
                // The rest of it is still to come.
                Err(error) if error.is_eof() => break,
                Err(_) => return Err(NO_SIZE),
            }
            read = sizes.byte_offset();
        }
        self.size.drain(..read);
        if self.size.len() > LONGEST_RESIZE { Err(NO_SIZE) } else { Ok(()) }
    }
}

/// `remotecommand.TerminalSize`, as its clients write it. A terminal without a size has the usual one.
fn size(value: &Value) -> Option<Size> {
    let members = value.as_object().filter(|members| members.len() == 2)?;
    let member = |name| members.get(name)?.as_u64().and_then(|number| u16::try_from(number).ok());
    let (columns, rows) = (member("Width")?.into(), member("Height")?.into());
    Some(if columns == 0 || rows == 0 { Size::default() } else { Size { columns, rows } })
}

const NO_SIZE: Violation =
    stream("a change of the terminal's size can not be read, so it can not be recorded");
