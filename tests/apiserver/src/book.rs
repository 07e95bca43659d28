//! The recorded exchanges, and which of them answers a request.
//!
//! Equal requests are answered in recorded order, and the last answer again and again. Where no request is equal, the
//! one that comes nearest answers: a gateway may strike a media type from `Accept`, or name the caller in a header.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Error,
    asked::Asked,
    recording::{self, Exchange, Recorded},
};

/// What every client asks first.
const ALWAYS: &[&str] =
    &["00-version-health", "01-discovery-aggregated", "02-discovery-legacy-kubectl-1.20"];

/// All exchanges, and how often each answered.
#[derive(Debug)]
pub(crate) struct Book {
    exchanges: Vec<Arc<Exchange>>,
    /// By method and path.
    index: HashMap<(String, String), Vec<usize>>,
    /// For each group of equal requests, named by its first: how many were answered.
    used: Mutex<HashMap<usize, usize>>,
}

/// How near a recorded request is: greater is nearer.
type Nearness = (bool, bool, bool, bool);

impl Book {
    /// Reads recordings by their names, and what every client needs.
    pub(crate) fn open(directory: &Path, names: &[String]) -> Result<Self, Error> {
        let mut exchanges = Vec::new();
        let names = names.iter().map(String::as_str);
        for name in names.chain(ALWAYS.iter().copied()) {
            let read = recording::read(&directory.join(format!("{name}.jsonl")))?;
            exchanges.extend(read.into_iter().map(Arc::new));
        }
        let mut index: HashMap<(String, String), Vec<usize>> = HashMap::new();
        for (number, exchange) in exchanges.iter().enumerate() {
            let key = (exchange.asked.method.clone(), exchange.asked.path.clone());
            index.entry(key).or_default().push(number);
        }
        Ok(Self { exchanges, index, used: Mutex::default() })
    }

    /// Does anybody in the recordings have this token?
    pub(crate) fn knows(&self, token: &str) -> bool {
        token != "TOKEN-UNKNOWN"
            && self.exchanges.iter().any(|exchange| exchange.asked.token.as_deref() == Some(token))
    }

    /// The exchange that answers a request.
    pub(crate) fn find(&self, asked: &Asked) -> Option<Arc<Exchange>> {
        let key = (asked.method.clone(), asked.path.clone());
        let candidates = self.index.get(&key)?.iter().filter_map(|number| {
            let exchange = self.exchanges.get(*number)?;
            Some((nearness(exchange, asked)?, *number))
        });
        let candidates: Vec<(Nearness, usize)> = candidates.collect();
        let best = candidates.iter().map(|(nearness, _)| *nearness).max()?;
        let group: Vec<usize> = candidates
            .iter()
            .filter(|(nearness, _)| *nearness == best)
            .map(|(_, number)| *number)
            .collect();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = used.entry(*group.first()?).or_default();
        let number = *group.get(*turn).or(group.last())?;
        *turn += 1;
        self.exchanges.get(number).cloned()
    }
}

fn nearness(exchange: &Exchange, asked: &Asked) -> Option<Nearness> {
    let recorded = &exchange.asked;
    if recorded.token != asked.token || !is_asked_for(exchange, asked) {
        return None;
    }
    let same_caller = recorded.impersonation == asked.impersonation;
    if !same_caller && !recorded.impersonation.is_empty() {
        return None;
    }
    let same_form = match (&recorded.upgrade, &asked.upgrade) {
        (None, None) => recorded.accept == asked.accept,
        (Some(a), Some(b)) if a.to == b.to => a.protocols == b.protocols,
        _ => return None,
    };
    let mut same_coding = recorded.gzip == asked.gzip;
    if let Some(answer) = &exchange.answer {
        let coded = answer.header("content-encoding").is_some();
        if answer.status == 304 && !asked.conditional || coded && !asked.gzip {
            return None;
        }
        if !same_form && !would_take(recorded, answer, asked) {
            return None;
        }
        same_coding = coded == asked.gzip;
    }
    Some((same_caller, recorded.query == asked.query, same_form, same_coding))
}

/// Do both ask for the same? A list that was asked for in pages, and came whole in the first, is the list that is asked for whole.
fn is_asked_for(exchange: &Exchange, asked: &Asked) -> bool {
    let recorded = &exchange.asked;
    if recorded.steady_query().eq(asked.steady_query()) {
        return true;
    }
    let beginning = exchange.answer.as_ref().map(Recorded::beginning).unwrap_or_default();
    let is_page = String::from_utf8_lossy(beginning).contains("\"continue\":\"");
    !is_page && recorded.steady_query().filter(|(name, _)| name != "limit").eq(asked.steady_query())
}

/// Would the asking client take an answer that was given to another form of the request?
fn would_take(recorded: &Asked, answer: &Recorded, asked: &Asked) -> bool {
    if let Some(upgrade) = &asked.upgrade {
        let chosen = answer.header("sec-websocket-protocol").or(answer.header("x-stream-protocol-version"));
        return chosen.is_some_and(|chosen| upgrade.protocols.iter().any(|offered| offered == chosen));
    }
    let media = answer.media();
    let transformation = recorded.transformation(media).filter(|name| is_of_kind(answer, name));
    asked.accepts(media, transformation)
}

/// Was the transformation done? Of JSON the kind can be seen; what can not be seen is taken as asked for.
fn is_of_kind(answer: &Recorded, kind: &str) -> bool {
    if answer.media() != "application/json" || answer.header("content-encoding").is_some() {
        return true;
    }
    let beginning = answer.beginning();
    let beginning = String::from_utf8_lossy(beginning.get(..beginning.len().min(200)).unwrap_or_default());
    beginning.contains(kind)
}
