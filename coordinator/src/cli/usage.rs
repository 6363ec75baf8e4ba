//! `hearth usage`: what job runs used, by application or by a tag.

use super::arguments::Usage;
use super::endpoint::{Endpoint, Request};
use super::error::CliError;
use super::screen;
use http::Method;
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

/// Signing name: hearth's own pages take any.
const SERVICE: &str = "emr-serverless";

/// What the endpoint tells.
#[derive(Debug, Deserialize, Serialize)]
struct Account {
    by: String,
    rows: Vec<Row>,
    all: Row,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    key: Option<String>,
    job_runs: u64,
    workers: u64,
    total_resource_utilization: Amount,
    billed_resource_utilization: Amount,
}

#[derive(Debug, Deserialize, Serialize)]
struct Amount {
    #[serde(rename = "vCPUHour")]
    vcpu_hour: f64,
    #[serde(rename = "memoryGBHour")]
    memory_gb_hour: f64,
    #[serde(rename = "storageGBHour")]
    storage_gb_hour: f64,
}

/// Prints the account that was asked for.
pub(super) async fn usage(endpoint: &Endpoint, options: &Usage) -> Result<(), CliError> {
    let mut request = Request::new(SERVICE, "GetUsage", Method::GET, "/hearth/v1/usage".to_owned());
    for (name, day) in [("since", options.since), ("until", options.until)] {
        if let Some(day) = day {
            request = request.query(name, (midnight(day).unix_timestamp() * 1000).to_string());
        }
    }
    if let Some(tag) = &options.tag {
        request = request.query("tag", tag.clone());
    }
    let account: Account = endpoint.send(request).await?.json().await?;
    if options.json {
        return screen::json(&account);
    }
    if account.rows.is_empty() {
        return screen::line("no job run ended in that time");
    }
    let first = if options.tag.is_some() { "TAG" } else { "APPLICATION" };
    let mut table = screen::table([
        first,
        "JOB RUNS",
        "WORKERS",
        "VCPU-H",
        "GB-H",
        "STORAGE GB-H",
        "BILLED VCPU-H",
        "BILLED GB-H",
        "BILLED STORAGE GB-H",
    ]);
    for row in account.rows.iter().chain([&account.all]) {
        let name = match row.key.as_deref() {
            None => "all",
            Some("") => "(none)",
            Some(name) => name,
        };
        let mut cells = vec![name.to_owned(), row.job_runs.to_string(), row.workers.to_string()];
        for amount in [&row.total_resource_utilization, &row.billed_resource_utilization] {
            let hours = [amount.vcpu_hour, amount.memory_gb_hour, amount.storage_gb_hour];
            cells.extend(hours.map(|hours| format!("{hours:.3}")));
        }
        table.add_row(cells);
    }
    screen::print_table(&table)
}

fn midnight(day: Date) -> OffsetDateTime {
    day.midnight().assume_utc()
}
