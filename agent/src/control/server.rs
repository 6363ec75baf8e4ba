//! The task that serves one worker's control socket.

use super::message::{Hello, Order, Report, RunOrder, parse};
use super::protocol::{Protocol, Received};
use hearth_types::WorkerId;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::StreamExt;
use tokio_util::codec::{FramedRead, LinesCodec};

/// The longest line, by contract.
const MAX_LINE: usize = 1024 * 1024;
/// How long a JVM may take to greet, or to read what it is sent. A worker that is frozen is met again when it thaws.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what a dead JVM has left in the socket is read.
const DRAIN: Duration = Duration::from_secs(2);
/// Reports on their way to the worker's task, which takes each at once.
const REPORTS: usize = 16;
/// Orders on their way to the channel, which takes each at once.
const ORDERS: usize = 256;
/// Orders that a JVM has not acknowledged; thousands of executors' news while it is frozen, at most.
const MAX_WAITING: usize = 10_000;

/// A report, and how to say that it was handled. A report that is not answered is told again on the next connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) report: Report,
    pub(crate) handled: oneshot::Sender<()>,
}

/// A worker's control channel. Dropping it stops it; the JVM then tries to reconnect for as long as it lives.
#[derive(Debug)]
pub(crate) struct Control {
    orders: mpsc::Sender<Order>,
    reports: mpsc::Receiver<Incoming>,
    task: JoinHandle<()>,
}

impl Control {
    /// Serves `listener` for the worker, whose processes run as `uid`. Without `run`, its JVM waits for [`Order::Run`].
    pub(crate) fn start(listener: UnixListener, worker: &WorkerId, uid: u32, run: Option<RunOrder>) -> Self {
        let (orders, from_worker) = mpsc::channel(ORDERS);
        let (to_worker, reports) = mpsc::channel(REPORTS);
        let protocol = Protocol::new(worker.to_string(), run);
        let server =
            Server { listener, worker: worker.clone(), uid, protocol, reports: to_worker, connection: None };
        Self { orders, reports, task: tokio::spawn(server.serve(from_worker)) }
    }

