//! The same messages at the server itself and through a gateway: whatever comes back is compared, message for message.
//!
//! Nothing of an answer is left out, and of a message only what is of one session alone: its cancel key, and whose process has notified.

use gatewright_testbed::{Gateway, Mint, Result, Setup, gateway_program};

use crate::{
    Scene, policies,
    wire::{self, Client, Message},
};

/// Two sessions: at the server itself, and through a gateway whose policy takes nothing upon itself.
///
/// # Errors
/// Where one of them is refused.
pub fn both(scene: &Scene) -> Result<[Client; 2]> {
    let token = scene.gateway.token(&Mint::default())?;
    let through = Client::session(scene.gateway.port(), &scene.gateway.authority(), &token)?;
    Ok([Client::at_server(&scene.postgres)?, through])
}

/// What comes for these bytes until the session is ready as often as said.
///
/// # Errors
/// Where nothing comes.
pub fn answers(client: &mut Client, bytes: &[u8], times: usize) -> Result<Vec<Message>> {
    client.send(bytes)?;
    let mut messages = Vec::new();
    for _ in 0..times {
        messages.extend(client.until_ready()?);
    }
    Ok(messages)
}

/// A server with a gateway in front of it that allows everything, and one that masks three columns of `people`.
#[derive(Debug)]
pub struct Comparison {
    /// The server, and the gateway that allows everything.
    pub scene: Scene,
    masks: Gateway,
}

/// A part of an exchange.
#[derive(Debug)]
pub enum Step {
    /// Messages, and what is waited for before it goes on.
    Send(Vec<u8>, Until),
    /// Another session, of the superuser, does something meanwhile.
    Meanwhile(&'static str),
}

/// The end of an answer.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// ReadyForQuery has come as often.
    Ready(usize),
    /// As many messages have come, and it may go on without a ReadyForQuery.
    Messages(usize),
    /// The connection is closed.
    Closed,
}

/// Sends messages and waits until the session is ready as often as said.
pub fn ready(times: usize, messages: &[Vec<u8>]) -> Step {
    Step::Send(messages.concat(), Until::Ready(times))
}

/// Sends messages and waits for as many.
pub fn unready(count: usize, messages: &[Vec<u8>]) -> Step {
    Step::Send(messages.concat(), Until::Messages(count))
}

/// Sends messages, the last of which ends the connection.
pub fn closed(messages: &[Vec<u8>]) -> Step {
    Step::Send(messages.concat(), Until::Closed)
}

/// Where a session goes.
#[derive(Debug, Clone, Copy)]
enum Side<'a> {
    Server,
    Gateway(&'a Gateway),
}

/// How messages are cut into writes.
#[derive(Debug, Clone, Copy)]
enum Pace {
    Whole,
    ByMessage,
    ByByte,
}

/// All that one side says.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    /// From the login on.
    greeting: Vec<Message>,
    messages: Vec<Message>,
    /// What comes for a query behind all of it: what was said too much comes before its answer.
    after: Vec<Message>,
    /// Why there is no more, where the connection did not last.
    end: Option<String>,
}

impl Comparison {
    /// Starts all three.
    ///
    /// # Errors
    /// Where one does not start.
    pub fn open() -> Result<Self> {
        let scene = Scene::open()?;
        let masks = Setup::new(&scene.stage, "masks", &gateway_program()?)?.in_front_of(&scene.postgres)?;
        let masks = masks.policy("masks", &policies::masks()?)?.start()?;
        Ok(Self { scene, masks })
    }

    /// Has the same exchange everywhere, through the gateways in whatever writes it comes, and gives the server's answer.
    ///
    /// Each time it is a session of its own, and an exchange must leave the database as it was.
    ///
    /// # Panics
    /// Where a gateway's answer is another one.
    ///
    /// # Errors
    /// Where a session does not begin.
    pub fn same(&self, steps: &[Step]) -> Result<Vec<Message>> {
        self.compare(&[&self.scene.gateway, &self.masks], &[], steps)
    }

