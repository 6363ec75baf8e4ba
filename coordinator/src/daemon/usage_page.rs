//! `GET /hearth/v1/usage`: what job runs used that ended within a period, by application or by a tag.
//!
//! | parameter | means |
//! |---|---|
//! | `since`, `until` | the period, in milliseconds since 1970: job runs that ended at `since` or later, and before `until` |
//! | `tag` | the tag to sum up by: a job run's own, or else its application's; without it sums are by application |
//!
//! It takes the right to `hearth:GetUsage` on `arn:aws:hearth:<region>:<account>:/usage`. A job run counts where it ended, so that
//! periods that follow each other add up.

use super::signed::{Refused, allowed, refused, signed};
use crate::control::Control;
use axum::Json;
use axum::extract::{Query, Request};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hearth_api::emr::control_plane::{ControlPlane, TaggedResource};
use hearth_coordinator_core::usage::{Amount, Usage, of_worker};
use hearth_engine::now;
use hearth_identity::Identity;
use hearth_store::{AccountedRun, Store};
use hearth_types::{ApplicationId, JobRunId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Job runs that are read at once.
const PAGE: u32 = 500;

/// Answers for what was used.
pub(super) struct UsagePage {
    pub(super) identity: Arc<Identity>,
    pub(super) store: Store,
    pub(super) control: Arc<Control>,
    pub(super) region: String,
    pub(super) account_id: String,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    since: Option<i64>,
    until: Option<i64>,
    tag: Option<String>,
}

impl Asked {
    fn read(uri: &Uri) -> Result<Self, String> {
        let Query(asked) = Query::try_from_uri(uri).map_err(|refused| refused.body_text())?;
        Ok(asked)
    }

    fn period(&self) -> (Timestamp, Timestamp) {
        let (since, until) = (self.since.unwrap_or(0), self.until.unwrap_or(i64::MAX));
        (Timestamp::from_millis(since), Timestamp::from_millis(until))
    }
}

/// One line of the account.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    job_runs: u64,
    workers: u64,
    usage: Usage,
}

impl UsagePage {
    pub(super) async fn answer(&self, request: Request) -> Response {
        match self.try_answer(request).await {
            Ok(value) => Json(value).into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn try_answer(&self, request: Request) -> Result<Value, Refused> {
        let (parts, _) = request.into_parts();
        let by = signed(&self.identity, &self.region, &parts)?;
        let resource = format!("arn:aws:hearth:{}:{}:/usage", self.region, self.account_id);
        allowed(&self.identity, &by, "hearth:GetUsage", &resource)?;
        let asked = Asked::read(&parts.uri).map_err(|why| refused(StatusCode::BAD_REQUEST, why))?;
        let rows = self.account(&asked).await?;
        let by = asked.tag.as_ref().map_or_else(|| "application".to_owned(), |tag| format!("tag {tag}"));
        let total = rows.values().fold(Row::default(), |sum, row| Row {
            job_runs: sum.job_runs + row.job_runs,
            workers: sum.workers + row.workers,
            usage: sum.usage + row.usage,
        });
        let rows: Vec<Value> = rows.iter().map(|(key, row)| shown(Some(key), row)).collect();
        Ok(json!({ "by": by, "rows": rows, "all": shown(None, &total) }))
    }

    async fn account(&self, asked: &Asked) -> Result<BTreeMap<String, Row>, Refused> {
        let unreadable = |error: hearth_store::StoreError| {
            tracing::error!(error = hearth_telemetry::error_chain(&error), "reading an account");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "The account cannot be read; try again.")
        };
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        let mut of_application: BTreeMap<ApplicationId, String> = BTreeMap::new();
        let (since, until) = asked.period();
        let mut after = None;
        loop {
            let page = self.store.ended_within(since, until, after.as_ref(), PAGE).await;
            let page = page.map_err(unreadable)?;
            let Some(last) = page.last() else { return Ok(rows) };
            after = Some(last.run.clone());
            let mut keys: BTreeMap<&JobRunId, String> = BTreeMap::new();
            for run in &page {
                let key = self.key(run, asked.tag.as_deref(), &mut of_application).await;
                rows.entry(key.clone()).or_default().job_runs += 1;
                keys.insert(&run.run.id, key);
            }
            for worker in self.store.workers_of_all(&page).await.map_err(unreadable)? {
                let Some(row) = keys.get(&worker.run).and_then(|key| rows.get_mut(key)) else { continue };
                row.workers += 1;
                row.usage = row.usage + of_worker(&worker, now());
            }
        }
    }

    /// What a job run is summed up under; empty where neither it nor its application has the tag.
    async fn key(
        &self,
        run: &AccountedRun,
        tag: Option<&str>,
        of_application: &mut BTreeMap<ApplicationId, String>,
    ) -> String {
        let application = &run.run.application;
        let Some(tag) = tag else { return application.to_string() };
        if let Some(value) = run.tags.get(tag) {
            return value.clone();
        }
        if let Some(value) = of_application.get(application) {
            return value.clone();
        }
        let tags = self.control.tags(&TaggedResource::Application(application.clone())).await;
        let value = tags.unwrap_or_default().remove(tag).unwrap_or_default();
        of_application.insert(application.clone(), value.clone());
        value
    }
}

fn shown(key: Option<&str>, row: &Row) -> Value {
    let amount = |amount: &Amount| {
        json!({
            "vCPUHour": amount.vcpu_hours(),
            "memoryGBHour": amount.memory_gb_hours(),
            "storageGBHour": amount.storage_gb_hours(),
        })
    };
    json!({
        "key": key,
        "jobRuns": row.job_runs,
        "workers": row.workers,
        "totalResourceUtilization": amount(&row.usage.total),
        "billedResourceUtilization": amount(&row.usage.billed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_and_a_tag_may_be_asked_for_and_nothing_else() {
        let read = |query: &str| Asked::read(&format!("/hearth/v1/usage{query}").parse().unwrap());
        assert_eq!(read(""), Ok(Asked { since: None, until: None, tag: None }));
        assert_eq!(
            read("?since=1000&until=2000&tag=cost%20centre"),
            Ok(Asked { since: Some(1000), until: Some(2000), tag: Some("cost centre".to_owned()) })
        );
        for wrong in ["?since=yesterday", "?month=1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
