//! What a program writes, on its way to the client: what detectors find in it is hidden.
//!
//! Standard output and standard error are searched apart, as [`TerminalMasker`] does it. What is held back is let go when the
//! program writes nothing more for a moment: it may be a prompt, or the echo of a key.
//!
//! That is a second net and no boundary: whoever runs a command can write everything in another way.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gatewright_masking::{MaskKey, TerminalMasker, TextMasker, Width};
use gatewright_model::mask::{DetectorMask, MaskPlan};

use crate::message::{Message, STDERR};

/// The masks on the output of a program.
pub(crate) struct Masks {
    rules: Vec<DetectorMask>,
    stdout: Stream,
    stderr: Stream,
    patience: Duration,
}

struct Stream {
    masker: TerminalMasker,
    /// What is held waits until then, if nothing comes that goes on with it.
    until: Option<Instant>,
    /// And until then, if something does.
    at_most: Option<Instant>,
}

/// How long output is held that a program without a terminal does not go on with.
const PATIENCE: Duration = Duration::from_millis(100);

/// The same with a terminal: somebody waits for the echo of a key.
const PATIENCE_AT_A_TERMINAL: Duration = Duration::from_millis(30);

/// The same where much comes at once: then there is more, and whoever writes it was not let on.
const PATIENCE_IN_BULK: Duration = Duration::from_secs(2);

/// So many bytes at once are much: nobody writes a prompt in them.
const BULK: usize = 4_096;

/// What is held and grows all the time waits so many times as long.
const GROWING: u32 = 5;

impl Masks {
    /// What a plan hides in the output of a program, which has a terminal or has none. None: something that no output has.
    pub(crate) fn new(plan: &MaskPlan, key: &MaskKey, terminal: bool) -> Option<Self> {
        if !plan.columns.is_empty() || !plan.json.is_empty() || !plan.objects.is_empty() {
            return None;
        }
        let detectors = plan.detectors.iter().map(|mask| (mask.detector, mask.method));
        let masker = Arc::new(TextMasker::new(detectors, key));
        let (width, patience) =
            if terminal { (Width::Kept, PATIENCE_AT_A_TERMINAL) } else { (Width::Free, PATIENCE) };
        Some(Self {
            rules: plan.detectors.clone(),
            stdout: Stream::new(Arc::clone(&masker), width),
            stderr: Stream::new(masker, width),
            patience,
        })
    }

    /// Data of the target came: what of it is passed on. Of streams that a program does not have, nothing is.
    pub(crate) fn pass(&mut self, now: Instant, message: Message) -> Option<Message> {
        match message {
            Message::Data(data) => self.stdout.pass(now, self.patience, &data).map(Message::Data),
            Message::ExtendedData(STDERR, data) => {
                let shown = self.stderr.pass(now, self.patience, &data);
                shown.map(|data| Message::ExtendedData(STDERR, data))
            }
            Message::ExtendedData(..) => None,
            other => Some(other),
        }
    }

    /// When something is to be let go that is held now.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.stdout.due().into_iter().chain(self.stderr.due()).min()
    }

    /// What is held and was to wait until `now` at most. None: all of it.
    pub(crate) fn let_go(&mut self, now: Option<Instant>) -> impl Iterator<Item = Message> + use<> {
        let of = |stream: &mut Stream| {
            let is_due = now.is_none_or(|now| stream.due().is_some_and(|due| due <= now));
            is_due.then(|| stream.let_go()).flatten()
        };
        let (stdout, stderr) = (of(&mut self.stdout), of(&mut self.stderr));
        let stderr = stderr.map(|data| Message::ExtendedData(STDERR, data));
        stdout.map(Message::Data).into_iter().chain(stderr)
    }

    /// How many values were hidden until now, by rule.
    pub(crate) fn masked(&self) -> Vec<(Arc<str>, u64)> {
        let counted = self.rules.iter().map(|mask| {
            let finds = [&self.stdout, &self.stderr].map(|stream| stream.masker.finds().of(mask.detector));
            (Arc::clone(&mask.rule), finds.iter().sum())
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }
}

impl Stream {
    fn new(masker: Arc<TextMasker>, width: Width) -> Self {
        Self { masker: TerminalMasker::new(masker, width), until: None, at_most: None }
    }

    fn pass(&mut self, now: Instant, patience: Duration, data: &[u8]) -> Option<Bytes> {
        let patience = if data.len() >= BULK { PATIENCE_IN_BULK } else { patience };
        let mut shown = Vec::with_capacity(data.len());
        self.masker.push(data, &mut shown);
        let held = self.masker.held();
        if held == 0 {
            (self.until, self.at_most) = (None, None);
        } else {
            self.until = Some(now + patience);
            // Nothing of what is held is older than this.
            if held <= data.len() || self.at_most.is_none() {
                self.at_most = Some(now + patience * GROWING);
            }
        }
        (!shown.is_empty()).then(|| Bytes::from(shown))
    }

    fn due(&self) -> Option<Instant> {
        self.until.into_iter().chain(self.at_most).min()
    }

    fn let_go(&mut self) -> Option<Bytes> {
        (self.until, self.at_most) = (None, None);
        let mut shown = Vec::new();
        self.masker.let_go(&mut shown);
        (!shown.is_empty()).then(|| Bytes::from(shown))
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masks").field("rules", &self.rules).finish_non_exhaustive()
    }
}