    /// The same, without the gateway that masks: for what it has to refuse or to leave out.
    ///
    /// # Panics
    /// As [`Comparison::same`].
    ///
    /// # Errors
    /// As [`Comparison::same`].
    pub fn same_unmasked(&self, steps: &[Step]) -> Result<Vec<Message>> {
        self.compare(&[&self.scene.gateway], &[], steps)
    }

    /// The same of a session that begins with these settings. The answer begins with what the login is answered.
    ///
    /// # Panics
    /// As [`Comparison::same`].
    ///
    /// # Errors
    /// As [`Comparison::same`].
    pub fn same_from_the_start(&self, settings: &[(&str, &str)], steps: &[Step]) -> Result<Vec<Message>> {
        let greeting = self.answer(Side::Server, settings, Pace::Whole, &[])?.greeting;
        let messages = self.compare(&[&self.scene.gateway, &self.masks], settings, steps)?;
        Ok([greeting, messages].concat())
    }

    /// What each says: the server, the gateway that allows everything, and the one that masks. For what is known to differ.
    ///
    /// # Errors
    /// As [`Comparison::same`].
    pub fn by_each(&self, steps: &[Step]) -> Result<[Vec<Message>; 3]> {
        Ok(self.answers(&[], steps)?.map(|answer| answer.messages))
    }

    /// What each says to a login with these settings.
    ///
    /// # Errors
    /// As [`Comparison::same`].
    pub fn logins(&self, settings: &[(&str, &str)]) -> Result<[Vec<Message>; 3]> {
        Ok(self.answers(settings, &[])?.map(|answer| answer.greeting))
    }

    fn answers(&self, settings: &[(&str, &str)], steps: &[Step]) -> Result<[Answer; 3]> {
        let answer = |side| self.answer(side, settings, Pace::Whole, steps);
        let (allow, masks) = (Side::Gateway(&self.scene.gateway), Side::Gateway(&self.masks));
        Ok([answer(Side::Server)?, answer(allow)?, answer(masks)?])
    }

    fn compare(
        &self,
        gateways: &[&Gateway],
        settings: &[(&str, &str)],
        steps: &[Step],
    ) -> Result<Vec<Message>> {
        let direct = self.answer(Side::Server, settings, Pace::Whole, steps)?;
        for gateway in gateways {
            for pace in [Pace::Whole, Pace::ByMessage, Pace::ByByte] {
                let through = self.answer(Side::Gateway(gateway), settings, pace, steps)?;
                let policy = if std::ptr::eq(*gateway, &raw const self.masks) { "masks" } else { "allow" };
                assert!(
                    through == direct,
                    "{policy}, {pace:?}: {}\n{}",
                    sent(steps),
                    differences(&direct.lines(), &through.lines())
                );
            }
        }
        Ok(direct.messages)
    }

    fn answer(
        &self,
        side: Side<'_>,
        settings: &[(&str, &str)],
        pace: Pace,
        steps: &[Step],
    ) -> Result<Answer> {
        let (mut client, greeting) = self.begin(side, settings)?;
        let mut answer = Answer { greeting, messages: Vec::new(), after: Vec::new(), end: None };
        let is_ready = answer.greeting.last().is_some_and(|message| message.tag == 'Z');
        if is_ready && let Err(end) = self.converse(&mut client, pace, steps, &mut answer) {
            answer.end = Some(end.to_string());
        }
        for message in answer.greeting.iter_mut().chain(&mut answer.messages).chain(&mut answer.after) {
            impersonal(message);
        }
        Ok(answer)
    }

    fn begin(&self, side: Side<'_>, settings: &[(&str, &str)]) -> Result<(Client, Vec<Message>)> {
        let database = ("database", "postgres");
        let own = if settings.iter().any(|(name, _)| *name == "database") { None } else { Some(database) };
        let settings: Vec<_> = [("user", self.scene.postgres.account())]
            .into_iter()
            .chain(own)
            .chain(settings.iter().copied())
            .collect();
        let mut client = match side {
            Side::Server => Client::connect_socket(&self.scene.postgres)?,
            Side::Gateway(gateway) => Client::connect_tls(gateway.port(), &gateway.authority())?,
        };
        client.send(&wire::startup(&settings))?;
        if let Side::Gateway(gateway) = side {
            // The one message that a gateway has more: it asks for a token.
            client.expect('R')?;
            client.send(&wire::password(&gateway.token(&Mint::default())?))?;
        }
        let greeting = client.until_ready()?;
        Ok((client, greeting))
    }

