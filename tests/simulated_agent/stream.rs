//! An open stream: what is said on it, and everything heard so far.

use crate::harness::{Job, PATIENCE};
use crate::worker::Worker;
use hearth_proto::v1;
use hearth_proto::v1::agents_client::AgentsClient;
use hearth_proto::v1::from_agent::Message as Said;
use hearth_proto::v1::to_agent::Message;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// The agent's end of a stream; dropping it cuts the connection.
pub(crate) struct Stream {
    sayings: mpsc::Sender<v1::FromAgent>,
    heard: watch::Receiver<Heard>,
    reader: AbortHandle,
    beating: Option<AbortHandle>,
    settled: AtomicU64,
}

/// What came down the stream.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<Message>,
    /// How the stream ended, if it did.
    pub(crate) end: Option<String>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
        self.beating.iter().for_each(AbortHandle::abort);
    }
}

impl Stream {
    pub(crate) async fn open(mut client: AgentsClient<Channel>, hello: v1::Hello) -> Self {
        let (sayings, outgoing) = mpsc::channel(64);
        let (hears, heard) = watch::channel(Heard::default());
        let say = |message| v1::FromAgent { message: Some(message) };
        sayings.send(say(Said::Hello(hello))).await.expect("room");
        let reading = async move {
            let end = match client.attach(ReceiverStream::new(outgoing)).await {
                Ok(answer) => read(answer.into_inner(), &hears).await,
                Err(status) => status.message().to_owned(),
            };
            hears.send_modify(|heard| heard.end = Some(end));
        };
        let reader = tokio::spawn(reading).abort_handle();
        Self { sayings, heard, reader, beating: None, settled: AtomicU64::new(0) }
    }

    pub(crate) async fn say(&self, message: Said) {
        let message = v1::FromAgent { message: Some(message) };
        self.sayings.send(message).await.expect("the stream is open");
    }

