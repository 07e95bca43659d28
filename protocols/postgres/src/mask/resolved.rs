//! A plan whose columns were found in the catalog: what of a database they hide, behind views and children too.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use gatewright_model::mask::{ColumnMask, MaskMethod, MaskPlan};

use crate::catalog::{Catalog, Sources, Uses};

/// A plan whose columns were found in the catalog.
#[derive(Debug)]
pub struct ResolvedPlan {
    /// The plan.
    pub plan: Arc<MaskPlan>,
    /// What becomes of the plan's columns, and of those that share or compute their values, by relation oid and attribute number.
    columns: HashMap<(u32, i16), Fate>,
    /// Relations with a masked column.
    pub relations: HashSet<u32>,
    /// Those of them that do not have a column that the plan names, or share rows with one that does not, with that column as
    /// `schema.relation.column`. What was called so may have any name now: nothing of them is shown.
    pub stale: HashMap<u32, String>,
    /// Views whose queries use a masked column.
    views: HashMap<u32, View>,
    /// A relation that came with the server is masked. The server does not write down which views use those.
    masks_servers_own: bool,
    catalog: Arc<Catalog>,
}

/// A view whose query uses a masked column. Until it is looked at, nothing is known of it.
#[derive(Debug, Default)]
struct View {
    /// What becomes of its columns, of those of which it is known what they are made of.
    fates: HashMap<i16, Fate>,
    /// That is known of all of them.
    is_known: bool,
}

/// How a relation reaches masked columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Not at all.
    Nothing,
    /// By columns whose names are known to be masked.
    Direct,
    /// By views of whose columns nobody knows what they are, views over somebody's code, or relations that the catalog does not have (yet): a masked
    /// column may go by any name.
    Indirect,
}

impl ResolvedPlan {
    /// Finds the plan's columns, and whatever has their values: columns of the same name in children, partitions and parents, columns that are computed from
    /// them, and views. A relation that this database does not have is no error: policies are written for many databases.
    pub fn new(plan: Arc<MaskPlan>, catalog: Arc<Catalog>) -> Self {
        let mut resolved = Self {
            columns: HashMap::new(),
            relations: HashSet::new(),
            stale: HashMap::new(),
            views: HashMap::new(),
            masks_servers_own: false,
            plan: Arc::clone(&plan),
            catalog: Arc::clone(&catalog),
        };
        resolved.find_columns();
        resolved.find_computed();
        resolved.find_renamed();
        resolved.find_views();
        resolved
    }

    fn find_columns(&mut self) {
        let (plan, catalog) = (Arc::clone(&self.plan), Arc::clone(&self.catalog));
        let mut kin = HashMap::new();
        for (index, mask) in plan.columns.iter().enumerate() {
            // What was called so has another name now, and its masks with it, for all that the policy knows.
            for oid in catalog.former(&mask.schema, &mask.relation) {
                for oid in std::iter::once(*oid).chain(catalog.kin(*oid)) {
                    self.relations.insert(oid);
                    self.stale.insert(oid, name_of(mask));
                }
            }
            let Some(oid) = catalog.find(&mask.schema, &mask.relation) else { continue };
            let attribute =
                |oid| catalog.relation(oid).and_then(|relation| relation.attribute(&mask.column));
            let missing = attribute(oid).is_none().then(|| name_of(mask));
            for oid in std::iter::once(oid).chain(catalog.kin(oid)) {
                self.relations.insert(oid);
                self.stale.extend(missing.clone().map(|name| (oid, name)));
            }
            let Some(own) = attribute(oid) else { continue };
            self.columns.insert((oid, own), Fate::Mask(index));
            for oid in catalog.kin(oid) {
                if let Some(attribute) = attribute(oid) {
                    kin.entry((oid, attribute)).or_insert_with(Vec::new).push(Fate::Mask(index));
                }
            }
        }
        // What a policy says of a relation itself goes before what it says of its kin.
        for (column, fates) in kin {
            let fate = self.fate_of_either(fates, false);
            self.columns.entry(column).or_insert(fate);
        }
    }

    /// A column that is computed from a masked one tells its value, and what shares rows with its relation shows it too.
    fn find_computed(&mut self) {
        let catalog = Arc::clone(&self.catalog);
        for (oid, own, from) in catalog.computed_from() {
            if !self.columns.contains_key(&(oid, from)) {
                continue;
            }
            let name = catalog.relation(oid).and_then(|relation| relation.column(own)).unwrap_or_default();
            for oid in std::iter::once(oid).chain(catalog.kin(oid)) {
                if let Some(attribute) = catalog.relation(oid).and_then(|relation| relation.attribute(name))
                {
                    self.columns.entry((oid, attribute)).or_insert(Fate::Withhold);
                }
            }
        }
    }

