//! `hearth status`: whether the endpoint answers, and what it holds.

use super::emr::Emr;
use super::error::CliError;
use super::screen;
use comfy_table::Cell;
use serde_json::json;

/// States in which a job run has not ended.
pub(super) const UNFINISHED: [&str; 6] =
    ["SUBMITTED", "QUEUED", "PENDING", "SCHEDULED", "RUNNING", "CANCELLING"];
/// More unfinished job runs than these are not listed.
const SHOWN: usize = 100;

/// Prints the applications and the job runs that have not ended.
pub(super) async fn status(emr: &Emr, as_json: bool) -> Result<(), CliError> {
    let applications: Vec<_> = emr
        .list_applications()
        .await?
        .into_iter()
        .filter(|application| application.state != hearth_types::ApplicationState::Terminated)
        .collect();
    let states = UNFINISHED.map(str::to_owned);
    let mut runs = Vec::new();
    for application in &applications {
        runs.extend(emr.list_job_runs(application.id.as_str(), &states, SHOWN).await?);
    }
    if as_json {
        let document = json!({"endpoint": emr.connection().endpoint, "applications": applications, "unfinishedJobRuns": runs});
        return screen::json(&document);
    }
    screen::line(&format!("{} answers", emr.connection().endpoint))?;
    if applications.is_empty() {
        return screen::line("no applications; `hearth run SCRIPT` makes one");
    }
    let mut table = screen::table(["APPLICATION", "STATE", "RELEASE", "NAME"]);
    for application in &applications {
        table.add_row([
            application.id.to_string(),
            application.state.to_string(),
            application.release_label.clone(),
            application.name.clone().unwrap_or_default(),
        ]);
    }
    screen::line("")?;
    screen::print_table(&table)?;
    screen::line("")?;
    if runs.is_empty() {
        return screen::line("no job run is under way");
    }
    let mut table = screen::table(["JOB RUN", "STATE", "NAME", "DETAILS"]);
    for run in &runs {
        table.add_row([
            Cell::new(&run.id),
            screen::state_cell(run.state),
            Cell::new(run.name.as_deref().unwrap_or_default()),
            Cell::new(&run.state_details),
        ]);
    }
    screen::print_table(&table)
}
