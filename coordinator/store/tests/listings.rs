//! Whoever turns page after page finds each item that is there all along once, in order, whatever happens meanwhile.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helper functions.

#[path = "../../core/tests/world_model/mod.rs"]
mod world_model;

use hearth_coordinator_core::command::{Change, Command};
use hearth_coordinator_core::job_run::{JobRun, Outcome, RunPhase};
use hearth_store::{Cursor, RunFilter, Store};
use hearth_types::{JobRunId, JobRunState, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use world_model::{Cluster, agent, application, application_id, run_id, spec, start};

/// What somebody does between two pages.
#[derive(Debug, Clone)]
enum Step {
    /// A job run is made: at this moment, of this mode, in this phase. The clock may well go back.
    Make { at: i64, streaming: bool, phase: usize },
    /// One of those that are there changes its phase.
    Change { which: prop::sample::Index, phase: usize },
    /// One of those that are there is removed.
    Remove { which: prop::sample::Index },
    /// The next page is read, of at most so many.
    Turn { limit: u32 },
}

fn phases() -> [RunPhase; 4] {
    let ended = |outcome| RunPhase::Ended { outcome };
    [RunPhase::Queued, RunPhase::Pending, ended(Outcome::Success), ended(Outcome::Failed)]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_i64, any::<bool>(), 0..4_usize)
            .prop_map(|(at, streaming, phase)| Step::Make { at, streaming, phase }),
        3 => (any::<prop::sample::Index>(), 0..4_usize).prop_map(|(which, phase)| Step::Change { which, phase }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::Remove { which }),
        4 => (1..5_u32).prop_map(|limit| Step::Turn { limit }),
    ]
}

fn filters() -> impl Strategy<Value = RunFilter> {
    let states = prop::sample::subsequence(
        vec![JobRunState::Queued, JobRunState::Pending, JobRunState::Success, JobRunState::Failed],
        0..4,
    );
    let moment = || prop::option::of((0..12_i64).prop_map(Timestamp::from_millis));
    let mode = prop::option::of(prop::sample::select(vec!["BATCH".to_owned(), "STREAMING".to_owned()]));
    (states, moment(), moment(), mode).prop_map(|(states, created_after, created_before, mode)| RunFilter {
        states: states.into_iter().collect(),
        created_after,
        created_before,
        mode,
    })
}

/// Any job run of that application, to make others from.
fn template() -> JobRun {
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 8)]);
    cluster.ask(start("r", "app", spec(1, 0, 1, 1))).unwrap();
    cluster.ask(Command::TimePassed).unwrap();
    cluster.run("r").clone()
}

/// Somebody who turns pages while others make, change and remove job runs.
struct Reader {
    store: Store,
    meddler: SqliteConnection,
    filter: RunFilter,
    after: Option<Cursor>,
    read: Vec<(i64, String)>,
    /// All there are, with their modes.
    present: BTreeMap<JobRunId, (JobRun, bool)>,
    /// Those that matched ever since the first page was asked for.
    stable: BTreeSet<(i64, String)>,
    began: bool,
    made: usize,
}

impl Reader {
    async fn new(file: &Path, filter: RunFilter) -> Self {
        let store = Store::open(file).await.unwrap();
        let options = SqliteConnectOptions::new().filename(file);
        let meddler = SqliteConnection::connect_with(&options).await.unwrap();
        Self {
            store,
            meddler,
            filter,
            after: None,
            read: Vec::new(),
            present: BTreeMap::new(),
            stable: BTreeSet::new(),
            began: false,
            made: 0,
        }
    }

    /// What the filter means, said plainly.
    fn matches(&self, run: &JobRun, streaming: bool) -> bool {
        let mode = if streaming { "STREAMING" } else { "BATCH" };
        (self.filter.states.is_empty() || self.filter.states.contains(&run.state()))
            && self.filter.mode.as_deref().is_none_or(|wanted| wanted == mode)
            && self.filter.created_after.is_none_or(|moment| run.created_at > moment)
            && self.filter.created_before.is_none_or(|moment| run.created_at < moment)
    }

