//! `hearth list`: job runs over all applications, newest first.

use super::arguments::List;
use super::emr::Emr;
use super::endpoint::now;
use super::error::CliError;
use super::screen;
use comfy_table::Cell;
use serde_json::json;

/// Prints the job runs that were asked for.
pub(super) async fn list(emr: &Emr, options: &List) -> Result<(), CliError> {
    let states: Vec<String> = options.state.iter().map(|state| state.to_ascii_uppercase()).collect();
    let applications = match &options.application {
        Some(application) => vec![application.clone()],
        None => emr.list_applications().await?.into_iter().map(|one| one.id.to_string()).collect(),
    };
    let mut runs = Vec::new();
    for application in &applications {
        runs.extend(emr.list_job_runs(application, &states, options.limit).await?);
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.created_at));
    runs.truncate(options.limit);
    if options.json {
        return screen::json(&json!({"jobRuns": runs}));
    }
    if runs.is_empty() {
        let is_filtered = !states.is_empty() || options.application.is_some();
        return screen::line(if is_filtered {
            "no such job runs; `hearth list` shows all"
        } else {
            "no job runs; `hearth run SCRIPT` starts one"
        });
    }
    let mut table = screen::table(["JOB RUN", "STATE", "SUBMITTED", "TOOK", "NAME", "APPLICATION"]);
    for run in &runs {
        let end = if run.state.is_final() { run.updated_at } else { now() };
        table.add_row([
            Cell::new(&run.id),
            screen::state_cell(run.state),
            Cell::new(screen::moment(run.created_at)),
            Cell::new(screen::span(end.since(run.created_at))),
            Cell::new(run.name.as_deref().unwrap_or_default()),
            Cell::new(&run.application_id),
        ]);
    }
    screen::print_table(&table)
}
