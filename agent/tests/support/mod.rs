//! A coordinator in the test's process and an agent as its child, over real mutual TLS.

#![allow(dead_code, reason = "no test needs all of it")]

use hearth_mtls::{
    Admission, Authority, LiveCredential, MtlsListener, PeerName, Terms, agents_server_config,
};
use hearth_proto::v1::agents_server::{Agents, AgentsServer};
use hearth_proto::v1::{self, FromAgent, ToAgent, from_agent, to_agent, worker_report};
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

const PATIENCE: Duration = Duration::from_secs(30);

/// A directory tree with everything an agent needs, and the coordinator it talks to.
pub(crate) struct World {
    pub(crate) root: tempfile::TempDir,
    pub(crate) agent_id: String,
    pub(crate) coordinator: Coordinator,
    bundle: String,
    agent: Option<Child>,
}

/// The coordinator: what agents say can be read, and orders can be sent on the stream that is open.
pub(crate) struct Coordinator {
    pub(crate) address: String,
    heard: mpsc::Receiver<FromAgent>,
    ui_answers: mpsc::Receiver<Vec<v1::UiAnswer>>,
    service: Service,
}

/// The way down to an attached agent.
type Orders = mpsc::Sender<Result<ToAgent, Status>>;

#[derive(Clone)]
struct Service {
    heard: mpsc::Sender<FromAgent>,
    stream: Arc<Mutex<Option<Orders>>>,
    bundle: Arc<Vec<u8>>,
    epoch: Arc<Mutex<u64>>,
    /// Whether heartbeats are answered.
    answers: Arc<AtomicBool>,
    /// Where the agent waits for requests to UIs.
    ui_requests: Arc<watch::Sender<Option<UiRequests>>>,
    ui_answers: mpsc::Sender<Vec<v1::UiAnswer>>,
}

type UiRequests = mpsc::Sender<Result<v1::UiRequest, Status>>;

fn credentials() -> v1::Credentials {
    let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
    let expires = in_an_hour.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    v1::Credentials {
        access_key_id: "ASIATEST".into(),
        secret_access_key: "s".into(),
        session_token: "t".into(),
        expires_at_unix_ms: i64::try_from(expires).unwrap(),
        role_arn: "arn:aws:iam::0:role/r".into(),
    }
}

