//! How fast a log is shipped, beside `gzip -1` of the same file.
//!
//! ```text
//! cargo run --release -p hearth-logs --example throughput -- [MIB] [ROUNDS] [DIR]
//! ```
//!
//! Each round writes a log of `MIB` (512) mebibytes as Spark writes them, compresses it with `gzip -1` into nothing,
//! and then ships it through [`WorkerLogs`], archived parts, cursor and freed bytes included, into a store in memory.
//! What arrived is unpacked and compared after the clock has stopped. Medians of `ROUNDS` (5) are printed, and the
//! exit code is 1 when a bar is missed.

#![allow(clippy::print_stdout)] // It is a program for people.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use hearth_logs::{Destination, DestinationKind, LogSpec, Pace, UPLOADS_PER_HOST, WorkerLogs};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use tokio::sync::Semaphore;

const MIB: u64 = 1024 * 1024;
/// Throughput beside that of `gzip -1`, at least.
const LEAST_RATIO: f64 = 0.9;
/// Uncompressed MiB for a second of processor time, at least.
const LEAST_PER_CORE: f64 = 100.0;
/// Of the kernel's clock ticks in `/proc`, on every Linux that hearth runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What one run cost.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    /// Seconds of processor time.
    cpu: f64,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mib: u64 = arguments.next().map_or(Ok(512), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let dir = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::Builder::new().prefix("hearth-throughput-").tempdir_in(dir)?;
    let (mut gzip, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let worker = dir.path().join(round.to_string());
        fs::create_dir_all(worker.join("logs"))?;
        let log = worker.join("logs/stderr");
        let sum = write_log(&log, mib * MIB)?;
        gzip.push(compress(&log)?);
        let store = Arc::new(InMemory::new());
        ours.push(ship(&worker, store.clone()).await?);
        if shipped_sum(&store).await? != sum {
            return Err("what was shipped differs from what was written".into());
        }
        fs::remove_dir_all(&worker)?;
        let show = |cost: &Cost| format!("{:.2} s, {:.2} s of a core", cost.wall.as_secs_f64(), cost.cpu);
        println!("round {round}: gzip {}; shipped {}", show(&gzip[round - 1]), show(&ours[round - 1]));
    }
    let rate = |seconds: f64| mib as f64 / seconds;
    let wall = |costs: &[Cost]| rate(median(costs.iter().map(|cost| cost.wall.as_secs_f64())));
    let cpu = |costs: &[Cost]| rate(median(costs.iter().map(|cost| cost.cpu)));
    let (ratio, per_core) = (wall(&ours) / wall(&gzip), cpu(&ours));
    println!("gzip -1   {:6.0} MiB/s   {:6.0} MiB/s per core", wall(&gzip), cpu(&gzip));
    println!("shipping  {:6.0} MiB/s   {per_core:6.0} MiB/s per core", wall(&ours));
    println!(
        "ratio     {ratio:6.2} (≥ {LEAST_RATIO}); of processor time {:.2}; per core ≥ {LEAST_PER_CORE} MiB/s",
        per_core / cpu(&gzip)
    );
    let holds = ratio >= LEAST_RATIO && per_core >= LEAST_PER_CORE;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs `gzip -1` as a shell would, reading and writing for itself.
fn compress(log: &Path) -> Result<Cost, Box<dyn Error>> {
    let (start, before) = (Instant::now(), cpu_seconds()?.1);
    let status = Command::new("gzip").arg("-1").stdin(File::open(log)?).stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("gzip -1 ended with {status}").into());
    }
    Ok(Cost { wall: start.elapsed(), cpu: cpu_seconds()?.1 - before })
}

/// Ships the log of a worker that has just ended.
async fn ship(worker: &Path, store: Arc<InMemory>) -> Result<Cost, Box<dyn Error>> {
    let (start, before) = (Instant::now(), cpu_seconds()?.0);
    let spec = LogSpec {
        log_dir: worker.join("logs"),
        ship_file: worker.join("ship.json"),
        component: "SPARK_DRIVER".to_owned(),
        streams: vec!["stderr".to_owned()],
        event_logs: None,
        log_uri: Some(Destination::in_store(DestinationKind::LogUri, "memory://logs", "", store)),
        managed: None,
        pace: Pace::default(),
        uploads: Arc::new(Semaphore::new(UPLOADS_PER_HOST)),
    };
    let logs = WorkerLogs::start(spec).await?;
    let outcome = logs.finish(tokio::time::Instant::now() + Duration::from_secs(3600)).await;
    if !outcome.is_complete() {
        return Err(format!("shipping failed: {:?}", outcome.failures).into());
    }
    Ok(Cost { wall: start.elapsed(), cpu: cpu_seconds()?.0 - before })
}