    /// Gives an order; one that finds the channel full is dropped and logged, because its JVM is past obeying.
    pub(crate) fn order(&self, worker: &WorkerId, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!(worker_id = %worker, "control channel is full, an order is dropped");
        }
    }

    /// The next report; `None` when the channel is finished. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Incoming> {
        self.reports.recv().await
    }

    /// Takes no more orders. The reports that the dead JVM has left in the socket still come, then [`Control::next`]
    /// answers `None`, within two seconds.
    pub(crate) fn finish(&mut self) {
        let (closed, _) = mpsc::channel(1);
        self.orders = closed;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Connection {
    lines: FramedRead<OwnedReadHalf, LinesCodec>,
    writer: OwnedWriteHalf,
}

struct Server {
    listener: UnixListener,
    worker: WorkerId,
    uid: u32,
    protocol: Protocol,
    reports: mpsc::Sender<Incoming>,
    connection: Option<Connection>,
}

impl Server {
    async fn serve(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.connect(stream).await,
                    Err(error) => {
                        tracing::warn!(worker_id = %self.worker, %error, "accepting a worker's connection failed");
                        tokio::time::sleep(PATIENCE).await;
                    }
                },
                line = next_line(&mut self.connection) => self.on_line(line, &mut orders).await,
                order = orders.recv() => match order {
                    Some(order) => self.on_order(order).await,
                    None => return self.drain(&mut orders).await,
                },
            }
        }
    }

    /// Greets a JVM; the former connection, if any, is given up for it.
    async fn connect(&mut self, stream: UnixStream) {
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == self.uid => {}
            Ok(peer) => {
                tracing::warn!(worker_id = %self.worker, uid = peer.uid(), "refused another user on a control socket");
                return;
            }
            Err(error) => {
                tracing::warn!(worker_id = %self.worker, %error, "refused a nameless peer on a control socket");
                return;
            }
        }
        let (reader, mut writer) = stream.into_split();
        let mut lines = FramedRead::new(reader, LinesCodec::new_with_max_length(MAX_LINE));
        let hello = match timeout(PATIENCE, lines.next()).await {
            Ok(Some(Ok(line))) => serde_json::from_str::<Hello>(&line),
            _ => return, // It has gone already, or says nothing.
        };
        let greeted = match &hello {
            Ok(hello) => self.protocol.greet(hello),
            Err(error) => {
                tracing::warn!(worker_id = %self.worker, %error, "malformed greeting on a control socket");
                return;
            }
        };
        match greeted {
            Ok(answers) => {
                let mut connection = Connection { lines, writer };
                if send(&mut connection.writer, &answers.concat()).await.is_ok() {
                    tracing::debug!(worker_id = %self.worker, "control channel connected");
                    self.connection = Some(connection);
                }
            }
            Err(refusal) => {
                tracing::warn!(worker_id = %self.worker, %refusal, "rejected a JVM on a control socket");
                // It is being sent away; whether it hears why makes no difference here.
                let _ = send(&mut writer, &refusal).await;
            }
        }
    }

    async fn on_line(&mut self, line: Option<String>, orders: &mut mpsc::Receiver<Order>) {
        let Some(line) = line else {
            self.connection = None;
            return;
        };
        let line = match parse(&line) {
            Ok(line) => line,
            Err(error) => {
                tracing::warn!(worker_id = %self.worker, %error, "malformed message on a control socket");
                self.connection = None;
                return;
            }
        };
        match self.protocol.receive(line) {
            Received::Nothing => {}
            Received::Latest(report) => {
                self.pass_on(report, orders).await;
            }
            Received::Numbered { seq, report } => {
                if self.pass_on(report, orders).await {
                    self.protocol.handled(seq);
                    self.write(&self.protocol.acknowledgement()).await;
                }
            }
            Received::Acknowledge => self.write(&self.protocol.acknowledgement()).await,
        }
    }

    /// Lets the worker's task handle a report; whether it did. Orders given meanwhile are taken, lest both wait.
    async fn pass_on(&mut self, report: Report, orders: &mut mpsc::Receiver<Order>) -> bool {
        let (handled, mut answer) = oneshot::channel();
        if self.reports.send(Incoming { report, handled }).await.is_err() {
            return false;
        }
        let mut is_open = true;
        loop {
            tokio::select! {
                answer = &mut answer => return answer.is_ok(),
                order = orders.recv(), if is_open => match order {
                    Some(order) => self.on_order(order).await,
                    None => is_open = false,
                },
            }
        }
    }

    async fn on_order(&mut self, order: Order) {
        if self.protocol.waiting() >= MAX_WAITING {
            tracing::warn!(worker_id = %self.worker, "JVM acknowledges nothing, an order is dropped");
            return;
        }
        let line = match order {
            Order::Run(run) => self.protocol.run(run),
            order => Some(self.protocol.push(order)),
        };
        if let Some(line) = line {
            self.write(&line).await;
        }
    }

    async fn write(&mut self, line: &str) {
        if let Some(connection) = &mut self.connection
            && let Err(error) = send(&mut connection.writer, line).await
        {
            tracing::debug!(worker_id = %self.worker, %error, "control channel broke");
            self.connection = None;
        }
    }

    /// Reads what a dead JVM has left: on its connection, and on one that was not accepted yet.
    async fn drain(mut self, orders: &mut mpsc::Receiver<Order>) {
        let deadline = Instant::now() + DRAIN;
        if self.connection.is_none()
            && let Ok(Ok((stream, _))) = timeout(Duration::ZERO, self.listener.accept()).await
        {
            self.connect(stream).await;
        }
        while self.connection.is_some() {
            match timeout_at(deadline, next_line(&mut self.connection)).await {
                Ok(line) => self.on_line(line, orders).await,
                Err(_) => return,
            }
        }
    }
}

/// The next line of a connection, `None` at its end; never ready without a connection. Cancel safe.
async fn next_line(connection: &mut Option<Connection>) -> Option<String> {
    match connection {
        Some(connection) => connection.lines.next().await.and_then(Result::ok),
        None => std::future::pending().await,
    }
}

