//! An agent that does by itself what a healthy one does, loses its stream now and then, and checks what it is given.

use crate::harness::Cluster;
use crate::host::Host;
use crate::stream::Stream;
use crate::worker::Worker;
use hearth_proto::v1;
use hearth_proto::v1::executor_news::News;
use hearth_proto::v1::to_agent::Message;
use hearth_proto::v1::worker_report::State;
use hearth_types::WorkerSize;
use std::collections::BTreeMap;

/// Messages after which it cuts its stream.
const CUT_AFTER: usize = 40;

/// A flying agent.
pub(crate) struct Autopilot {
    host: Host,
    live: BTreeMap<String, Live>,
    /// Workers started, in all.
    pub(crate) started: usize,
}

/// A worker that lives on the host.
struct Live {
    worker: Worker,
    size: WorkerSize,
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
    pub(crate) fn new(host: Host) -> Self {
        Self { host, live: BTreeMap::new(), started: 0 }
    }

    /// Flies for ever.
    pub(crate) async fn fly(&mut self, cluster: &Cluster) {
        loop {
            let running = || State::Running(v1::Running { since_unix_ms: 1 });
            let reports = self.live.values().map(|live| live.worker.report(running())).collect();
            let stream = self.host.hello(cluster, hearth_proto::PROTOCOL, reports).await;
            for next in 0..CUT_AFTER {
                let message = stream.next(next).await;
                self.obey(&stream, message).await;
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
            // A driver is content with its first executor.
            Message::ExecutorNews(v1::ExecutorNews { worker_id, news: Some(News::Launched(_)), .. }) => {
                self.finish(stream, &worker_id).await;
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
        let live = Live { worker: worker.clone(), size: size(order.size.expect("a size")) };
        self.live.insert(worker.id.clone(), live);
        let (held, offered) = (
            total(self.live.values().map(|live| live.size)),
            size(self.host.inventory.offered.expect("an offer")),
        );
        assert!(held.fits(&offered), "the host is given {held} but offers {offered}");
        stream.say(worker.prepares("unpacking")).await;
        stream.say(worker.runs()).await;
        if order.kind() == v1::WorkerKind::SparkDriver {
            let executors = wanted(order);
            stream.say(worker.registers()).await;
            stream.say(worker.wants(executors)).await;
            if executors == 0 {
                self.finish(stream, &worker.id).await;
            }
        }
    }

    async fn finish(&mut self, stream: &Stream, driver: &str) {
        if let Some(Live { worker, .. }) = self.live.remove(driver) {
            stream.say(worker.exits(0)).await;
        }
    }
}
