//! Listings page by page, from the newest to the oldest, as queries whose cost does not depend on how much there is.
//!
//! A page starts where the one before ended, by what never changes of an item: when it was made, and its id. So it neither
//! skips nor repeats one that is there all along, whatever is added, removed or changed meanwhile.

use hearth_types::{ApplicationId, ApplicationState, JobRunState, Timestamp};
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;
use std::collections::BTreeSet;

/// Where a page of a listing ended: listings go from the newest to the oldest, then by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When the last item was made.
    pub created_at: Timestamp,
    /// Its id.
    pub id: String,
}

/// Which job runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only these states; all if empty.
    pub states: BTreeSet<JobRunState>,
    /// Only those made after this moment.
    pub created_after: Option<Timestamp>,
    /// Only those made before this moment.
    pub created_before: Option<Timestamp>,
    /// Only those of this mode, as the API names it.
    pub mode: Option<String>,
}

/// The modes of a job run, as the API names them.
const MODES: [&str; 2] = ["BATCH", "STREAMING"];

type Query = QueryBuilder<Sqlite>;

/// One page's query: `row` and `document` of each item.
pub(crate) fn applications(states: &BTreeSet<ApplicationState>, after: Option<&Cursor>, limit: u32) -> Query {
    let section = |state: &ApplicationState| vec![("state", state.as_str().to_owned())];
    let mut sections: Vec<Section> = states.iter().map(section).collect();
    if sections.is_empty() {
        sections.push(Vec::new());
    }
    Page { table: "applications", sections, from: None, to: None, after, limit }.query()
}

/// One page's query: `row` and `document` of each item.
pub(crate) fn job_runs(
    application: &ApplicationId,
    filter: &RunFilter,
    after: Option<&Cursor>,
    limit: u32,
) -> Query {
    Page {
        table: "job_runs",
        sections: sections_of(application, filter),
        from: filter.created_after.map(|moment| moment.as_millis().saturating_add(1)),
        to: filter.created_before.map(|moment| moment.as_millis().saturating_sub(1)),
        after,
        limit,
    }
    .query()
}

/// Columns and what they must be: the beginning of an index that goes on with `created_at DESC, id`.
type Section = Vec<(&'static str, String)>;

fn sections_of(application: &ApplicationId, filter: &RunFilter) -> Vec<Section> {
    let within = ("application", application.as_str().to_owned());
    if filter.states.is_empty() && filter.mode.is_none() {
        return vec![vec![within]];
    }
    let states: Vec<JobRunState> = match filter.states.is_empty() {
        true => JobRunState::ALL.to_vec(),
        false => filter.states.iter().copied().collect(),
    };
    let modes: Vec<String> = match &filter.mode {
        Some(mode) => vec![mode.clone()],
        None => MODES.map(str::to_owned).to_vec(),
    };
    let section = |mode: &String, state: &JobRunState| {
        vec![within.clone(), ("mode", mode.clone()), ("state", state.as_str().to_owned())]
    };
    modes.iter().flat_map(|mode| states.iter().map(|state| section(mode, state))).collect()
}

/// A page of what is in any of several sections of an index.
struct Page<'a> {
    table: &'static str,
    /// At least one, none overlapping another.
    sections: Vec<Section>,
    /// The first millisecond, if any.
    from: Option<i64>,
    /// The last millisecond, if any.
    to: Option<i64>,
    after: Option<&'a Cursor>,
    limit: u32,
}

