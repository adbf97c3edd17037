//! Rows that many requests add, in one snapshot.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use gadwall_domain::commit::{Change, RowCounts, WriteOrigin, WriteRecord};
use gadwall_domain::contract::Measure;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Committed, WriteError};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::hold::Brought;
use super::{Commit, Load, same_shape};
use crate::error::lake_error;
use crate::known::Shape;
use crate::sql;
use crate::stage::{Few, Incoming, REQUEST, Staged, numbers, stage_group};

/// Rows with more than this many go by themselves: to compare their keys with others' would take memory.
const MANY: u64 = 100_000;

/// Rows of one or more requests that go into a table together.
enum Part<'a> {
    /// Those of one request, by its number, that were loaded before.
    One(usize, &'a Staged),
    /// Those of many, each with the number of its request.
    Many(Vec<usize>, Staged),
}

impl Part<'_> {
    fn staged(&self) -> &Staged {
        match self {
            Self::One(_, staged) => staged,
            Self::Many(_, staged) => staged,
        }
    }

    /// The numbers of its requests.
    fn members(&self) -> &[usize] {
        match self {
            Self::One(number, _) => std::slice::from_ref(number),
            Self::Many(members, _) => members,
        }
    }

    /// `SELECT` of the request and the key's values of all rows.
    fn keys(&self, schema: &TableSchema) -> String {
        let request = match self {
            Self::One(number, _) => number.to_string(),
            Self::Many(..) => REQUEST.to_owned(),
        };
        let staged = self.staged();
        format!("SELECT {request} AS {REQUEST}, {} FROM {}", staged.key_list(schema), staged.relation())
    }
}

/// What goes into one table.
struct Target<'a> {
    table: &'a TableRef,
    schema: &'a TableSchema,
    parts: Vec<Part<'a>>,
    /// Rules of the contract that a request breaks, and that only warn.
    warnings: HashMap<usize, Vec<Measure>>,
}

