//! Where a value comes from.
//!
//! The server tells, by table oid and attribute number, where a column of an answer comes from, but
//! only for plain columns; for anything computed it says nothing (threats.md 4.1). This is the part
//! that the text has to tell. Every doubt ends in [`Origin::Unknown`].

use std::sync::Arc;

use gatewright_model::sql::{Column, Output};

/// What an expression is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lineage {
    /// Every column named anywhere within, derived tables resolved.
    pub(crate) columns: Vec<Column>,
    /// It holds something that can bring in what is not in `columns`: whole rows, functions that are
    /// not known to be harmless.
    pub(crate) doubtful: bool,
}

/// More columns than this in one value are not followed: it is as good as unknown. Each column of an answer
/// has its own list, so this bounds what a text can make the gateway hold.
const MAX_COLUMNS_OF_A_VALUE: usize = 256;

impl Lineage {
    pub(crate) fn add(&mut self, column: Column) {
        if self.columns.contains(&column) {
            return;
        }
        if self.columns.len() < MAX_COLUMNS_OF_A_VALUE {
            self.columns.push(column);
        } else {
            self.doubtful = true;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.doubtful |= other.doubtful;
        self.add_all(&other.columns);
    }

    fn add_all(&mut self, columns: &[Column]) {
        for column in columns {
            self.add(column.clone());
        }
    }

    /// Adds what a value of this origin is made of.
    pub(crate) fn add_origin(&mut self, origin: &Origin) {
        match origin {
            Origin::Direct(_) | Origin::Computed(_) | Origin::United { .. } => {
                for column in origin.columns() {
                    self.add(column.clone());
                }
            }
            Origin::Unknown => self.doubtful = true,
        }
    }

    pub(crate) fn into_origin(self) -> Origin {
        if self.doubtful { Origin::Unknown } else { Origin::Computed(self.columns) }
    }
}

/// Where one column of a query comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A column (or all columns, as `*`) of a relation, untouched. The column says which, in case
    /// something is computed from it further out.
    Direct(Vec<Column>),
    /// Computed from these.
    Computed(Vec<Column>),
    /// One of several values, as a set operation gives it: one of the `plain` columns, untouched, or something
    /// that is computed from `computed`, where there is such a thing. The server does not say which.
    United { plain: Vec<Column>, computed: Option<Vec<Column>> },
    /// Can not be told.
    Unknown,
}

impl Origin {
    /// The origin of what may be either.
    pub(crate) fn or(self, other: Self) -> Self {
        if matches!((&self, &other), (Self::United { .. }, _) | (_, Self::United { .. })) {
            return self.united(&other);
        }
        let is_direct = matches!((&self, &other), (Self::Direct(_), Self::Direct(_)));
        let mut lineage = Lineage::default();
        lineage.add_origin(&self);
        lineage.add_origin(&other);
        match lineage.into_origin() {
            Self::Computed(columns) if is_direct => Self::Direct(columns),
            origin => origin,
        }
    }

    /// The origin of a column of a set operation, from those of its arms.
    pub(crate) fn united(&self, other: &Self) -> Self {
        let (mut plain, mut computed) = (Lineage::default(), None::<Lineage>);
        for arm in [self, other] {
            let (columns, others) = match arm {
                Self::Direct(columns) => (Some(columns), None),
                Self::Computed(columns) => (None, Some(columns)),
                Self::United { plain, computed } => (Some(plain), computed.as_ref()),
                Self::Unknown => return Self::Unknown,
            };
            plain.add_all(columns.map_or(&[][..], Vec::as_slice));
            if let Some(others) = others {
                computed.get_or_insert_default().add_all(others);
            }
        }
        if plain.doubtful || computed.as_ref().is_some_and(|computed| computed.doubtful) {
            return Self::Unknown;
        }
        match computed.map(|computed| computed.columns) {
            Some(computed) if plain.columns.is_empty() => Self::Computed(computed),
            computed => Self::United { plain: plain.columns, computed },
        }
    }

    /// The origin of the same value where the server says that it is computed.
    pub(crate) fn computed(self) -> Self {
        let mut lineage = Lineage::default();
        lineage.add_origin(&self);
        lineage.into_origin()
    }

    /// The origin of a value that something else may have flowed into.
    pub(crate) fn with(self, other: &Lineage) -> Self {
        if !other.doubtful && other.columns.is_empty() {
            return self;
        }
        self.or(other.clone().into_origin())
    }

    /// The origin of a value that RETURNING gives: what stood there, or what was assigned. For the server it is the column.
    pub(crate) fn or_assigned(self, assigned: &Lineage) -> Self {
        match self {
            Self::Direct(_) if !assigned.doubtful && !assigned.columns.is_empty() => {
                self.united(&Self::Computed(assigned.columns.clone()))
            }
            origin => origin.with(assigned),
        }
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &Column> {
        let (columns, more): (&[Column], &[Column]) = match self {
            Self::Direct(columns) | Self::Computed(columns) => (columns, &[]),
            Self::United { plain, computed } => (plain, computed.as_deref().unwrap_or_default()),
            Self::Unknown => (&[], &[]),
        };
        columns.iter().chain(more)
    }

    /// Is there no column in it?
    pub(crate) fn is_nothing(&self) -> bool {
        !matches!(self, Self::Unknown) && self.columns().next().is_none()
    }

    pub(crate) fn into_output(self) -> Output {
        match self {
            Self::Direct(_) => Output::Direct,
            Self::Computed(columns) => Output::Computed(columns),
            Self::United { plain, computed } => Output::United { plain, computed },
            Self::Unknown => Output::Unknown,
        }
    }
}

/// One column of a query's answer, or a `*` that could not be expanded.
#[derive(Debug, Clone)]
pub(crate) struct OutColumn {
    pub(crate) name: OutName,
    pub(crate) origin: Origin,
}

/// What a column of a query is called, seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutName {
    Known(Arc<str>),
    /// The server chooses a name that is not followed here: it may be any.
    Any,
    /// All columns of a relation, by their own names: any number of columns.
    Star,
    /// The same under names that say nothing about what they are.
    RenamedStar,
}

impl OutName {
    /// Any number of columns, and not one?
    pub(crate) const fn stands_for_many(&self) -> bool {
        matches!(self, Self::Star | Self::RenamedStar)
    }
}
