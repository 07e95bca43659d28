//! Replays what a server said after a 101.
//!
//! A recording says what the server sent and what it had heard by then. It is sent again when as much was heard again:
//! on each channel as many frames, or as many bytes. The bytes themselves are not compared.

use std::{collections::HashMap, time::Duration};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::{
    Error,
    frames::{Cutter, Frame, Framing, websocket_frame},
    journal::Journal,
    recording::Exchange,
};

/// What a container takes to start a command, at the least. kubectl before 1.34 loses what it is told before it has made its
/// streams (kubernetes/kubernetes#131189).
pub(crate) const START: Duration = Duration::from_millis(300);
/// How long a server that is done waits for its client to leave.
const LEAVE: Duration = Duration::from_secs(2);

/// How many frames and bytes came, by kind and channel.
type Heard = HashMap<(&'static str, u32), (usize, usize)>;

/// What to say, and what must have been heard before.
#[derive(Debug)]
struct Turn {
    after: Heard,
    say: Vec<u8>,
}

/// Waits for the upgrade, and plays the recorded part.
pub(crate) async fn replay(
    upgrade: OnUpgrade,
    exchange: &Exchange,
    framing: Framing,
    journal: &Journal,
    request: u64,
) -> Result<(), Error> {
    let mut stream = TokioIo::new(upgrade.await?);
    sleep(START).await;
    let mut cutter = Cutter::new(framing);
    let mut heard = Heard::new();
    let mut turns = turns(exchange, framing).into_iter().peekable();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        while let Some(turn) = turns.next_if(|turn| is_heard(&turn.after, &heard)) {
            stream.write_all(&turn.say).await?;
            stream.flush().await?;
        }
        let done = turns.peek().is_none() && exchange.ended_by_server;
        let length = if done {
            tokio::time::timeout(LEAVE, stream.read(&mut buffer)).await.unwrap_or(Ok(0))?
        } else {
            stream.read(&mut buffer).await?
        };
        if length == 0 {
            break;
        }
        for frame in cutter.cut(buffer.get(..length).unwrap_or_default()) {
            journal.frame(request, &frame)?;
            note(&mut heard, &frame);
            match frame.kind {
                "ping" => stream.write_all(&websocket_frame(10, &[&frame.data])).await?,
                "close" if done => return Ok(stream.shutdown().await?),
                _ => {}
            }
        }
    }
    Ok(stream.shutdown().await?)
}

fn turns(exchange: &Exchange, framing: Framing) -> Vec<Turn> {
    let mut cutter = Cutter::new(framing);
    let mut heard = Heard::new();
    let mut turns: Vec<Turn> = Vec::new();
    for said in &exchange.said {
        if said.by_client {
            cutter.cut(&said.bytes).iter().for_each(|frame| note(&mut heard, frame));
        } else {
            turns.push(Turn { after: heard.clone(), say: said.bytes.clone() });
        }
    }
    turns
}

/// Counts what a server waits for. Pings come by the clock, and a close is an end and no turn.
fn note(heard: &mut Heard, frame: &Frame) {
    if matches!(frame.kind, "ping" | "pong" | "close" | "control") {
        return;
    }
    if frame.kind != "data" || !frame.data.is_empty() {
        let count = heard.entry((frame.kind, frame.stream)).or_default();
        *count = (count.0 + 1, count.1 + frame.data.len());
    }
    if frame.last {
        heard.entry(("end", frame.stream)).or_default().0 += 1;
    }
}

fn is_heard(wanted: &Heard, heard: &Heard) -> bool {
    wanted.iter().all(|(key, (frames, bytes))| {
        let (have_frames, have_bytes) = heard.get(key).copied().unwrap_or_default();
        have_frames >= *frames || *bytes > 0 && have_bytes >= *bytes
    })
}
