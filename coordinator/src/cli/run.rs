//! `hearth run`: uploads, submits, follows to the end, and ends with the job run's outcome.

use super::arguments::Run;
use super::emr::Emr;
use super::endpoint::Endpoint;
use super::error::{CANCELLED, CliError, FAILED};
use super::explain::phases_line;
use super::log_stream::{LogPlace, LogReader, Stream, Writer};
use super::objects::Objects;
use super::screen;
use super::submission::Submission;
use super::watch::Watch;
use hearth_api::emr::wire::JobRun;
use hearth_types::{ApplicationState, JobRunState};
use std::time::Duration;

/// Between two looks at the job run.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// So many looks between two at the driver's output, which arrives every few seconds.
const LOOKS_PER_OUTPUT: u32 = 4;

/// Runs the script and returns the exit code of its outcome.
pub(super) async fn run(endpoint: Endpoint, options: &Run) -> Result<u8, CliError> {
    let (emr, objects) = (Emr::new(endpoint.clone()), Objects::new(endpoint));
    let connection = emr.connection();
    let role = match &options.role {
        Some(role) => role.clone(),
        None => connection.need_role()?,
    };
    let submission = Submission::plan(options, || connection.need_bucket().map(str::to_owned))?;
    upload(&objects, &submission, connection.bucket.as_deref().unwrap_or_default()).await?;
    let application = match &options.application {
        Some(application) => application.clone(),
        None => find_or_create_application(&emr, &options.release).await?,
    };
    let body = submission.request(&role, options.log_uri.as_deref(), &fresh_token());
    let started = emr.start_job_run(&application, &body).await?;
    let job = started.job_run_id.as_str();
    screen::note(&format!("job run {job} of application {application} is submitted"));
    if submission.has_small_workers {
        screen::note(
            "its workers are small (1 core and 2 GB each, at most 2 executors); --conf makes them larger",
        );
    }
    if options.detach {
        screen::line(job)?;
        return Ok(0);
    }
    let run = follow(&emr, objects, &application, job).await?;
    report(&emr, &run).await
}

async fn upload(objects: &Objects, submission: &Submission, bucket: &str) -> Result<(), CliError> {
    for upload in &submission.uploads {
        if !objects.was_written_today(bucket, &upload.key).await? {
            objects.put_file(bucket, &upload.key, &upload.path, &upload.sha256).await?;
            screen::note(&format!("uploaded {} to s3://{bucket}/{}", upload.path.display(), upload.key));
        }
    }
    Ok(())
}

async fn find_or_create_application(emr: &Emr, release: &str) -> Result<String, CliError> {
    let name = format!("hearth-run-{release}");
    let fits = |state| match state {
        ApplicationState::Creating
        | ApplicationState::Created
        | ApplicationState::Starting
        | ApplicationState::Started
        | ApplicationState::Stopped => true,
        ApplicationState::Stopping | ApplicationState::Terminated => false,
    };
    let found = emr.list_applications().await?.into_iter().find(|application| {
        application.name.as_deref() == Some(&name)
            && application.release_label == release
            && fits(application.state)
    });
    match found {
        Some(application) => Ok(application.id.to_string()),
        None => emr.create_application(&name, release, &fresh_token()).await,
    }
}

/// Shows progress and the driver's output until the job run has ended. The first interrupt cancels the job run, the second
/// one leaves it.
async fn follow(emr: &Emr, objects: Objects, application: &str, job: &str) -> Result<JobRun, CliError> {
    let mut run = emr.get_job_run(application, job, None).await?;
    let inherited = emr.get_application(application).await?;
    let place = LogPlace::of(&run, Some(&inherited), None);
    let mut output = LogReader::new(objects, place, Writer::Driver, Stream::Stdout);
    let mut watch = Watch::new();
    let mut interrupts = 0;
    for look in 0_u32.. {
        let progress = emr.progress(job).await?;
        watch.show(&run, progress.as_ref());
        if look.is_multiple_of(LOOKS_PER_OUTPUT) || run.state.is_final() {
            let text = output.more().await?;
            watch.aside(|| screen::write(&text))?;
        }
        if run.state.is_final() {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            interrupt = tokio::signal::ctrl_c() => {
                interrupts += 1;
                if interrupt.is_err() || interrupts > 1 {
                    watch.aside(|| screen::note(&format!("left; `hearth explain {job}` says how it goes on")));
                    break;
                }
                watch.aside(|| screen::note("cancelling; interrupt again to leave it"));
                emr.cancel_job_run(application, job).await?;
            }
        }
        run = emr.get_job_run(application, job, None).await?;
    }
    Ok(run)
}

async fn report(emr: &Emr, run: &JobRun) -> Result<u8, CliError> {
    let job = run.job_run_id.as_str();
    let progress = emr.progress(job).await?;
    let took = screen::span(run.ended_at.unwrap_or(run.updated_at).since(run.created_at));
    // The details were told with the state; here they would only push the next step off the screen.
    screen::note(&format!("job run {job} is {} after {took}", run.state));
    if let Some(phases) = progress.as_ref().map(phases_line).filter(|text| !text.is_empty()) {
        screen::note(&format!("phases: {phases}"));
    }
    match run.state {
        JobRunState::Success => Ok(0),
        JobRunState::Cancelled => Ok(CANCELLED),
        JobRunState::Failed => {
            screen::note(&format!("next: hearth logs {job} --stderr"));
            Ok(FAILED)
        }
        // Left behind by a second interrupt.
        JobRunState::Submitted
        | JobRunState::Queued
        | JobRunState::Pending
        | JobRunState::Scheduled
        | JobRunState::Running
        | JobRunState::Cancelling => Ok(CANCELLED),
    }
}

/// A token that no request had before, so that a repeated connection does not start a second job run.
fn fresh_token() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}