    /// Waits until `found` finds what it looks for in what was heard.
    pub(crate) async fn hear<T>(&self, what: &str, mut found: impl FnMut(&Heard) -> Option<T>) -> T {
        let mut heard = self.heard.clone();
        let waiting = async {
            loop {
                if let Some(result) = found(&heard.borrow_and_update()) {
                    return result;
                }
                heard.changed().await.expect("something is still to be heard");
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(result) => result,
            Err(_) => panic!("not heard within {PATIENCE:?}: {what}; but {:#?}", self.heard.borrow()),
        }
    }

    /// Waits for the `count`th message that `select` selects; answers all of them.
    async fn hear_of<T>(&self, what: &str, count: usize, select: impl Fn(&Message) -> Option<T>) -> Vec<T> {
        self.hear(what, |heard| {
            let found: Vec<T> = heard.messages.iter().filter_map(&select).collect();
            (found.len() >= count).then_some(found)
        })
        .await
    }

    /// What `select` selects of what was heard so far.
    pub(crate) fn heard<T>(&self, select: impl Fn(&Message) -> Option<T>) -> Vec<T> {
        self.heard.borrow().messages.iter().filter_map(select).collect()
    }

    /// Waits until everything said so far is decided and everything owed for it is heard: the answer to a report about
    /// a worker that nobody knows takes the same way behind it.
    pub(crate) async fn settled(&self) {
        let id = format!("nobody-{}", self.settled.fetch_add(1, Ordering::Relaxed));
        let nobody = v1::WorkerReport {
            worker_id: id.clone(),
            launch: Some(v1::Launch { attempt: 1, launch: 1 }),
            state: Some(v1::worker_report::State::Ended(v1::Ended::default())),
        };
        self.say(Said::WorkerReport(nobody)).await;
        self.forgotten(&id, 1).await;
    }

    /// Sends heartbeats from now on, as long as the stream is held.
    pub(crate) fn keep_beating(&mut self, every: Duration) {
        let sayings = self.sayings.clone();
        let beating = async move {
            let mut ticks = tokio::time::interval(every);
            let beat = Said::Heartbeat(v1::Heartbeat { sequence: 1, sent_boottime_ns: 1 });
            while sayings.send(v1::FromAgent { message: Some(beat.clone()) }).await.is_ok() {
                ticks.tick().await;
            }
        };
        self.beating = Some(tokio::spawn(beating).abort_handle());
    }

    /// Falls silent, though the stream stays open.
    pub(crate) fn stop_beating(&mut self) {
        self.beating.take().iter().for_each(AbortHandle::abort);
    }

    /// Sends a heartbeat and waits for its answer: everything said before it is decided.
    pub(crate) async fn beats(&self) -> v1::HeartbeatAnswer {
        self.say(Said::Heartbeat(v1::Heartbeat { sequence: 7, sent_boottime_ns: 77 })).await;
        self.hear_of("an answer to a heartbeat", 1, |message| match message {
            Message::HeartbeatAnswer(answer) => Some(*answer),
            _ => None,
        })
        .await
        .swap_remove(0)
    }

    /// Waits for the message with this number, however long.
    pub(crate) async fn next(&self, number: usize) -> Message {
        let mut heard = self.heard.clone();
        loop {
            if let Some(message) = heard.borrow_and_update().messages.get(number) {
                return message.clone();
            }
            heard.changed().await.expect("the stream is open");
        }
    }

    pub(crate) async fn welcome(&self) -> v1::Welcome {
        self.hear("welcome", |heard| match heard.messages.first() {
            Some(Message::Welcome(welcome)) => Some(welcome.clone()),
            Some(other) => panic!("the first message is {other:?}"),
            None => heard.end.as_ref().map(|end| panic!("not welcome: {end}")),
        })
        .await
    }

    /// Waits for so many orders to start a worker of the job run; answers all of them.
    pub(crate) async fn starts(&self, job: &Job, kind: v1::WorkerKind, count: usize) -> Vec<v1::StartWorker> {
        self.hear_of(&format!("{count} × start of {kind:?}"), count, |message| match message {
            Message::StartWorker(order) if order.job_run_id == job.run.as_str() && order.kind() == kind => {
                Some(order.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits for the job run's driver.
    pub(crate) async fn driver(&self, job: &Job) -> Worker {
        let orders = self.starts(job, v1::WorkerKind::SparkDriver, 1).await;
        Worker::of(orders.last().expect("one at least"))
    }

    /// Waits for the `count`th order to start an executor of the job run; answers all of them.
    pub(crate) async fn executors(&self, job: &Job, count: usize) -> Vec<Worker> {
        let orders = self.starts(job, v1::WorkerKind::SparkExecutor, count).await;
        orders.iter().map(Worker::of).collect()
    }

    /// Waits for the order to run a worker that was started deferred.
    pub(crate) async fn run_order(&self, worker: &Worker) -> v1::RunWorker {
        let found = self.hear_of("run", 1, |message| match message {
            Message::RunWorker(order) if order.worker_id == worker.id => Some(order.clone()),
            _ => None,
        });
        found.await.swap_remove(0)
    }

    /// Waits for so many orders to stop a worker; answers all of them.
    pub(crate) async fn stopped(&self, worker: &Worker, count: usize) -> Vec<v1::StopWorker> {
        self.hear_of(&format!("{count} × stop of {}", worker.id), count, |message| match message {
            Message::StopWorker(order) if order.worker_id == worker.id => Some(order.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for an order to stop whichever worker; answers the first.
    pub(crate) async fn any_stop(&self) -> v1::StopWorker {
        self.hear_of("a stop", 1, |message| match message {
            Message::StopWorker(order) => Some(order.clone()),
            _ => None,
        })
        .await
        .remove(0)
    }

    /// Waits until a worker may be forgotten, for the `count`th time.
    pub(crate) async fn forgotten(&self, worker: &str, count: usize) {
        self.hear_of(&format!("{count} × forget {worker}"), count, |message| match message {
            Message::ForgetWorker(order) if order.worker_id == worker => Some(()),
            _ => None,
        })
        .await;
    }

    /// Waits for so much news of executors; answers all of it.
    pub(crate) async fn news(&self, count: usize) -> Vec<v1::ExecutorNews> {
        self.hear_of(&format!("{count} × news"), count, |message| match message {
            Message::ExecutorNews(news) => Some(news.clone()),
            _ => None,
        })
        .await
    }
}

async fn read(mut stream: tonic::Streaming<v1::ToAgent>, hears: &watch::Sender<Heard>) -> String {
    loop {
        match stream.message().await {
            Ok(Some(v1::ToAgent { message: Some(message) })) => {
                hears.send_modify(|heard| heard.messages.push(message));
            }
            Ok(Some(v1::ToAgent { message: None })) => {}
            Ok(None) => return String::new(),
            Err(status) => return status.message().to_owned(),
        }
    }
}