    fn matching(&self) -> BTreeSet<(i64, String)> {
        let all = self.present.values().filter(|(run, streaming)| self.matches(run, *streaming));
        all.map(|(run, _)| (run.created_at.as_millis(), run.id.to_string())).collect()
    }

    async fn put(&mut self, run: JobRun, streaming: bool) {
        let document = json!({ "mode": if streaming { "STREAMING" } else { "BATCH" } });
        let changes =
            vec![Change::JobRun(run.clone()), Change::JobRunDocument { id: run.id.clone(), document }];
        self.store.commit(changes, Timestamp::from_millis(1)).await.unwrap();
        self.present.insert(run.id.clone(), (run, streaming));
    }

    fn pick(&self, which: &prop::sample::Index) -> Option<(JobRun, bool)> {
        let all: Vec<_> = self.present.values().collect();
        (!all.is_empty()).then(|| which.get(&all).to_owned().clone())
    }

    /// Whether there may be another page.
    async fn turn(&mut self, limit: u32) -> bool {
        if !self.began {
            (self.began, self.stable) = (true, self.matching());
        }
        let app = application_id("app");
        let page = self.store.job_runs(&app, &self.filter, self.after.as_ref(), limit).await.unwrap();
        assert!(page.len() <= limit as usize);
        for record in &page {
            let key = (record.run.created_at.as_millis(), record.run.id.to_string());
            assert!(self.matching().contains(&key), "{key:?} does not match {:?}", self.filter);
            self.after = Some(Cursor { created_at: record.run.created_at, id: key.1.clone() });
            self.read.push(key);
        }
        page.len() == limit as usize
    }

    async fn take(&mut self, step: Step, template: &JobRun) {
        match step {
            Step::Make { at, streaming, phase } => {
                self.made += 1;
                // Names in no order of time.
                let id = run_id(&format!("r{}", (self.made * 7919) % 1000));
                let created_at = Timestamp::from_millis(at);
                let run = JobRun { id, created_at, phase: phases()[phase].clone(), ..template.clone() };
                self.put(run, streaming).await;
            }
            Step::Change { which, phase } => {
                let Some((run, streaming)) = self.pick(&which) else { return };
                self.put(JobRun { phase: phases()[phase].clone(), ..run }, streaming).await;
            }
            Step::Remove { which } => {
                let Some((run, _)) = self.pick(&which) else { return };
                let remove = sqlx::query("DELETE FROM job_runs WHERE id = ?1").bind(run.id.as_str());
                remove.execute(&mut self.meddler).await.unwrap();
                self.present.remove(&run.id);
            }
            Step::Turn { limit } => {
                self.turn(limit).await;
            }
        }
        let matching = self.matching();
        self.stable.retain(|key| matching.contains(key));
    }

    /// Reads what is left, and judges all that was read.
    async fn finish(mut self) {
        while self.turn(3).await {}
        let in_order =
            |one: &(i64, String), next: &(i64, String)| one.0 > next.0 || (one.0 == next.0 && one.1 < next.1);
        let wrong = self.read.windows(2).find(|pair| !in_order(&pair[0], &pair[1]));
        assert_eq!(wrong, None, "newest first, and none twice");
        let read: BTreeSet<_> = self.read.into_iter().collect();
        let skipped: Vec<_> = self.stable.difference(&read).collect();
        assert!(skipped.is_empty(), "{skipped:?} were there all along");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn pages_neither_skip_nor_repeat_what_is_there_all_along(
        filter in filters(),
        before in prop::collection::vec(steps(), 0..24),
        meanwhile in prop::collection::vec(steps(), 1..24),
    ) {
        let template = template();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut reader = Reader::new(&dir.path().join("hearth.db"), filter).await;
            for step in before.into_iter().filter(|step| !matches!(step, Step::Turn { .. })).chain(meanwhile) {
                reader.take(step, &template).await;
            }
            reader.finish().await;
        });
    }
}