/// Writes lines as a busy Spark driver does; answers their checksum.
fn write_log(path: &Path, bytes: u64) -> Result<u32, Box<dyn Error>> {
    let mut sum = flate2::Crc::new();
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut random, mut line, mut clock) = (Random(0x9e37_79b9_7f4a_7c15), Vec::new(), 36_000_000u64);
    while u64::from(sum.amount()) < bytes {
        line.clear();
        clock += random.below(40);
        let (hour, minute, second) = (clock / 3_600_000 % 24, clock / 60_000 % 60, clock / 1000 % 60);
        write!(line, "26/11/23 {hour:02}:{minute:02}:{second:02} ")?;
        let (task, stage, number) = (random.below(4000), random.below(60), random.below(90_000));
        let (host, port) = (random.below(250), 30_000 + random.below(30_000));
        match random.below(6) {
            0 => writeln!(
                line,
                "INFO TaskSetManager: Starting task {task}.0 in stage {stage}.0 (TID {number}) (10.0.3.{host}, executor {}, partition {task}, PROCESS_LOCAL, {port} bytes)",
                random.below(40)
            )?,
            1 => writeln!(
                line,
                "INFO TaskSetManager: Finished task {task}.0 in stage {stage}.0 (TID {number}) in {} ms on 10.0.3.{host} (executor {}) ({task}/4000)",
                random.below(9000),
                random.below(40)
            )?,
            2 => writeln!(
                line,
                "INFO BlockManagerInfo: Added broadcast_{stage}_piece0 in memory on 10.0.3.{host}:{port} (size: {}.{} KiB, free: {}.{} MiB)",
                random.below(900),
                random.below(10),
                random.below(2000),
                random.below(10)
            )?,
            3 => writeln!(
                line,
                "INFO CodeGenerator: Code generated in {}.{:06} ms",
                random.below(80),
                random.below(1_000_000)
            )?,
            4 => writeln!(
                line,
                "INFO ShuffleBlockFetcherIterator: Getting {task} ({port}.0 KiB) non-empty blocks including {stage} local and {host} remote blocks"
            )?,
            _ => writeln!(
                line,
                "DEBUG Orders: order={:016x} customer={number} amount={}.{:02} accepted",
                random.next(),
                random.below(5000),
                random.below(100)
            )?,
        }
        let left = usize::try_from(bytes - u64::from(sum.amount()))?;
        line.truncate(left);
        sum.update(&line);
        file.write_all(&line)?;
    }
    // On the disk before the clock starts, so that writing it back falls on neither.
    file.into_inner()?.sync_all()?;
    Ok(sum.sum())
}

/// The checksum of archived parts and current object, in order.
async fn shipped_sum(store: &Arc<InMemory>) -> Result<u32, Box<dyn Error>> {
    let mut keys = Vec::new();
    for index in 0.. {
        let key = format!("SPARK_DRIVER/archived/stderr_{index}.gz").into();
        if store.head(&key).await.is_err() {
            break;
        }
        keys.push(key);
    }
    keys.push("SPARK_DRIVER/stderr.gz".into());
    let (mut sum, mut buffer) = (flate2::Crc::new(), vec![0; 1 << 20]);
    for key in keys {
        let packed = store.get(&key).await?.bytes().await?;
        let mut text = GzDecoder::new(&packed[..]);
        loop {
            match text.read(&mut buffer)? {
                0 => break,
                count => sum.update(&buffer[..count]),
            }
        }
    }
    Ok(sum.sum())
}

/// Processor time of this process, and of its children that were waited for.
fn cpu_seconds() -> Result<(f64, f64), Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(") ").ok_or("no name in /proc/self/stat")?.1;
    let ticks: Vec<f64> = after_name.split(' ').skip(11).take(4).map(str::parse).collect::<Result<_, _>>()?;
    match ticks[..] {
        [user, system, of_children, system_of_children] => {
            Ok(((user + system) / TICKS_PER_SECOND, (of_children + system_of_children) / TICKS_PER_SECOND))
        }
        _ => Err("too few fields in /proc/self/stat".into()),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// An xorshift generator: the same log every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