async fn send(writer: &mut OwnedWriteHalf, text: &str) -> io::Result<()> {
    match timeout(PATIENCE, writer.write_all(text.as_bytes())).await {
        Ok(written) => written,
        Err(elapsed) => Err(elapsed.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt, BufReader, Lines};

    struct Jvm {
        lines: Lines<BufReader<OwnedReadHalf>>,
        writer: OwnedWriteHalf,
    }

    impl Jvm {
        async fn connect(path: &std::path::Path, last_received: u64) -> Self {
            let (reader, mut writer) = UnixStream::connect(path).await.unwrap().into_split();
            let hello = format!(
                "{{\"type\":\"hello\",\"protocol\":1,\"worker_id\":\"w1\",\"session\":\"s\",\"pid\":1,\
                 \"last_received\":{last_received}}}\n"
            );
            writer.write_all(hello.as_bytes()).await.unwrap();
            Self { lines: BufReader::new(reader).lines(), writer }
        }

        async fn say(&mut self, line: &str) {
            self.writer.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        }

        async fn hear(&mut self) -> serde_json::Value {
            serde_json::from_str(&self.lines.next_line().await.unwrap().unwrap()).unwrap()
        }
    }

    struct Setting {
        _directory: tempfile::TempDir,
        path: std::path::PathBuf,
        control: Control,
    }

    fn setting() -> Setting {
        let directory = tempfile::tempdir().unwrap();
        let listener = super::super::listen(directory.path(), None).unwrap();
        let run = RunOrder {
            kind: "spark-driver",
            args: vec!["--x".into()],
            properties: Default::default(),
            env: Default::default(),
            secret: "s".into(),
            unpack: vec![],
        };
        let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
        let control = Control::start(listener, &"w1".parse().unwrap(), uid, Some(run));
        Setting { path: directory.path().join("control.sock"), _directory: directory, control }
    }

    #[tokio::test]
    async fn a_report_is_acknowledged_once_it_was_handled() {
        let Setting { _directory, path, mut control } = setting();
        let mut jvm = Jvm::connect(&path, 0).await;
        assert_eq!(jvm.hear().await["type"], "welcome");
        let run = jvm.hear().await;
        assert_eq!((&run["type"], &run["args"][0]), (&"run".into(), &"--x".into()));
        jvm.say(r#"{"type":"ready","seq":1}"#).await;
        let incoming = control.next().await.unwrap();
        assert_eq!(incoming.report, Report::Ready);
        // An order given before the report was handled must not be held up by it.
        control.order(&"w1".parse().unwrap(), Order::Cancel { grace_ms: 5 });
        assert_eq!(jvm.hear().await["type"], "cancel");
        incoming.handled.send(()).unwrap();
        let ack = jvm.hear().await;
        assert_eq!((&ack["type"], &ack["seq"]), (&"ack".into(), &1.into()));
    }

    #[tokio::test]
    async fn a_report_that_was_not_handled_is_heard_again() {
        let Setting { _directory, path, mut control } = setting();
        let mut jvm = Jvm::connect(&path, 0).await;
        jvm.say(r#"{"type":"ready","seq":1}"#).await;
        drop(control.next().await.unwrap());
        drop(jvm);
        let mut jvm = Jvm::connect(&path, 1).await;
        assert_eq!(jvm.hear().await["last_received"], 0);
        jvm.say(r#"{"type":"ready","seq":1}"#).await;
        assert_eq!(control.next().await.unwrap().report, Report::Ready);
    }

    #[tokio::test]
    async fn the_last_words_of_a_dead_jvm_are_heard() {
        let Setting { _directory, path, mut control } = setting();
        let mut jvm = Jvm::connect(&path, 1).await;
        jvm.hear().await;
        jvm.say(r#"{"type":"finished","seq":1,"exit_code":3,"error_class":null,"error_message":null}"#).await;
        drop(jvm);
        control.finish();
        let incoming = control.next().await.unwrap();
        assert!(matches!(incoming.report, Report::Finished(told) if told.exit_code == 3));
        incoming.handled.send(()).unwrap();
        assert!(control.next().await.is_none());
    }
}
