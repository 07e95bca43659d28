//! Answers that a session heard and may hear again: no policy of the session's depends on anything that could change but the
//! request, and the request is the same one.
//!
//! - A statement is the same one where it has the same text; or, where no module read the text, the same meaning: texts that
//!   differ in the values of their literals share their statements.
//! - A request of HTTP is the same one where all of it is the same that a module could read, and it has no body.

use std::{collections::HashMap, sync::Arc};

use gatewright_model::{
    decision::Evaluation,
    event::{Event, Facet},
    http::{HttpBody, HttpEvent, HttpRequest},
    sql::{Analysis, SqlPhase},
};

use crate::manifest::Inputs;

/// What one session heard of one set.
pub(crate) struct Answers {
    reusable: bool,
    statements: Statements,
    requests: Requests,
}

/// By statement.
#[derive(Default)]
struct Statements {
    known: HashMap<(Subject, SqlPhase), Known>,
    bytes: usize,
}

/// What an answer was about, by its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Text(usize),
    Meaning(usize),
}

struct Known {
    /// Keeps what is named by its address alive, so that the address names nothing else.
    _analysis: Arc<Analysis>,
    evaluation: Arc<Evaluation>,
}

/// Answers about statements that one session keeps; when there are more, it starts over.
const KNOWN: usize = 128;

/// Bytes that all of them may keep alive, as the statements that they are about estimate themselves.
const KNOWN_BYTES: usize = 2 << 20;

/// By request: the last ones, in no order.
#[derive(Default)]
struct Requests {
    known: Vec<(Arc<HttpRequest>, Arc<Evaluation>)>,
    /// The one that the next one takes the place of.
    oldest: usize,
}

/// Answers about requests that one session keeps. Each of them is compared with what is asked about.
const REQUESTS: usize = 8;

/// Bytes that one of them may take.
const REQUEST_BYTES: usize = 8 << 10;

impl Answers {
    /// Nothing yet, from modules whose answers depend on this.
    pub(crate) fn of(inputs: impl Iterator<Item = Inputs>) -> Self {
        let reusable = { inputs }.all(Inputs::allow_reuse);
        Self { reusable, statements: Statements::default(), requests: Requests::default() }
    }

    /// What was said of the same.
    pub(crate) fn get(&self, event: &Event) -> Option<&Arc<Evaluation>> {
        match &event.facet {
            Facet::Sql(sql) => self.statements.get(&sql.analysis, sql.phase),
            Facet::Http(http) => self.requests.get(plain(http)?),
            // What is judged of the API is more than a request (a port, a stream, an object); of SSH, it is seldom asked twice.
            Facet::Kubernetes(_) | Facet::Ssh(_) => None,
        }
    }

    /// Keeps what was said, as a value of its own: whoever gets it knows that it may be said again. `text_seen`: a module has read the text of the statement.
    pub(crate) fn put(&mut self, event: &Event, text_seen: bool, evaluation: &Evaluation) {
        let failed = evaluation.diagnostics.iter().any(|diagnostic| diagnostic.failure.is_some());
        if !self.reusable || failed {
            return;
        }
        match &event.facet {
            Facet::Sql(sql) => self.statements.put(&sql.analysis, sql.phase, text_seen, evaluation),
            Facet::Http(http) => {
                if let Some(request) = plain(http) {
                    self.requests.put(request, evaluation);
                }
            }
            Facet::Kubernetes(_) | Facet::Ssh(_) => {}
        }
    }

    /// The session is idle.
    pub(crate) fn rest(&mut self) {
        self.requests = Requests::default();
    }
}

impl Statements {
    fn get(&self, analysis: &Arc<Analysis>, phase: SqlPhase) -> Option<&Arc<Evaluation>> {
        let known = |subject| self.known.get(&(subject, phase));
        let known = meaning(analysis).and_then(known).or_else(|| known(text(analysis)));
        known.map(|known| &known.evaluation)
    }

    fn put(&mut self, analysis: &Arc<Analysis>, phase: SqlPhase, text_seen: bool, evaluation: &Evaluation) {
        let bytes = analysis.footprint();
        if bytes > KNOWN_BYTES / 8 {
            return;
        }
        if self.known.len() == KNOWN || self.bytes + bytes > KNOWN_BYTES {
            self.known.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        let subject = meaning(analysis).filter(|_| !text_seen).unwrap_or_else(|| text(analysis));
        let known = Known { _analysis: Arc::clone(analysis), evaluation: Arc::new(evaluation.clone()) };
        self.known.insert((subject, phase), known);
    }
}

fn text(analysis: &Arc<Analysis>) -> Subject {
    Subject::Text(Arc::as_ptr(analysis).addr())
}

/// None without a statement: nothing has no address of its own.
fn meaning(analysis: &Analysis) -> Option<Subject> {
    let statements = &analysis.statements;
    (!statements.is_empty()).then(|| Subject::Meaning(statements.as_ptr().addr()))
}

impl Requests {
    fn get(&self, request: &HttpRequest) -> Option<&Arc<Evaluation>> {
        self.known.iter().find(|(known, _)| **known == *request).map(|(_, evaluation)| evaluation)
    }

    fn put(&mut self, request: &Arc<HttpRequest>, evaluation: &Evaluation) {
        if request.footprint() > REQUEST_BYTES {
            return;
        }
        let heard = (Arc::clone(request), Arc::new(evaluation.clone()));
        match self.known.get_mut(self.oldest) {
            Some(oldest) => *oldest = heard,
            None => self.known.push(heard),
        }
        self.oldest = (self.oldest + 1) % REQUESTS;
    }
}

/// A request whose head is all that there is to judge.
fn plain(http: &HttpEvent) -> Option<&Arc<HttpRequest>> {
    (http.response.is_none() && http.body == HttpBody::Empty).then_some(&http.request)
}