#[tonic::async_trait]
impl Agents for Service {
    type AttachStream = ReceiverStream<Result<ToAgent, Status>>;
    type FetchBundleStream = ReceiverStream<Result<v1::BundleChunk, Status>>;
    type AwaitUiRequestsStream = ReceiverStream<Result<v1::UiRequest, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (orders, answers) = mpsc::channel(64);
        let welcome = v1::Welcome {
            protocol: hearth_proto::PROTOCOL,
            epoch: *self.epoch.lock().unwrap(),
            lease_ms: 30_000,
            heartbeat_ms: 200,
            service_endpoint: "127.0.0.1:1".into(),
            region: "us-east-1".into(),
            ..Default::default()
        };
        let welcome = ToAgent { message: Some(to_agent::Message::Welcome(welcome)) };
        orders.send(Ok(welcome)).await.unwrap();
        *self.stream.lock().unwrap() = Some(orders.clone());
        let (mut messages, heard) = (request.into_inner(), self.heard.clone());
        let answers_beats = self.answers.clone();
        tokio::spawn(async move {
            while let Ok(Some(message)) = messages.message().await {
                if let Some(from_agent::Message::Heartbeat(beat)) = &message.message {
                    if !answers_beats.load(Ordering::SeqCst) {
                        continue;
                    }
                    let answer = v1::HeartbeatAnswer {
                        sequence: beat.sequence,
                        sent_boottime_ns: beat.sent_boottime_ns,
                    };
                    let answer = ToAgent { message: Some(to_agent::Message::HeartbeatAnswer(answer)) };
                    if orders.send(Ok(answer)).await.is_err() {
                        return;
                    }
                } else if heard.send(message).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn renew_certificate(
        &self,
        _request: Request<v1::RenewCertificateRequest>,
    ) -> Result<Response<v1::RenewCertificateResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }

    async fn worker_credentials(
        &self,
        _request: Request<v1::WorkerCredentialsRequest>,
    ) -> Result<Response<v1::Credentials>, Status> {
        Ok(Response::new(credentials()))
    }

    async fn managed_credentials(
        &self,
        _request: Request<v1::ManagedCredentialsRequest>,
    ) -> Result<Response<v1::Credentials>, Status> {
        Ok(Response::new(credentials()))
    }

    async fn fetch_bundle(
        &self,
        _request: Request<v1::FetchBundleRequest>,
    ) -> Result<Response<Self::FetchBundleStream>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        let total_bytes = self.bundle.len() as u64;
        sender.send(Ok(v1::BundleChunk { data: self.bundle.to_vec(), total_bytes })).await.unwrap();
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn await_ui_requests(
        &self,
        _request: Request<v1::AwaitUiRequestsRequest>,
    ) -> Result<Response<Self::AwaitUiRequestsStream>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        self.ui_requests.send_replace(Some(sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn answer_ui_request(
        &self,
        request: Request<Streaming<v1::UiAnswer>>,
    ) -> Result<Response<v1::UiAnswered>, Status> {
        let parts = request.into_inner().collect::<Result<Vec<_>, _>>().await?;
        self.ui_answers.send(parts).await.unwrap();
        Ok(Response::new(v1::UiAnswered {}))
    }
}

impl Coordinator {
    async fn start(authority: &Authority, bundle: Vec<u8>) -> Self {
        let credential = authority.issue(&PeerName::Coordinator, &[], Terms::from_now()).unwrap();
        let config =
            agents_server_config(authority.certificate(), LiveCredential::new(&credential).unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let incoming = MtlsListener::new(listener, config, Admission::Agents, "test").unwrap();
        let (sender, heard) = mpsc::channel(1024);
        let (ui_answered, ui_answers) = mpsc::channel(1);
        let service = Service {
            heard: sender,
            stream: Arc::default(),
            bundle: Arc::new(bundle),
            epoch: Arc::new(Mutex::new(5)),
            answers: Arc::new(AtomicBool::new(true)),
            ui_requests: Arc::default(),
            ui_answers: ui_answered,
        };
        let server = AgentsServer::new(service.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(server).serve_with_incoming(incoming));
        Self { address, heard, ui_answers, service }
    }

    /// Answers heartbeats, or leaves them unanswered.
    pub(crate) fn answer(&self, answers: bool) {
        self.service.answers.store(answers, Ordering::SeqCst);
    }

    /// Says that it has judged what the agent reported.
    pub(crate) async fn settle(&self, current_drivers: &[&str]) {
        let current_drivers = current_drivers.iter().map(|id| (*id).to_owned()).collect();
        self.order(to_agent::Message::Settled(v1::Settled { current_drivers })).await;
    }

    /// Gives an order on the open stream.
    pub(crate) async fn order(&self, message: to_agent::Message) {
        let stream = self.service.stream.lock().unwrap().clone().expect("an agent is attached");
        stream.send(Ok(ToAgent { message: Some(message) })).await.unwrap();
    }

    /// Asks the UI of a driver of attempt 1 for a page; answers every part.
    pub(crate) async fn ask_ui(
        &mut self,
        worker: &str,
        launch: u32,
        method: &str,
        target: &str,
    ) -> Vec<v1::UiAnswer> {
        let asked = async {
            let mut waits = self.service.ui_requests.subscribe();
            let line = waits.wait_for(Option::is_some).await.unwrap().clone().unwrap();
            let request = v1::UiRequest {
                id: 7,
                worker_id: worker.into(),
                launch: Some(v1::Launch { attempt: 1, launch }),
                method: method.into(),
                target: target.into(),
                headers: vec![v1::UiHeader { name: "host".into(), value: b"job.ui.example".to_vec() }],
            };
            line.send(Ok(request)).await.unwrap();
            self.ui_answers.recv().await.unwrap()
        };
        timeout(PATIENCE, asked).await.expect("answered in time")
    }

    /// Waits for a message that `pick` accepts; others are passed over.
    pub(crate) async fn hear<T>(&mut self, mut pick: impl FnMut(from_agent::Message) -> Option<T>) -> T {
        let heard = async {
            loop {
                let message = self.heard.recv().await.expect("the service is up").message;
                if let Some(found) = message.and_then(&mut pick) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, heard).await.expect("heard in time")
    }

    /// Waits for an agent's greeting.
    pub(crate) async fn hello(&mut self) -> v1::Hello {
        self.hear(|message| match message {
            from_agent::Message::Hello(hello) => Some(hello),
            _ => None,
        })
        .await
    }

    /// Waits until a worker is reported to run.
    pub(crate) async fn running(&mut self, worker: &str) {
        self.hear(|message| match report(message, worker)? {
            worker_report::State::Running(_) => Some(()),
            worker_report::State::Ended(ended) => panic!("ended instead: {ended:?}"),
            worker_report::State::Preparing(_) => None,
        })
        .await;
    }

    /// Waits until a worker is reported to have ended.
    pub(crate) async fn ended(&mut self, worker: &str) -> v1::Ended {
        self.hear(|message| match report(message, worker)? {
            worker_report::State::Ended(ended) => Some(ended),
            worker_report::State::Preparing(_) | worker_report::State::Running(_) => None,
        })
        .await
    }
}

/// What a message says about a worker, if anything; a greeting speaks of all.
fn report(message: from_agent::Message, worker: &str) -> Option<worker_report::State> {
    let reports = match message {
        from_agent::Message::WorkerReport(report) => vec![report],
        from_agent::Message::Hello(hello) => hello.workers,
        from_agent::Message::Heartbeat(_) | from_agent::Message::DriverMessage(_) => vec![],
    };
    reports.into_iter().find(|report| report.worker_id == worker)?.state
}

pub(crate) fn forget_worker(worker: &str) -> to_agent::Message {
    to_agent::Message::ForgetWorker(v1::ForgetWorker { worker_id: worker.into() })
}

impl World {
    /// With an agent that has greeted the coordinator.
    pub(crate) async fn attached() -> Self {
        let mut world = Self::new().await;
        world.start_agent();
        world.coordinator.hello().await;
        world
    }

    /// Lays everything out and starts the coordinator; no agent yet.
    pub(crate) async fn new() -> Self {
        hearth_mtls::install_provider();
        // Not below /tmp, where a worker sees its own.
        let root = tempfile::Builder::new().prefix("hearth-a").tempdir_in("/var/tmp").unwrap();
        open_to_all(root.path());
        let authority = Authority::create("test", SystemTime::now()).unwrap();
        let agent_id = format!("test-{}", root.path().file_name().unwrap().to_string_lossy().to_lowercase());
        let name = PeerName::Agent(agent_id.parse().unwrap());
        let state = root.path().join("state");
        std::fs::create_dir(&state).unwrap();
        authority.issue(&name, &[], Terms::from_now()).unwrap().save(&state.join("identity.pem")).unwrap();
        lay_out(root.path());
        let archive = archive();
        let bundle = hex::encode(Sha256::digest(&archive));
        let coordinator = Coordinator::start(&authority, archive).await;
        std::fs::write(root.path().join("endpoint"), &coordinator.address).unwrap();
        let config = format!(
            "state_dir = \"{0}/state\"\ncoordinator_file = \"{0}/endpoint\"\n[host]\njava_homes = [\"{0}/java\"]\n\
             share_dir = \"{0}/share\"\n[capacity]\nvcpu = 64\nmemory_gib = 256\n[archives]\nquiet_seconds = 0\n[health]\nlisten = \"127.0.0.1:0\"\n",
            root.path().display()
        );
        std::fs::write(root.path().join("agent.toml"), config).unwrap();
        build_keeper();
        Self { root, agent_id, coordinator, bundle, agent: None }
    }

    /// Starts the agent; what it logs goes to the file `log`.
    pub(crate) fn start_agent(&mut self) {
        let log =
            std::fs::File::options().create(true).append(true).open(self.root.path().join("log")).unwrap();
        let agent = Command::new(env!("CARGO_BIN_EXE_hearth-agent"))
            .arg("--config")
            .arg(self.root.path().join("agent.toml"))
            .env("HEARTH_LOG", "debug,h2=warn,hyper=warn,rustls=warn,tower=warn,hyper_util=warn,tonic=warn")
            .stderr(log)
            .spawn()
            .unwrap();
        self.agent = Some(agent);
    }

    /// Kills the agent as a crash would.
    pub(crate) fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
    }

    /// Sends the agent a signal by name.
    pub(crate) fn signal_agent(&self, signal: &str) {
        let pid = self.agent.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    }

    /// Stops the agent in an orderly way.
    pub(crate) fn stop_agent(&mut self) {
        self.signal_agent("TERM");
        let mut agent = self.agent.take().unwrap();
        assert!(agent.wait().unwrap().success());
    }

    /// An order to start a driver that does what `args` say.
    pub(crate) fn driver(&self, worker: &str, launch: u32, args: &[&str]) -> v1::StartWorker {
        v1::StartWorker {
            epoch: 5,
            worker_id: worker.into(),
            launch: Some(v1::Launch { attempt: 1, launch }),
            application_id: "app".into(),
            job_run_id: "job".into(),
            kind: v1::WorkerKind::SparkDriver.into(),
            size: Some(v1::WorkerSize { cpu_millis: 1000, memory_mib: 512, disk_gib: 20 }),
            release_label: "emr-7.6.0".into(),
            bundle_sha256: self.bundle.clone(),
            java_major: 17,
            java_module_options: vec!["--add-opens=java.base/java.lang=ALL-UNNAMED".into()],
            heap_mib: 256,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            secret: "between-us".into(),
            credentials: Some(credentials()),
            logs: Some(v1::LogPlan::default()),
            ..Default::default()
        }
    }

    pub(crate) async fn start(&self, order: v1::StartWorker) {
        self.coordinator.order(to_agent::Message::StartWorker(order)).await;
    }

    pub(crate) async fn stop(&self, worker: &str, launch: u32, grace_ms: u32) {
        let launch = Some(v1::Launch { attempt: 1, launch });
        let order = v1::StopWorker { epoch: 5, worker_id: worker.into(), launch, grace_ms };
        self.coordinator.order(to_agent::Message::StopWorker(order)).await;
    }

    /// Has a worker forgotten, and waits until nothing is left of it.
    pub(crate) async fn forget(&self, worker: &str) {
        self.coordinator.order(forget_worker(worker)).await;
        let gone = async {
            while self.worker_dir(worker).exists() || !self.cgroups(worker).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("removed in time");
    }

    pub(crate) fn worker_dir(&self, worker: &str) -> PathBuf {
        self.root.path().join("state/workers").join(worker)
    }

    /// The worker's control groups.
    pub(crate) fn cgroups(&self, worker: &str) -> Vec<PathBuf> {
        let trees =
            std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
        trees
            .chain(["/sys/fs/cgroup".into()])
            .map(|tree: PathBuf| tree.join("hearth").join(&self.agent_id).join(worker))
            .filter(|group| group.exists())
            .collect()
    }

    /// Waits until the agent has logged something.
    pub(crate) async fn log_says(&self, text: &str) {
        let log = self.root.path().join("log");
        let said = async {
            while !std::fs::read_to_string(&log).unwrap_or_default().contains(text) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, said).await.expect("logged in time");
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let held = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, held).await.is_ok(), "{what}");
    }

    /// What a worker has written to standard output so far.
    pub(crate) fn stdout(&self, worker: &str) -> String {
        std::fs::read_to_string(self.worker_dir(worker).join("logs/stdout")).unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_agent();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.root.path().join("log")).unwrap_or_default();
            eprintln!("--- the agent's log:\n{log}");
        }
        // Workers that a failed test has left are ended by their groups; a passed one has left none.
        let groups =
            std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
        for tree in groups.chain(["/sys/fs/cgroup".into()]) {
            let parent = tree.join("hearth").join(&self.agent_id);
            for group in std::fs::read_dir(&parent).into_iter().flatten().flatten().map(|entry| entry.path())
            {
                let members = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                for pid in members.lines() {
                    let _ = Command::new("kill").args(["-9", pid]).status();
                }
                let _ = std::fs::remove_dir(&group);
            }
            let _ = std::fs::remove_dir(&parent);
        }
    }
}

/// A stand-in for the JVM parts and for a JDK.
fn lay_out(root: &Path) {
    let jvm = root.join("share/jvm");
    std::fs::create_dir_all(jvm.join("examples")).unwrap();
    for name in ["hearth-launcher.jar", "hearth-spark.jar", "examples/spark-examples.jar"] {
        std::fs::write(jvm.join(name), "").unwrap();
    }
    let java = root.join("java/bin/java");
    std::fs::create_dir_all(java.parent().unwrap()).unwrap();
    std::fs::write(root.join("java/release"), "JAVA_VERSION=\"17.0.1\"\n").unwrap();
    std::fs::write(&java, include_str!("fake_java.py")).unwrap();
    open_to_all(&java);
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A release bundle without an engine.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in [
        ("spark/jars/engine.jar", ""),
        ("python/numpy/__init__.py", ""),
        ("bundle.json", "{\"python\":\"3.11\"}"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    zstd::encode_all(builder.into_inner().unwrap().as_slice(), 1).unwrap()
}

/// The agent starts the keeper that lies beside it.
fn build_keeper() {
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let built = Command::new(cargo).args(["build", "--quiet", "-p", "hearth-keeper"]).status();
        assert!(built.unwrap().success(), "hearth-keeper does not build");
    });
}
