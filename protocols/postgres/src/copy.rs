//! Masks in the data of a COPY, whose rows carry no description.
//!
//! The gateway learns from the target beforehand which columns they are, and cuts the data into rows and values as
//! the server has written them. A message may hold a part of a row, or several. What is no row of that form and of
//! that many columns is not guessed at: nothing of it is passed on, and the session ends.

mod binary;
mod csv;
mod text;

use std::{borrow::Cow, sync::Arc};

use gatewright_model::{
    mask::MaskPlan,
    session::{ProtocolError, Side},
    sql::CopyForm,
};

use self::{binary::Binary, csv::Csv, text::Text};
use crate::mask::{Counts, RowMask, Written};

/// The rewriting of one COPY's data.
#[derive(Debug)]
pub struct CopyMask {
    form: Form,
    /// The next line names the columns.
    header: bool,
    /// Of a row that has not ended.
    waiting: Vec<u8>,
}

#[derive(Debug)]
enum Form {
    Text(Text),
    Csv(Csv),
    Binary(Binary),
}

/// The data is not what its form says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Undecodable;

/// What a form cuts off the front of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A row.
    Row,
    /// What is around the rows.
    Frame,
}

/// One value of a row.
#[derive(Debug, PartialEq, Eq)]
struct Field<'a> {
    /// As it was written.
    raw: &'a [u8],
    /// None: null.
    value: Option<Cow<'a, [u8]>>,
}

impl CopyMask {
    /// For data in this form.
    pub fn new(form: &CopyForm) -> Self {
        let (form, header) = match form {
            CopyForm::Text { delimiter, header } => (Form::Text(Text::new(*delimiter)), *header),
            CopyForm::Csv { delimiter, quote, escape, null, header } => {
                (Form::Csv(Csv::new(*delimiter, *quote, *escape, null)), *header)
            }
            CopyForm::Binary => (Form::Binary(Binary::default()), false),
        };
        Self { form, header, waiting: Vec::new() }
    }

    /// Rewrites one message's data. Returns the rows that end in it, which may be none. A row takes at most `limit`
    /// bytes.
    ///
    /// # Errors
    ///
    /// The data has another form or number of columns, or a row is too large.
    pub fn rewrite(
        &mut self,
        data: &[u8],
        rows: &RowMask,
        plan: &MaskPlan,
        counts: &mut Counts,
        limit: usize,
    ) -> Result<Vec<u8>, ProtocolError> {
        self.waiting.extend_from_slice(data);
        let mut out = Vec::with_capacity(self.waiting.len() + 64);
        self.rewritten(rows, plan, counts, &mut out).map_err(|Undecodable| undecodable())?;
        if self.waiting.len() > limit {
            return Err(ProtocolError {
                fault: Side::Upstream,
                code: "upstream.too_large",
                detail: Arc::from(format!("a row of COPY takes more than {limit} bytes")),
            });
        }
        Ok(out)
    }

    fn rewritten(
        &mut self,
        rows: &RowMask,
        plan: &MaskPlan,
        counts: &mut Counts,
        out: &mut Vec<u8>,
    ) -> Result<(), Undecodable> {
        let data = std::mem::take(&mut self.waiting);
        let mut rest = data.as_slice();
        let mut scratch = Vec::new();
        while let Some((part, length)) = self.form.cut(rest)? {
            let (own, behind) = rest.split_at_checked(length).ok_or(Undecodable)?;
            rest = behind;
            if part == Part::Frame {
                out.extend_from_slice(own);
                continue;
            }
            let fields = self.form.fields(own)?;
            if fields.len() != rows.width() {
                return Err(Undecodable);
            }
            if std::mem::take(&mut self.header) {
                out.extend_from_slice(own);
                continue;
            }
            self.form.begin_row(fields.len(), out)?;
            for (at, field) in fields.iter().enumerate() {
                self.form.begin_value(at, out);
                let Some(value) = &field.value else {
                    out.extend_from_slice(field.raw);
                    continue;
                };
                match rows.value(at, value, plan, counts, &mut scratch) {
                    Written::Same => out.extend_from_slice(field.raw),
                    Written::Null => self.form.put(None, out)?,
                    Written::Other => self.form.put(Some(&scratch), out)?,
                }
            }
            self.form.end_row(out);
        }
        self.waiting.extend_from_slice(rest);
        Ok(())
    }

    /// The data has ended.
    ///
    /// # Errors
    ///
    /// It ended within a row.
    pub fn finish(&self) -> Result<(), ProtocolError> {
        let complete = match &self.form {
            Form::Text(_) | Form::Csv(_) => true,
            Form::Binary(binary) => binary.is_over(),
        };
        if complete && self.waiting.is_empty() { Ok(()) } else { Err(undecodable()) }
    }
}

impl Form {
    /// The length of the first whole part of the data. None: it is not all there.
    fn cut(&mut self, data: &[u8]) -> Result<Option<(Part, usize)>, Undecodable> {
        let row = |length| (Part::Row, length);
        match self {
            Self::Text(text) => Ok(text.cut(data).map(row)),
            Self::Csv(csv) => Ok(csv.cut(data).map(row)),
            Self::Binary(binary) => binary.cut(data),
        }
    }

    fn fields<'a>(&self, row: &'a [u8]) -> Result<Vec<Field<'a>>, Undecodable> {
        match self {
            Self::Text(text) => text.fields(row),
            Self::Csv(csv) => csv.fields(row),
            Self::Binary(_) => Binary::fields(row),
        }
    }

    fn begin_row(&self, count: usize, out: &mut Vec<u8>) -> Result<(), Undecodable> {
        if let Self::Binary(_) = self {
            out.extend(i16::try_from(count).map_err(|_| Undecodable)?.to_be_bytes());
        }
        Ok(())
    }

    fn begin_value(&self, at: usize, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) if at > 0 => out.push(text.delimiter()),
            Self::Csv(csv) if at > 0 => out.push(csv.delimiter()),
            Self::Text(_) | Self::Csv(_) | Self::Binary(_) => {}
        }
    }

    fn put(&self, value: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Undecodable> {
        match self {
            Self::Text(text) => text.put(value, out),
            Self::Csv(csv) => csv.put(value, out),
            Self::Binary(_) => return Binary::put(value, out),
        }
        Ok(())
    }

    fn end_row(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(_) | Self::Csv(_) => out.push(b'\n'),
            Self::Binary(_) => {}
        }
    }
}

fn undecodable() -> ProtocolError {
    ProtocolError {
        fault: Side::Upstream,
        code: "upstream.protocol",
        detail: Arc::from("COPY data that does not have the form or the columns that were announced"),
    }
}

#[cfg(test)]
mod tests;
