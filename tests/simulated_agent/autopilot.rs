//! An agent that does by itself what a healthy one does, loses its stream now and then, and checks what it is given.

use crate::harness::Cluster;
use crate::host::Host;
use crate::stream::Stream;
use crate::worker::Worker;
use hearth_proto::v1;
use hearth_proto::v1::to_agent::Message;
use hearth_proto::v1::worker_report::State;
use hearth_types::WorkerSize;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::watch;

/// Messages after which it cuts its stream.
const CUT_AFTER: usize = 40;

/// A flying agent.
pub(crate) struct Autopilot {
    host: Host,
    network: Network,
    live: BTreeMap<String, Live>,
    /// Workers started, in all.
    pub(crate) started: usize,
}

/// A worker that lives on the host.
struct Live {
    worker: Worker,
    size: WorkerSize,
    role: Role,
}

/// What a worker waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A driver, for its first executor.
    Driver,
    /// An executor that was started deferred, for being told to run.
    Deferred,
    /// An executor, for being ended.
    Executor,
}

/// Job runs whose driver an executor has registered with. It does so itself, not through agents or coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Network(watch::Sender<BTreeSet<String>>);

impl Network {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(BTreeSet::new()))
    }

    fn register(&self, executor: &Worker) {
        self.0.send_if_modified(|runs| runs.insert(executor.job_run.clone()));
    }
}

/// The sum of sizes.
pub(crate) fn total(sizes: impl Iterator<Item = WorkerSize>) -> WorkerSize {
    sizes.fold(WorkerSize::default(), |sum, size| sum.plus(&size))
}

fn size(size: v1::WorkerSize) -> WorkerSize {
    WorkerSize { cpu_millis: size.cpu_millis, memory_mib: size.memory_mib, disk_gib: size.disk_gib }
}

/// How many executors a driver's arguments ask for.
fn wanted(order: &v1::StartWorker) -> u32 {
    order.args.last().and_then(|count| count.parse().ok()).expect("the submission says how many")
}

impl Autopilot {
    pub(crate) fn new(host: Host, network: Network) -> Self {
        Self { host, network, live: BTreeMap::new(), started: 0 }
    }

    /// Flies for ever.
    pub(crate) async fn fly(&mut self, cluster: &Cluster) {
        loop {
            let running = || State::Running(v1::Running { since_unix_ms: 1 });
            let reports = self.live.values().map(|live| live.worker.report(running())).collect();
            let stream = self.host.hello(cluster, hearth_proto::PROTOCOL, reports).await;
            let mut registrations = self.network.0.subscribe();
            let mut next = 0;
            while next < CUT_AFTER {
                let served = registrations.borrow_and_update().clone();
                self.finish_drivers(&stream, &served).await;
                tokio::select! {
                    message = stream.next(next) => {
                        self.obey(&stream, message).await;
                        next += 1;
                    }
                    changed = registrations.changed() => changed.expect("we hold a sender"),
                }
            }
            // What was said is heard before the line is cut; what was ordered meanwhile is lost.
            stream.beats().await;
        }
    }

    async fn obey(&mut self, stream: &Stream, message: Message) {
        match message {
            Message::StartWorker(order) => self.start(stream, &order).await,
            Message::StopWorker(order) => {
                if let Some(Live { worker, .. }) = self.live.remove(&order.worker_id) {
                    stream.say(worker.is_stopped()).await;
                }
            }
            Message::RunWorker(order) => {
                if let Some(live) = self.live.get_mut(&order.worker_id)
                    && live.role == Role::Deferred
                {
                    live.role = Role::Executor;
                    self.network.register(&live.worker);
                }
            }
            _ => {}
        }
    }

    async fn start(&mut self, stream: &Stream, order: &v1::StartWorker) {
        let worker = Worker::of(order);
        if self.live.contains_key(&worker.id) {
            return;
        }
        self.started += 1;
        let role = match (order.kind(), order.deferred) {
            (v1::WorkerKind::SparkDriver, _) => Role::Driver,
            (_, true) => Role::Deferred,
            (_, false) => Role::Executor,
        };
        let live = Live { worker: worker.clone(), size: size(order.size.expect("a size")), role };
        self.live.insert(worker.id.clone(), live);
        let (held, offered) = (
            total(self.live.values().map(|live| live.size)),
            size(self.host.inventory.offered.expect("an offer")),
        );
        assert!(held.fits(&offered), "the host is given {held} but offers {offered}");
        stream.say(worker.prepares("unpacking")).await;
        stream.say(worker.runs()).await;
        match role {
            Role::Driver => {
                let executors = wanted(order);
                stream.say(worker.registers()).await;
                stream.say(worker.wants(executors)).await;
                if executors == 0 {
                    self.finish(stream, &worker.id).await;
                }
            }
            Role::Executor => self.network.register(&worker),
            Role::Deferred => {}
        }
    }

    /// Ends the drivers that have an executor.
    async fn finish_drivers(&mut self, stream: &Stream, served: &BTreeSet<String>) {
        let is_content = |live: &Live| live.role == Role::Driver && served.contains(&live.worker.job_run);
        let content: Vec<String> =
            self.live.values().filter(|live| is_content(live)).map(|live| live.worker.id.clone()).collect();
        for driver in content {
            self.finish(stream, &driver).await;
        }
    }

    async fn finish(&mut self, stream: &Stream, driver: &str) {
        if let Some(Live { worker, .. }) = self.live.remove(driver) {
            stream.say(worker.exits(0)).await;
        }
    }
}
