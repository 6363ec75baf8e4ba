//! A worker as its agent knows it, and everything that can be said of it.

use hearth_proto::v1;
use hearth_proto::v1::driver_message::Message as Word;
use hearth_proto::v1::from_agent::Message;
use hearth_proto::v1::worker_report::State;

/// What is reported of a worker that runs.
pub(crate) fn running() -> State {
    State::Running(v1::Running { since_unix_ms: 1 })
}

/// A worker that was ordered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Worker {
    pub(crate) id: String,
    pub(crate) launch: v1::Launch,
    pub(crate) job_run: String,
    /// Spark's number of an executor.
    pub(crate) executor: String,
}

impl Worker {
    pub(crate) fn of(order: &v1::StartWorker) -> Self {
        Self {
            id: order.worker_id.clone(),
            launch: order.launch.expect("an order names its launch"),
            job_run: order.job_run_id.clone(),
            executor: order.executor_id.clone(),
        }
    }

    /// One that is only known from the order to stop it.
    pub(crate) fn of_stop(order: &v1::StopWorker) -> Self {
        Self {
            id: order.worker_id.clone(),
            launch: order.launch.expect("an order names its launch"),
            job_run: String::new(),
            executor: String::new(),
        }
    }

    /// The same worker of another launch.
    pub(crate) fn of_launch(&self, attempt: u32, launch: u32) -> Self {
        Self { launch: v1::Launch { attempt, launch }, ..self.clone() }
    }

    pub(crate) fn report(&self, state: State) -> v1::WorkerReport {
        v1::WorkerReport { worker_id: self.id.clone(), launch: Some(self.launch), state: Some(state) }
    }

    pub(crate) fn prepares(&self, step: &str) -> Message {
        Message::WorkerReport(self.report(State::Preparing(v1::Preparing { step: step.to_owned() })))
    }

    pub(crate) fn runs(&self) -> Message {
        Message::WorkerReport(self.report(running()))
    }

    pub(crate) fn ends(&self, ended: v1::Ended) -> Message {
        Message::WorkerReport(self.report(State::Ended(ended)))
    }

    /// Its process exited with this code.
    pub(crate) fn exits(&self, code: i32) -> Message {
        self.ends(v1::Ended { exit_code: Some(code), ..v1::Ended::default() })
    }

    /// The agent killed it, as it was told.
    pub(crate) fn is_stopped(&self) -> Message {
        self.ends(v1::Ended { signal: Some(9), agent_cause: "stopped".to_owned(), ..v1::Ended::default() })
    }

    /// The agent was told to stop it and never held it.
    pub(crate) fn is_not_here(&self) -> Message {
        self.ends(v1::Ended { agent_cause: "no-launch".to_owned(), ..v1::Ended::default() })
    }

    fn word(&self, word: Word) -> Message {
        Message::DriverMessage(v1::DriverMessage {
            worker_id: self.id.clone(),
            launch: Some(self.launch),
            message: Some(word),
        })
    }

    /// As a driver: the engine is up.
    pub(crate) fn registers(&self) -> Message {
        self.word(Word::RegisterApp(v1::RegisterApp {
            app_id: format!("spark-{}", self.id),
            driver_url: "spark://CoarseGrainedScheduler@127.0.0.1:7077".to_owned(),
            ui_port: 4040,
            executor_java_opts: vec!["-Dengine=says".to_owned()],
            executor_env: [("SPARK_USER".to_owned(), "hadoop".to_owned())].into(),
            executor_properties: [("spark.driver.port".to_owned(), "7077".to_owned())].into(),
            executor_class_path: vec!["engine/says.jar".to_owned()],
        }))
    }

    /// As a driver: so many executors in all.
    pub(crate) fn wants(&self, count: u32) -> Message {
        let profile = v1::ExecutorProfile { profile_id: 0, count, cores: 1, heap_mib: 1024, total_mib: 2048 };
        self.word(Word::SetTarget(v1::SetTarget { profiles: vec![profile] }))
    }

    /// As a driver: these executors are not needed any more.
    pub(crate) fn gives_back(&self, executors: &[&Worker]) -> Message {
        let executor_ids = executors.iter().map(|worker| worker.executor.clone()).collect();
        self.word(Word::KillExecutors(v1::KillExecutors { executor_ids }))
    }
}
