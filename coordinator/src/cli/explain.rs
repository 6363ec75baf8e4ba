//! `hearth explain`: what a job run does, waits for, or failed of.

use super::arguments::Explain;
use super::emr::Emr;
use super::endpoint::now;
use super::error::CliError;
use super::log_stream::{LogPlace, Stream};
use super::progress::Progress;
use super::screen;
use super::timeline::Timeline;
use hearth_api::emr::wire::{JobDriver, JobRun};
use hearth_types::JobRunState;
use serde_json::json;
use std::time::Duration;

/// Prints everything that is known about the job run's state.
pub(super) async fn explain(emr: &Emr, options: &Explain) -> Result<(), CliError> {
    let run = emr.find_job_run(options.job.application.as_deref(), &options.job.job).await?;
    let application = emr.get_application(run.application_id.as_str()).await?;
    let progress = emr.progress(run.job_run_id.as_str()).await?;
    let timeline = emr.timeline(run.job_run_id.as_str()).await?.unwrap_or_default();
    let logs = LogPlace::of(&run, Some(&application), None);
    if options.json {
        return screen::json(&json!({
            "jobRun": run,
            "progress": progress,
            "timeline": timeline,
            "logs": logs.uri(),
            "driverLogs": {
                "stdout": logs.driver_log(Stream::Stdout),
                "stderr": logs.driver_log(Stream::Stderr),
            },
        }));
    }
    for text in explanation(&run, progress.as_ref(), &timeline, &logs) {
        screen::line(&text)?;
    }
    Ok(())
}

fn explanation(
    run: &JobRun,
    progress: Option<&Progress>,
    timeline: &Timeline,
    logs: &LogPlace,
) -> Vec<String> {
    let mut lines = vec![format!("{} is {}: {}", run.job_run_id, run.state, meaning(run.state))];
    let mut add = |name: &str, text: String| lines.push(format!("  {name:<13}{text}"));
    if !run.state_details.is_empty() {
        add("details", run.state_details.clone());
    }
    if let Some(name) = &run.name {
        add("name", name.clone());
    }
    add("application", format!("{} ({})", run.application_id, run.release_label));
    if let JobDriver::SparkSubmit(job) = &run.job_driver {
        add("runs", job.entry_point.clone());
        if let Some(parameters) = &job.spark_submit_parameters {
            add("with", parameters.clone());
        }
    }
    let end = if run.state.is_final() { run.ended_at.unwrap_or(run.updated_at) } else { now() };
    add(
        "submitted",
        format!("{}, {} in all", screen::moment(run.created_at), screen::span(end.since(run.created_at))),
    );
    if let Some(progress) = progress {
        if let Some(text) = progress.line() {
            add("progress", text);
        }
        let phases = phases_line(progress);
        if !phases.is_empty() {
            add("phases", phases);
        }
    }
    for (position, text) in timeline.lines().into_iter().enumerate() {
        add(if position == 0 { "timeline" } else { "" }, text);
    }
    add("logs", logs.uri());
    if run.started_at.is_some() {
        add("last lines", logs.driver_log(Stream::Stderr));
    }
    let next = match run.state {
        // Spark sends a Python script's traceback to standard output, and all else that failed to standard error.
        JobRunState::Failed => format!("hearth logs {0}; hearth logs {0} --stderr", run.job_run_id),
        JobRunState::Success => format!("hearth logs {}", run.job_run_id),
        JobRunState::Running => format!("hearth logs {} --follow", run.job_run_id),
        JobRunState::Cancelled | JobRunState::Cancelling => return lines,
        JobRunState::Submitted | JobRunState::Queued | JobRunState::Pending | JobRunState::Scheduled => {
            format!("hearth cancel {} if it should not wait", run.job_run_id)
        }
    };
    add("next", next);
    lines
}

/// `submitted, +0.2 s scheduled, +1.8 s running`; empty if no phase is known.
pub(super) fn phases_line(progress: &Progress) -> String {
    let phases: Vec<String> = progress
        .phase_seconds()
        .into_iter()
        .enumerate()
        .map(|(position, (name, seconds))| match position {
            0 => name,
            _ => format!("+{} {name}", screen::span(Duration::from_secs_f64(seconds.max(0.0)))),
        })
        .collect();
    phases.join(", ")
}

const fn meaning(state: JobRunState) -> &'static str {
    match state {
        JobRunState::Submitted => "accepted, and safe from any crash",
        JobRunState::Queued => "waits for other job runs of its application to end",
        JobRunState::Pending => "waits for capacity",
        JobRunState::Scheduled => "has a place; its driver is being prepared",
        JobRunState::Running => "its driver runs",
        JobRunState::Cancelling => "is being ended",
        JobRunState::Success => "ended well",
        JobRunState::Failed => "ended badly",
        JobRunState::Cancelled => "was ended before it was done",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_run_is_explained_with_its_reason_and_the_next_step() {
        let run: JobRun = serde_json::from_value(json!({
            "applicationId": "a", "jobRunId": "j", "arn": "arn", "createdBy": "me", "createdAt": 1, "updatedAt": 8.5,
            "startedAt": 3, "executionRole": "r", "state": "FAILED", "stateDetails": "no such file: s3://b/x.py",
            "releaseLabel": "emr-7.6.0", "jobDriver": {"sparkSubmit": {"entryPoint": "s3://b/x.py"}}
        }))
        .unwrap();
        let timeline: Timeline = serde_json::from_value(json!({"events": [
            {"at_ms": 1000, "what": "submitted"},
            {"at_ms": 2500, "what": "driver placed on host-1 (agent a-1), worker w-1"},
        ]}))
        .unwrap();
        let text = explanation(&run, None, &timeline, &LogPlace::of(&run, None, None)).join("\n");
        for part in [
            "FAILED: ended badly",
            "no such file: s3://b/x.py",
            "7.5 s in all",
            "hearth logs j --stderr",
            "timeline     1970-01-01 00:00:01Z  submitted",
            "+1.5 s                driver placed on host-1",
            "s3://hearth-managed/applications/a/jobs/j/SPARK_DRIVER/stderr.gz",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
    }
}
