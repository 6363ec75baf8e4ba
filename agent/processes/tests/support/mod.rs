//! A state directory, workers' control groups and the real keeper, for tests on this host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use hearth_cgroups::{Cgroups, Hierarchy, Limits, Share, WorkerGroup};
use hearth_processes::{
    Access, End, Exit, Identity, KeeperHandle, KeeperProgram, LaunchPlan, Mount, Spawned, View, WorkerDir,
    WorkerDirs, host,
};

/// User ids of these tests, far from any that a host uses.
pub(crate) const FIRST_UID: u32 = 1_900_000_000;

/// The keeper of this build, built once.
pub(crate) fn keeper() -> KeeperProgram {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let path = BUILT.get_or_init(|| {
        if let Some(given) = std::env::var_os("HEARTH_KEEPER") {
            return given.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--quiet", "-p", "hearth-keeper"]).status();
        assert!(built.expect("cargo runs").success(), "hearth-keeper does not build");
        let test = std::env::current_exe().expect("a path");
        test.parent().and_then(Path::parent).expect("target/debug/deps").join("hearth-keeper")
    });
    KeeperProgram::new(path)
}

/// Whether workers can be confined here; prints why not.
pub(crate) fn can_confine() -> bool {
    let can = host::can_mount() && host::can_change_user();
    if !can {
        eprintln!("skipped: only root can mount and change users");
    }
    can
}

/// An agent's state of one test, removed at its end.
pub(crate) struct Agent {
    pub(crate) state: tempfile::TempDir,
    pub(crate) dirs: WorkerDirs,
    pub(crate) cgroups: Cgroups,
}

/// A worker about to be started.
pub(crate) struct Worker {
    pub(crate) dir: WorkerDir,
    pub(crate) group: WorkerGroup,
    pub(crate) plan: LaunchPlan,
}

impl Agent {
    pub(crate) fn new(test: &str) -> Self {
        Self::in_hierarchy(test, Hierarchy::detect())
    }

    pub(crate) fn in_hierarchy(test: &str, hierarchy: Hierarchy) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let dirs = WorkerDirs::open(state.path()).expect("opened");
        let name = format!("test-{test}-{}", std::process::id());
        let cgroups = Cgroups::prepare_in(hierarchy, &name, None).expect("prepared");
        Self { state, dirs, cgroups }
    }

    /// A confined worker that runs a shell script.
    pub(crate) fn confined(&self, worker_id: &str, offset: u32, script: &str) -> Worker {
        let identity = Identity { uid: FIRST_UID + offset, gid: FIRST_UID + offset };
        let dir = self.dirs.prepare(worker_id, Some(identity)).expect("made");
        let limits =
            Limits { cpu_millis: 1000, memory_bytes: 64 << 20, pids: 32, share: Share::Proportional };
        let group = self.cgroups.create(worker_id, &limits).expect("created");
        let release = self.state.path().join("bundle");
        fs::create_dir_all(release.join("jars")).expect("made");
        let bind =
            |source: PathBuf, target: &str, access| Mount::Bind { source, target: target.into(), access };
        let mounts = vec![
            bind(release.clone(), "/usr/lib/spark", Access::ReadOnly),
            bind(release, "/usr/lib/hearth", Access::ReadOnly),
            bind(dir.work(), "/home/hadoop", Access::ReadWrite),
            bind(dir.logs(), "/var/log/hearth", Access::ReadWrite),
            bind(dir.run(), "/run/hearth", Access::ReadWrite),
            bind(dir.tmp(), "/tmp", Access::ReadWrite),
            bind(dir.passwd(), "/etc/passwd", Access::ReadOnly),
            bind(dir.group(), "/etc/group", Access::ReadOnly),
            Mount::Tmpfs { target: "/dev/shm".into(), size_bytes: 1 << 20 },
        ];
        let view = View { hide: vec![self.state.path().to_owned()], mounts };
        let plan = LaunchPlan {
            cwd: "/home/hadoop".into(),
            identity: Some(identity),
            view: Some(view),
            cgroup_procs: group.procs_files(),
            kill_cgroups: group.kill_directories(),
            freeze_cgroup: group.freeze_directory(),
            oom_score_adj: Some(500),
            nofile: Some(1000),
            ..shell(&dir, script)
        };
        Worker { dir, group, plan }
    }

    /// A worker without any confinement, as of an agent of an ordinary user.
    pub(crate) fn plain(&self, worker_id: &str, script: &str) -> Worker {
        let dir = self.dirs.prepare(worker_id, None).expect("made");
        let limits =
            Limits { cpu_millis: 1000, memory_bytes: 64 << 20, pids: 32, share: Share::Proportional };
        let group = self.cgroups.create(worker_id, &limits).expect("created");
        let plan = shell(&dir, script);
        Worker { dir, group, plan }
    }
}

fn shell(dir: &WorkerDir, script: &str) -> LaunchPlan {
    LaunchPlan {
        exec: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into()), ("GREETING".into(), "hello, world".into())],
        cwd: dir.work(),
        stdout: dir.stdout(),
        stderr: dir.stderr(),
        ..LaunchPlan::default()
    }
}

impl Worker {
    pub(crate) async fn spawn(&self) -> Spawned {
        keeper().spawn(self.dir.path(), &self.plan).await.expect("a keeper")
    }

    /// Starts the worker, which has to live until it is told otherwise.
    pub(crate) async fn run(&self) -> KeeperHandle {
        match self.spawn().await {
            Spawned::Running(handle) => handle,
            Spawned::Ended(exit) => panic!("ended already: {exit:?}"),
        }
    }

    /// Runs the worker to its end.
    pub(crate) async fn finish(&self) -> Exit {
        match self.spawn().await {
            Spawned::Running(handle) => handle.wait().await.expect("an outcome"),
            Spawned::Ended(exit) => exit,
        }
    }

    /// Runs a script to a good end and gives what it printed.
    pub(crate) async fn output(&self) -> String {
        let exit = self.finish().await;
        let errors = fs::read_to_string(self.dir.stderr()).unwrap_or_default();
        assert_eq!(exit.end, End::Exited(0), "{exit:?} {errors}");
        fs::read_to_string(self.dir.stdout()).expect("read")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        for worker in self.cgroups.list() {
            let group = self.cgroups.open(&worker).expect("a good name").expect("listed");
            group.kill().expect("killed");
            group.remove().expect("removed");
        }
        self.cgroups.remove().expect("parent removed");
    }
}