impl Commit<'_> {
    /// Commits rows: all in one snapshot where they don't get in each other's way, the others one by one, so that each
    /// caller hears of its own rows only.
    pub(crate) fn loads(&self, loads: &[Load], origins: &[WriteOrigin]) -> Vec<Result<Committed, WriteError>> {
        let (snapshot, done) = self.together(loads, origins);
        let one = |(number, (load, origin)): (usize, (&Load, &WriteOrigin))| match snapshot {
            Some(snapshot) if done.contains(&number) => Ok(Committed { snapshot, rows: inserted(load.count()) }),
            _ => self.load(load, origin),
        };
        loads.iter().zip(origins).enumerate().map(one).collect()
    }

    /// Commits those that can be committed together; answers which.
    fn together(&self, loads: &[Load], origins: &[WriteOrigin]) -> (Option<SnapshotId>, BTreeSet<usize>) {
        let sociable = |(_, load): &(usize, &Load)| load.is_sociable() && (1..=MANY).contains(&load.count());
        let mut done: BTreeSet<usize> = loads.iter().enumerate().filter(sociable).map(|(number, _)| number).collect();
        if done.len() < 2 {
            return (None, BTreeSet::new());
        }
        let targets = self.targets(loads, &mut done);
        let committed = self.commit_together(loads, origins, &targets, &mut done);
        for part in targets.into_iter().flat_map(|target| target.parts) {
            if let Part::Many(_, staged) = part {
                staged.remove(self.connection);
            }
        }
        match committed {
            Ok(snapshot) => (snapshot, done),
            Err(error) => {
                // Each that was to blame for it hears so by itself.
                tracing::debug!(error = %error, "appends go one by one");
                (None, BTreeSet::new())
            }
        }
    }

    /// Loads and checks the rows that haven't been yet. Requests whose rows break a rule are taken out of `done`.
    fn targets<'a>(&self, loads: &'a [Load], done: &mut BTreeSet<usize>) -> Vec<Target<'a>> {
        let mut targets: Vec<Target<'a>> = Vec::new();
        let mut groups: Vec<(&'a Load, Vec<(usize, &'a Few)>)> = Vec::new();
        for number in done.clone() {
            let Some(load) = loads.get(number) else { continue };
            let Some(parts) = parts_of(&mut targets, load) else {
                done.remove(&number);
                continue;
            };
            match &load.rows {
                // Broken rules are told to its caller alone.
                Incoming::Staged(staged) => match self.hold_batch(&load.schema, staged) {
                    Ok(warnings) => {
                        parts.push(Part::One(number, staged));
                        if let Some(target) = targets.iter_mut().find(|target| *target.table == load.table) {
                            target.warnings.insert(number, warnings);
                        }
                    }
                    Err(_) => drop(done.remove(&number)),
                },
                Incoming::Few(few) => {
                    let fits = |(other, members): &&mut (&Load, Vec<(usize, &Few)>)| {
                        other.table == load.table && members.first().is_some_and(|(_, first)| first.same_columns(few))
                    };
                    match groups.iter_mut().find(fits) {
                        Some((_, members)) => members.push((number, few)),
                        None => groups.push((load, vec![(number, few)])),
                    }
                }
            }
        }
        for (load, members) in groups {
            match stage_group(&self.shared.engine, self.connection, &load.schema, &members) {
                Ok((staged, mut refused)) => {
                    let held = self.hold_requests(&load.schema, &staged).and_then(|(broken, warned)| {
                        staged.leave_out(self.connection, &broken)?;
                        Ok((broken, warned))
                    });
                    // What can't be looked at together is looked at by itself.
                    let (broken, warned) = held.unwrap_or_else(|error| {
                        tracing::debug!(error = %error, "rows of a group are held to their contract one by one");
                        (members.iter().map(|(number, _)| *number).collect(), Vec::new())
                    });
                    refused.extend(broken);
                    let numbers = members.iter().map(|(number, _)| *number);
                    let members = numbers.filter(|number| !refused.contains(number)).collect();
                    done.retain(|number| !refused.contains(number));
                    if let Some(parts) = parts_of(&mut targets, load) {
                        parts.push(Part::Many(members, staged));
                    }
                    if let Some(target) = targets.iter_mut().find(|target| *target.table == load.table) {
                        target.warnings.extend(warned);
                    }
                }
                Err(error) => {
                    tracing::debug!(error = %error, "rows of a group are loaded one by one");
                    done.retain(|number| members.iter().all(|(member, _)| member != number));
                }
            }
        }
        targets
    }

    /// One transaction for all that don't collide; those that do are taken out of `done`.
    fn commit_together(
        &self,
        loads: &[Load],
        origins: &[WriteOrigin],
        targets: &[Target<'_>],
        done: &mut BTreeSet<usize>,
    ) -> Result<Option<SnapshotId>, WriteError> {
        let started = SystemTime::now();
        let committed = self.transaction_of_rows(|| {
            let mut filled = Vec::new();
            let mut warnings: HashMap<usize, Vec<Measure>> = HashMap::new();
            for target in targets {
                let Some(shape) = self.shape_for(target)? else {
                    done.retain(|number| target.members().all(|member| member != *number));
                    continue;
                };
                let colliding = self.colliding(target)?;
                done.retain(|number| !colliding.contains(number));
                let mut relations = Vec::new();
                for part in &target.parts {
                    if part.members().iter().all(|number| colliding.contains(number)) {
                        continue;
                    }
                    // The engine doesn't let one transaction write to the lake and to its own memory.
                    let without: &[usize] = if matches!(part, Part::Many(..)) { &colliding } else { &[] };
                    relations.push((part.staged(), without));
                }
                if !relations.is_empty() {
                    self.insert(&sql::table(self.lake, target.table), &relations)?;
                    filled.push(shape);
                    let batches: Vec<&Staged> = relations.iter().map(|(staged, _)| *staged).collect();
                    // Broken by all of them together: each is tried by itself then.
                    let of_all = self.hold_table(target.table, target.schema, Brought::Batches(&batches))?;
                    warnings.extend(target.warnings.clone());
                    if let Some(last) = target.members().filter(|number| done.contains(number)).last() {
                        warnings.entry(last).or_default().extend(of_all);
                    }
                }
            }
            if done.is_empty() {
                return Ok(None);
            }
            let record = |number: &usize| {
                let (load, origin) = (loads.get(*number)?, origins.get(*number)?);
                let change = Change::RowsAppended { table: load.table.clone(), rows: load.count() };
                let breaches = warnings.get(number).cloned().unwrap_or_default();
                Some(WriteRecord { breaches, ..WriteRecord::new(origin.clone(), change) })
            };
            self.say(done.iter().filter_map(record).collect())?;
            filled.iter().try_for_each(|shape| self.make_files_last(shape, started))?;
            Ok(Some(()))
        })?;
        Ok(committed.map(|((), snapshot)| snapshot))
    }

    /// The table's shape, if it is the one that the rows were made for.
    fn shape_for(&self, target: &Target<'_>) -> Result<Option<Arc<Shape>>, WriteError> {
        if self.require_contract(target.table, target.schema).is_err() {
            return Ok(None);
        }
        match self.shape(target.table) {
            Ok(shape) => Ok(same_shape(&shape.columns, target.schema).then_some(shape)),
            Err(WriteError::NoTable) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Requests that can't go with the others: a key of theirs is there already or in the rows of one before them. A primary key holds because the writer is alone: what it finds absent
    /// stays absent until it commits.
    fn colliding(&self, target: &Target<'_>) -> Result<Vec<usize>, WriteError> {
        let key = target.schema.key_columns();
        if key.is_empty() {
            return Ok(Vec::new());
        }
        let names = sql::columns(key);
        let given = target.parts.iter().map(|part| part.keys(target.schema)).collect::<Vec<_>>().join(" UNION ALL ");
        let statement = format!(
            "WITH given AS MATERIALIZED ({given})
             SELECT {REQUEST} FROM (
                SELECT {REQUEST}, row_number() OVER (PARTITION BY {names} ORDER BY {REQUEST}) AS place FROM given
             ) WHERE place > 1
             UNION SELECT {REQUEST} FROM given SEMI JOIN {} USING ({names})",
            sql::table(self.lake, target.table)
        );
        Ok(numbers(self.connection, &statement).map_err(|error| lake_error(&error))?)
    }

    /// Inserts rows into a table, without those of some requests: DuckLake writes a file for each statement, so rows with
    /// the same columns go into one.
    pub(super) fn insert(&self, target: &str, relations: &[(&Staged, &[usize])]) -> Result<(), WriteError> {
        let mut selects: HashMap<String, Vec<String>> = HashMap::new();
        for (staged, without) in relations {
            let names = sql::columns(staged.columns.iter().map(|(name, _)| name));
            selects.entry(names).or_default().push(staged.select_without(without));
        }
        for (names, selects) in selects {
            self.execute_rows(&format!("INSERT INTO {target} ({names}) {}", selects.join(" UNION ALL ")))?;
        }
        Ok(())
    }
}

impl Target<'_> {
    /// The numbers of all requests.
    fn members(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().flat_map(|part| part.members().iter().copied())
    }
}

/// What goes into the load's table so far; none for a load that was made for other columns than those before it.
fn parts_of<'a, 'b>(targets: &'b mut Vec<Target<'a>>, load: &'a Load) -> Option<&'b mut Vec<Part<'a>>> {
    let known = targets.iter().position(|target| *target.table == load.table);
    let index = known.unwrap_or(targets.len());
    if known.is_none() {
        let (table, schema) = (&load.table, &load.schema);
        targets.push(Target { table, schema, parts: Vec::new(), warnings: HashMap::new() });
    }
    targets.get_mut(index).filter(|target| *target.schema == load.schema).map(|target| &mut target.parts)
}

fn inserted(rows: u64) -> RowCounts {
    RowCounts { inserted: rows, ..RowCounts::default() }
}