    /// What had the name of a masked column before, and has another one now, is as good as one that is gone, unless a rule names that.
    fn find_renamed(&mut self) {
        let (plan, catalog) = (Arc::clone(&self.plan), Arc::clone(&self.catalog));
        for mask in &plan.columns {
            let Some(oid) = catalog.find(&mask.schema, &mask.relation) else { continue };
            for oid in std::iter::once(oid).chain(catalog.kin(oid)) {
                let mut former = catalog.former_columns(oid, &mask.column).iter();
                if former.any(|attribute| !self.columns.contains_key(&(oid, *attribute))) {
                    self.stale.extend(
                        std::iter::once(oid).chain(catalog.kin(oid)).map(|oid| (oid, name_of(mask))),
                    );
                }
            }
        }
    }

    /// A view shows a masked column only if its query uses one.
    fn find_views(&mut self) {
        if self.relations.is_empty() {
            return;
        }
        let catalog = Arc::clone(&self.catalog);
        // By itself, and in whole rows.
        let missing =
            catalog.named("pg_attribute").filter_map(|oid| Some((oid, catalog.missing_value(oid)?)));
        let missing = missing.flat_map(|(oid, attribute)| [(oid, attribute), (oid, 0)]);
        self.columns.extend(missing.map(|column| (column, Fate::Withhold)));
        self.masks_servers_own = self.relations.iter().any(|oid| self.is_servers_own(*oid));
        // Until it is looked at, a view is as good as one that uses everything: others may be asked about it before, where they refer to each other.
        self.views = catalog.queries().map(|view| (view, View::default())).collect();
        // First those that a view reads. Of views that read each other, which a server takes, one has to be first, and finds nothing known of the others.
        let (mut seen, mut open) = (HashSet::new(), Vec::new());
        for view in catalog.queries() {
            open.push((view, 0));
            while let Some((view, at)) = open.pop() {
                if at == 0 && !seen.insert(view) {
                    continue;
                }
                match catalog.reads(view).get(at) {
                    Some(read) => {
                        open.push((view, at + 1));
                        if catalog.uses(*read).is_some() {
                            open.push((*read, 0));
                        }
                    }
                    None => self.find_view(view, &catalog),
                }
            }
        }
    }

    /// Looks for what a view uses, and what its columns are made of.
    fn find_view(&mut self, view: u32, catalog: &Catalog) {
        let uses_masked = self.masks_servers_own
            || self.relations.contains(&view)
            || match catalog.uses(view) {
                Some(Uses::Columns(columns)) => {
                    columns.iter().any(|(oid, attribute)| self.fate(*oid, *attribute) != Fate::Keep)
                }
                Some(Uses::Rows) | None => {
                    catalog.reads(view).iter().any(|read| self.reach(*read) != Reach::Nothing)
                }
            };
        if !uses_masked {
            self.views.remove(&view);
            return;
        }
        let columns = catalog.relation(view).into_iter().flat_map(|relation| relation.columns());
        let fates: Vec<_> = columns
            .map(|(attribute, _)| {
                let sources = catalog.sources(view, attribute);
                (attribute, sources.map(|sources| self.fate_of_sources(sources)))
            })
            .collect();
        let is_known = fates
            .iter()
            .all(|(attribute, fate)| fate.is_some() || self.columns.contains_key(&(view, *attribute)));
        let fates = fates.into_iter().filter_map(|(attribute, fate)| Some((attribute, fate?))).collect();
        self.views.insert(view, View { fates, is_known });
    }

    /// What becomes of a column that is made of others: what is computed from a hidden one tells of it, and is not known how.
    fn fate_of_sources(&self, sources: &Sources) -> Fate {
        let fate = |(oid, attribute): &(u32, i16)| self.fate(*oid, *attribute);
        if sources.computed.iter().any(|column| fate(column) != Fate::Keep) {
            return Fate::Withhold;
        }
        self.fate_of_either(sources.plain.iter().map(fate), sources.others)
    }

    /// The catalog in which the columns were found.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Is it a masked column of the relation, or one that can not be told from a masked one?
    pub fn hides(&self, oid: u32, name: &str) -> bool {
        let attribute = self.catalog.relation(oid).and_then(|relation| relation.attribute(name));
        attribute.is_some_and(|attribute| self.fate(oid, attribute) != Fate::Keep)
    }

