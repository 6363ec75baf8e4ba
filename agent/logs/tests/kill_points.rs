//! No byte of a log is lost or repeated, wherever shipping is cut off. `examples/kill_points.rs` does it a thousand
//! times to real processes.

mod kills;

use kills::{Death, Place, Tally, Worker, ship};

const SEED: u64 = 20_261_123;
const WORKERS: u64 = 2;
const KILLS_PER_WORKER: usize = 10;

/// A life as long as its runtime: dropping that ends every task where it waits, and lets the file operation that is
/// under way finish, as a system call does when its process is killed.
async fn live(place: Place, death: Death) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.spawn(async move { ship(&place).await });
    death.comes().await;
    tokio::task::spawn_blocking(move || drop(runtime)).await.expect("the runtime ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_is_lost_or_repeated_wherever_shipping_is_cut_off() {
    let mut tally = Tally::new();
    for seed in SEED..SEED + WORKERS {
        let mut worker = Worker::new(seed).await;
        for _ in 0..KILLS_PER_WORKER {
            *tally.entry(worker.live_and_die(live).await).or_default() += 1;
        }
        worker.end().await;
    }
    assert!(tally.keys().any(|place| place != kills::BETWEEN), "no kill hit a request: {tally:?}");
}