impl Page<'_> {
    /// Of each section the index gives as many as the page holds; the newest of those are the page.
    fn query(&self) -> Query {
        if let [only] = self.sections.as_slice() {
            let mut query = Query::new(format!("SELECT row, document FROM {}", self.table));
            self.select(&mut query, only);
            return query;
        }
        let mut query = Query::new("SELECT row, document FROM (");
        for (number, section) in self.sections.iter().enumerate() {
            let union = if number == 0 { "" } else { " UNION ALL " };
            let columns = "rowid AS number, created_at, id";
            query.push(format!("{union}SELECT * FROM (SELECT {columns} FROM {}", self.table));
            self.select(&mut query, section);
            query.push(")");
        }
        query.push(" ORDER BY created_at DESC, id LIMIT ").push_bind(i64::from(self.limit));
        // CROSS JOIN: what was picked is looked up, never the other way round.
        let looked_up =
            format!(") AS picked CROSS JOIN {} AS item ON item.rowid = picked.number", self.table);
        query.push(looked_up).push(" ORDER BY picked.created_at DESC, picked.id");
        query
    }

    fn select(&self, query: &mut Query, section: &Section) {
        query.push(" WHERE 1 = 1");
        for (column, value) in section {
            query.push(format!(" AND {column} = ")).push_bind(value.clone());
        }
        if let Some(from) = self.from {
            query.push(" AND created_at >= ").push_bind(from);
        }
        // One upper bound alone: of two, SQLite might seek by the one that is further up.
        let cursor = self.after.map(|after| after.created_at.as_millis());
        if let Some(to) = self.to.into_iter().chain(cursor).min() {
            query.push(" AND created_at <= ").push_bind(to);
        }
        if let (Some(after), Some(at)) = (self.after, cursor) {
            query.push(" AND (created_at < ").push_bind(at);
            query.push(" OR id > ").push_bind(after.id.clone()).push(")");
        }
        query.push(" ORDER BY created_at DESC, id LIMIT ").push_bind(i64::from(self.limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    const STATES: [&str; 4] = ["SUCCESS", "FAILED", "CANCELLED", "RUNNING"];

    /// A file with so many job runs and applications, one made in each millisecond; every 500th is RUNNING and STREAMING.
    async fn filled(file: &Path, rows: u32) -> SqliteConnection {
        drop(Store::open(file).await.expect("a new store"));
        let options = hearth_sqlite::options(file);
        let mut connection = SqliteConnection::connect_with(&options).await.expect("the file opens");
        let [success, failed, cancelled, running] = STATES;
        let numbers =
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})");
        let state = format!(
            "CASE WHEN i % 500 = 0 THEN '{running}' WHEN i % 3 = 0 THEN '{failed}'
             WHEN i % 3 = 1 THEN '{success}' ELSE '{cancelled}' END"
        );
        let mode = "CASE WHEN i % 500 = 0 THEN 'STREAMING' ELSE 'BATCH' END";
        let sql = format!(
            "{numbers} INSERT INTO job_runs (id, application, state, active, created_at, row, mode)
               SELECT printf('r%09d', i), '00app', {state}, 0, i, '{{}}', {mode} FROM n;
             {numbers} INSERT INTO applications (id, state, created_at, row)
               SELECT printf('a%09d', i), CASE WHEN i % 500 = 0 THEN 'STARTED' ELSE 'TERMINATED' END, i, '{{}}' FROM n;"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("filled");
        connection
    }

    /// Steps that SQLite takes for a query, and items it finds.
    async fn steps(connection: &mut SqliteConnection, mut query: Query) -> (u64, usize) {
        let taken = Arc::new(AtomicU64::new(0));
        let counted = taken.clone();
        connection.lock_handle().await.expect("a handle").set_progress_handler(1, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        });
        let found = query.build().fetch_all(&mut *connection).await.expect("listed").len();
        connection.lock_handle().await.expect("a handle").remove_progress_handler();
        (taken.load(Ordering::Relaxed), found)
    }

    /// Pages of every kind of listing: first and deep ones, by each filter alone and together.
    fn pages(rows: u32) -> Vec<(String, Query)> {
        let application = ApplicationId::new("00app").expect("an id");
        let at = |share: u32| Timestamp::from_millis(i64::from(rows / 100 * share));
        let deep = Cursor { created_at: at(40), id: format!("r{:09}", rows / 100 * 40) };
        let rare = BTreeSet::from([JobRunState::Running]);
        let several = BTreeSet::from([JobRunState::Success, JobRunState::Failed, JobRunState::Running]);
        let none = RunFilter::default;
        let mode = |mode: &str| Some(mode.to_owned());
        let filters = [
            none(),
            RunFilter { states: rare.clone(), ..none() },
            RunFilter { states: several.clone(), ..none() },
            RunFilter { states: BTreeSet::from([JobRunState::Queued]), ..none() },
            RunFilter { mode: mode("STREAMING"), ..none() },
            RunFilter { mode: mode("BATCH"), states: several, ..none() },
            RunFilter { created_after: Some(at(20)), created_before: Some(at(60)), ..none() },
            RunFilter { created_before: Some(at(90)), states: rare, mode: mode("STREAMING"), ..none() },
        ];
        let mut pages = Vec::new();
        for filter in filters {
            for after in [None, Some(&deep)] {
                let named = format!("{filter:?} after {after:?}");
                pages.push((named, job_runs(&application, &filter, after, 2)));
            }
        }
        let (started, terminated) = (ApplicationState::Started, ApplicationState::Terminated);
        for states in [vec![], vec![started], vec![started, terminated], vec![ApplicationState::Created]] {
            for after in [None, Some(&deep)] {
                let named = format!("applications in {states:?} after {after:?}");
                pages.push((named, applications(&states.iter().copied().collect(), after, 2)));
            }
        }
        pages
    }

    #[tokio::test]
    async fn the_cost_of_a_page_does_not_grow_with_the_table() {
        let dir = tempfile::tempdir().expect("a directory");
        let (few, many) = (5_000, 50_000);
        let mut small = filled(&dir.path().join("few.db"), few).await;
        let mut large = filled(&dir.path().join("many.db"), many).await;
        for ((named, of_few), (_, of_many)) in pages(few).into_iter().zip(pages(many)) {
            let (cost, found) = steps(&mut small, of_few).await;
            let (cost_of_many, found_of_many) = steps(&mut large, of_many).await;
            assert_eq!(found_of_many, found, "{named}");
            assert!(
                cost_of_many <= cost + cost / 10,
                "{named}: {cost} steps among {few} items, {cost_of_many} among {many}"
            );
        }
    }
}