    /// Does it show what a query gives?
    pub fn is_view(&self, oid: u32) -> bool {
        self.catalog.uses(oid).is_some()
    }

    /// How the relation reaches masked columns.
    pub fn reach(&self, oid: u32) -> Reach {
        if self.relations.is_empty() {
            return Reach::Nothing;
        }
        match self.catalog.uses(oid) {
            _ if self.catalog.shows_unseen(oid) || self.catalog.relation(oid).is_none() => Reach::Indirect,
            None if self.masks_servers_own && self.is_servers_own(oid) && self.catalog.is_view(oid) => {
                Reach::Indirect
            }
            Some(_) => match self.views.get(&oid) {
                None => Reach::Nothing,
                Some(View { is_known: true, .. }) => Reach::Direct,
                Some(_) => Reach::Indirect,
            },
            None if self.relations.contains(&oid) && !self.catalog.shows_others(oid, &self.relations) => {
                Reach::Direct
            }
            // A rule may have it show others.
            None if self.catalog.reaches(oid, &self.relations) => Reach::Indirect,
            None => Reach::Nothing,
        }
    }

    /// Did it come with the server?
    fn is_servers_own(&self, oid: u32) -> bool {
        let relation = self.catalog.relation(oid);
        relation.is_some_and(|relation| ["pg_catalog", "information_schema"].contains(&&*relation.schema))
    }

    /// What becomes of a column of which it is known where it comes from.
    pub fn fate(&self, relation: u32, attribute: i16) -> Fate {
        if let Some(fate) = self.columns.get(&(relation, attribute)) {
            return *fate;
        }
        match self.reach(relation) {
            Reach::Nothing => Fate::Keep,
            // A whole row.
            _ if attribute == 0 || self.stale.contains_key(&relation) => Fate::Withhold,
            _ if self.catalog.shows_unseen(relation) => Fate::Withhold,
            reach => match self.views.get(&relation) {
                Some(view) => view.fates.get(&attribute).copied().unwrap_or(Fate::Withhold),
                // A column of a masked relation that no rule names is what the policy leaves open. One that the catalog does not have (any more, or
                // yet) has perhaps had a name that a rule names.
                None if reach == Reach::Direct && self.is_column(relation, attribute) => Fate::Keep,
                None => Fate::Withhold,
            },
        }
    }

    /// Does the catalog have it? What PostgreSQL adds to each table it has always.
    fn is_column(&self, relation: u32, attribute: i16) -> bool {
        attribute < 0 || self.catalog.relation(relation).is_some_and(|own| own.column(attribute).is_some())
    }

    /// What becomes of what may be either of two.
    pub fn stricter(&self, one: Fate, other: Fate) -> Fate {
        match (one, other) {
            (Fate::Keep, fate) | (fate, Fate::Keep) => fate,
            _ => self.fate_of_either([one, other], false),
        }
    }

    /// What becomes of a column that holds values of several. `mixed`: and others, that come from none.
    pub fn fate_of_either(&self, fates: impl IntoIterator<Item = Fate>, mixed: bool) -> Fate {
        let (mut first, mut others) = (None, mixed);
        let method = |index: usize| self.plan.columns.get(index).map(|mask| mask.method);
        for fate in fates {
            match (fate, first) {
                (Fate::Withhold, _) => return Fate::Withhold,
                (Fate::Keep, _) => others = true,
                (Fate::Mask(index), None) => first = Some(index),
                // Which of two methods hides more depends on the values.
                (Fate::Mask(index), Some(first)) if method(index) != method(first) => {
                    return Fate::Withhold;
                }
                (Fate::Mask(_), Some(_)) => {}
            }
        }
        match first {
            None => Fate::Keep,
            // Whoever can have values of their own hashed beside those of the column finds out by comparison what these are.
            Some(index) if others && method(index) == Some(MaskMethod::Hash) => Fate::Withhold,
            Some(index) => Fate::Mask(index),
        }
    }
}

/// The column that a policy means, as `schema.relation.column`.
pub(crate) fn name_of(mask: &ColumnMask) -> String {
    format!("{}.{}.{}", mask.schema, mask.relation, mask.column)
}