    fn converse(&self, client: &mut Client, pace: Pace, steps: &[Step], answer: &mut Answer) -> Result<()> {
        for step in steps {
            match step {
                Step::Meanwhile(text) => {
                    self.scene.postgres.sql("postgres", text)?;
                }
                Step::Send(messages, until) => {
                    match pace {
                        Pace::Whole => client.send(messages)?,
                        Pace::ByMessage => each(messages).try_for_each(|message| client.send(message))?,
                        Pace::ByByte => client.send_slowly(messages)?,
                    }
                    receive(client, *until, &mut answer.messages)?;
                }
            }
        }
        if !matches!(steps.last(), Some(Step::Send(_, Until::Closed))) {
            client.send(&wire::query("select 'and on'"))?;
            receive(client, Until::Ready(1), &mut answer.after)?;
        }
        Ok(())
    }
}

fn receive(client: &mut Client, until: Until, messages: &mut Vec<Message>) -> Result<()> {
    let mut left = match until {
        Until::Ready(times) | Until::Messages(times) => times,
        Until::Closed => usize::MAX,
    };
    while left > 0 {
        match client.message()? {
            Some(message) => {
                left -= usize::from(!matches!(until, Until::Ready(_)) || message.tag == 'Z');
                messages.push(message);
            }
            None if matches!(until, Until::Closed) => return Ok(()),
            None => return Err(gatewright_testbed::Error::new("the connection was closed")),
        }
    }
    Ok(())
}

/// The messages by themselves.
fn each(mut messages: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (_, length) = messages.split_first_chunk::<1>()?;
        let length = u32::from_be_bytes(*length.first_chunk()?);
        let size = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
        let (message, rest) = messages.split_at(size.min(messages.len()));
        messages = rest;
        Some(message)
    })
}

/// Takes out what is of one session alone, and leaves its length.
fn impersonal(message: &mut Message) {
    let personal = match message.tag {
        'K' => message.body.len(),
        'A' => 4,
        _ => 0,
    };
    for byte in message.body.iter_mut().take(personal) {
        *byte = 0;
    }
}

impl Answer {
    fn lines(&self) -> Vec<String> {
        let line = |message: &Message| {
            let text = message.body.escape_ascii().to_string();
            format!("{} {}", message.tag, text.chars().take(600).collect::<String>())
        };
        let messages = self.greeting.iter().chain(&self.messages).chain(&self.after);
        messages.map(line).chain([format!("{:?}", self.end)]).collect()
    }
}

/// Where two answers part, until they are the same again at their ends.
fn differences(direct: &[String], through: &[String]) -> String {
    let pairs = || direct.iter().zip(through);
    let before = pairs().take_while(|(one, other)| one == other).count();
    let rest = direct.len().min(through.len()) - before;
    let backwards = direct.iter().rev().zip(through.iter().rev());
    let after = backwards.take(rest).take_while(|(one, other)| one == other).count();
    let part = |lines: &[String]| {
        let until = lines.len() - after;
        let lines = lines.iter().enumerate().filter(|(n, _)| (before..until).contains(n));
        lines.map(|(n, line)| format!("  {n}: {line}\n")).collect::<String>()
    };
    format!("at the server:\n{}through the gateway:\n{}", part(direct), part(through))
}

fn sent(steps: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Meanwhile(text) => format!("meanwhile {text}"),
        Step::Send(messages, until) => {
            let text = messages.escape_ascii().to_string();
            format!("{} until {until:?}", text.chars().take(2_000).collect::<String>())
        }
    };
    steps.iter().map(step).collect::<Vec<_>>().join("; ")
}