/// What becomes of a column of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It passes as it is.
    Keep,
    /// It becomes null.
    Withhold,
    /// It is masked by this column of the plan.
    Mask(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `people.ssn` is masked; `people.tag` is computed from it, and `people.initial` from another column.
    fn plan_with(rows: &[[&str; 5]]) -> ResolvedPlan {
        plan_of("public", "people", "ssn", rows)
    }

    fn plan_of(schema: &str, relation: &str, column: &str, rows: &[[&str; 5]]) -> ResolvedPlan {
        let mut catalog = Catalog::default();
        let own = [
            ["10", "public", "people", "1", "id"],
            ["10", "public", "people", "2", "name"],
            ["10", "public", "people", "3", "ssn"],
            ["10", "public", "people", "4", "tag"],
            ["10", "public", "people", "5", "initial"],
            ["10", "", "", "-9", "4 3"],
            ["10", "", "", "-9", "5 2"],
        ];
        catalog.take_in(&own);
        catalog.take_in(rows);
        let mask = ColumnMask {
            schema: schema.into(),
            relation: relation.into(),
            column: column.into(),
            method: MaskMethod::Partial { keep: 4 },
            conditions: None,
            rule: "mask-people/ssn".into(),
        };
        let plan = MaskPlan { columns: vec![mask], ..MaskPlan::default() };
        ResolvedPlan::new(Arc::new(plan), Arc::new(catalog))
    }

    /// A view that reads relation 10, with two columns.
    const VIEW: [[&str; 5]; 5] = [
        ["20", "public", "v", "1", "a"],
        ["20", "public", "v", "2", "b"],
        ["20", "", "", "0", "10"],
        ["20", "", "", "-3", ""],
        ["20", "", "", "-5", ""],
    ];

    #[test]
    fn a026_what_is_computed_from_a_masked_column_is_withheld() {
        let plan = plan_with(&[]);
        assert_eq!(plan.fate(10, 3), Fate::Mask(0));
        assert_eq!(plan.fate(10, 4), Fate::Withhold);
        assert_eq!(plan.fate(10, 5), Fate::Keep);
        assert!(plan.hides(10, "ssn") && plan.hides(10, "tag") && !plan.hides(10, "initial"));
    }

    #[test]
    fn a025_a_view_that_uses_no_masked_column_shows_none() {
        let plan =
            plan_with(&[&VIEW[..], &[["20", "", "", "-6", "10 1"], ["20", "", "", "-6", "10 5"]]].concat());
        assert_eq!(
            (plan.reach(20), plan.fate(20, 1), plan.fate(20, 0)),
            (Reach::Nothing, Fate::Keep, Fate::Keep)
        );
        for uses in [["20", "", "", "-6", "10 3"], ["20", "", "", "-6", "10 4"], ["20", "", "", "-7", ""]] {
            let plan = plan_with(&[&VIEW[..], &[uses]].concat());
            assert_eq!(plan.reach(20), Reach::Indirect, "{uses:?}");
            assert_eq!((plan.fate(20, 1), plan.fate(20, 0)), (Fate::Withhold, Fate::Withhold), "{uses:?}");
        }
        // Which views use what came with the server is written down nowhere.
        let own = [
            ["11", "pg_catalog", "pg_authid", "1", "rolname"],
            ["11", "pg_catalog", "pg_authid", "2", "rolpassword"],
            ["12", "pg_catalog", "pg_shadow", "1", "passwd"],
            ["12", "", "", "-3", ""],
            ["20", "", "", "-8", "1 11 1"],
            ["20", "", "", "-8", "2 11 2"],
        ];
        let plan = plan_of("pg_catalog", "pg_authid", "rolpassword", &[&VIEW[..], &own].concat());
        assert_eq!((plan.fate(20, 1), plan.fate(20, 2)), (Fate::Keep, Fate::Mask(0)));
        assert_eq!((plan.reach(12), plan.fate(12, 1)), (Reach::Indirect, Fate::Withhold));
        let plan = plan_with(&[&VIEW[..], &own].concat());
        assert_eq!((plan.reach(20), plan.reach(12)), (Reach::Nothing, Reach::Nothing));
    }

    #[test]
    fn a025_a_column_of_a_view_is_what_stands_there_as_it_is() {
        let used = [["20", "", "", "-6", "10 3"], ["20", "", "", "-8", "1 10 3"]];
        let plan = plan_with(&[&VIEW[..], &used].concat());
        assert_eq!(
            (plan.reach(20), plan.fate(20, 1), plan.fate(20, 2)),
            (Reach::Indirect, Fate::Mask(0), Fate::Withhold)
        );
        let all = [&VIEW[..], &used, &[["20", "", "", "-8", "2 10 1"]]].concat();
        let plan = plan_with(&all);
        assert_eq!(
            (plan.reach(20), plan.fate(20, 1), plan.fate(20, 2)),
            (Reach::Direct, Fate::Mask(0), Fate::Keep)
        );
        assert!(plan.hides(20, "a") && !plan.hides(20, "b") && !plan.hides(10, "a"));
        // A view over it, whichever comes first.
        for oid in ["15", "25"] {
            let over = |uses: &'static str, origin: &'static str| {
                let own =
                    [[oid, "public", "w", "1", "c"], [oid, "", "", "0", "20"], [oid, "", "", "-5", ""]];
                let uses = [[oid, "", "", "-6", uses], [oid, "", "", "-8", origin]];
                let plan = plan_with(&[&all[..], &own, &uses].concat());
                let oid = oid.parse().unwrap();
                (plan.reach(oid), plan.fate(oid, 1), plan.hides(oid, "c"))
            };
            assert_eq!(over("20 1", "1 20 1"), (Reach::Direct, Fate::Mask(0), true));
            assert_eq!(over("20 2", "1 20 2"), (Reach::Nothing, Fate::Keep, false));
        }
    }

    /// `cy` uses a masked column, `cz` shows `cy`, and a rule on `cy` reads `cz`.
    #[test]
    fn a025_views_that_refer_to_each_other_are_not_open() {
        for (cy, cz) in [("20", "30"), ("30", "20")] {
            let rows = [
                [cy, "public", "cy", "1", "s"],
                [cz, "public", "cz", "1", "s"],
                [cy, "", "", "0", "10"],
                [cy, "", "", "0", cz],
                [cz, "", "", "0", cy],
                [cy, "", "", "-5", ""],
                [cz, "", "", "-5", ""],
                [cy, "", "", "-6", "10 3"],
            ];
            let used = format!("{cy} 1");
            let plan = plan_with(&[&rows[..], &[[cz, "", "", "-6", &used]]].concat());
            for oid in [20, 30] {
                assert_eq!(
                    (plan.reach(oid), plan.fate(oid, 1)),
                    (Reach::Indirect, Fate::Withhold),
                    "{oid}"
                );
            }
        }
    }

    /// The parent's column is a plain one, and shows what its child computes.
    #[test]
    fn a026_a_parent_shows_what_its_child_computes() {
        let plan = plan_with(&[
            ["5", "public", "parent", "2", "ssn"],
            ["5", "public", "parent", "7", "tag"],
            ["5", "", "", "-4", "10"],
            ["10", "", "", "-4", "5"],
        ]);
        assert_eq!(
            (plan.fate(5, 2), plan.fate(5, 7), plan.fate(10, 4)),
            (Fate::Mask(0), Fate::Withhold, Fate::Withhold)
        );
    }

    /// A server lets views be made that read each other, and fails when they are asked.
    #[test]
    fn a025_views_that_read_each_other_have_an_end() {
        let rows = [
            ["20", "public", "a", "1", "s"],
            ["30", "public", "b", "1", "s"],
            ["20", "", "", "0", "30"],
            ["30", "", "", "0", "20"],
            ["20", "", "", "-6", "30 1"],
            ["20", "", "", "-8", "1 30 1"],
            ["30", "", "", "-6", "20 1"],
            ["30", "", "", "-8", "1 20 1"],
        ];
        let plan = plan_with(&rows);
        assert_eq!((plan.fate(20, 1), plan.fate(30, 1)), (Fate::Withhold, Fate::Withhold));
    }

    /// So many views over views that each may take nothing of the stack.
    #[test]
    fn a025_views_over_views_are_followed_to_the_last() {
        let number = |at: usize| (100 + at).to_string();
        let numbers: Vec<[String; 3]> = (0..20_000)
            .map(|at| {
                let (own, read) =
                    (number(at), if at == 0 { "10 3".to_owned() } else { format!("{} 1", number(at - 1)) });
                [own, format!("1 {read}"), read]
            })
            .collect();
        let rows: Vec<[&str; 5]> = numbers
            .iter()
            .flat_map(|[own, origin, used]| {
                let read = used.split(' ').next().unwrap();
                [
                    [own, "public", "v", "1", "s"],
                    [own, "", "", "0", read],
                    [own, "", "", "-6", used],
                    [own, "", "", "-8", origin],
                ]
            })
            .collect();
        let plan = plan_with(&rows);
        assert!([100, 100 + 50, 100 + 19_999].iter().all(|view| plan.fate(*view, 1) == Fate::Mask(0)));
    }
}
