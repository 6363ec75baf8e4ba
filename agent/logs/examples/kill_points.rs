//! Kills real shipping processes, at every request and at random moments, and sees that no byte is lost or repeated.
//!
//! ```text
//! cargo run --release -p hearth-logs --example kill_points -- [KILLS] [SEED]
//! ```
//!
//! Each worker's log is shipped by a process of its own to a bucket on loopback, is killed with SIGKILL, and the next
//! process goes on from the cursor; after some twenty kills the worker ends and everything is compared. The first
//! difference ends the run with the seed of its worker.

#![allow(clippy::print_stdout)] // It is a program for people.

#[path = "../tests/kills/mod.rs"]
mod kills;

use std::process::Stdio;
use std::time::Instant;

use kills::{Death, Place, Tally, Worker, ship};

const KILLS: usize = 1000;
const KILLS_PER_WORKER: usize = 20;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, dir, endpoint] = &arguments[..]
        && word == "ship"
    {
        return ship(&Place { dir: dir.into(), endpoint: endpoint.clone() }).await;
    }
    let number = |at: usize| arguments.get(at).map(|text| text.parse::<u64>().expect("a number"));
    let kills = number(0).map_or(KILLS, |kills| kills as usize);
    let mut seed = number(1).unwrap_or(1);
    let (mut done, mut tally, start) = (0, Tally::new(), Instant::now());
    while done < kills {
        println!("seed {seed}: {done} kills so far");
        let mut worker = Worker::new(seed).await;
        for _ in 0..KILLS_PER_WORKER.min(kills - done) {
            *tally.entry(worker.live_and_die(live).await).or_default() += 1;
            done += 1;
        }
        worker.end().await;
        seed += 1;
    }
    assert!(tally.keys().any(|place| place != kills::BETWEEN), "no kill hit a request");
    for (place, count) in tally {
        println!("{count:5}  {place}");
    }
    println!("{done} kills in {:.0} s: 0 bytes lost, 0 repeated", start.elapsed().as_secs_f64());
}

/// A life in a process of its own, killed outright.
async fn live(place: Place, death: Death) {
    let program = std::env::current_exe().expect("this program");
    let mut child = tokio::process::Command::new(program)
        .arg("ship")
        .arg(&place.dir)
        .arg(&place.endpoint)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the process starts");
    tokio::select! {
        () = death.comes() => child.kill().await.expect("killed"),
        status = child.wait() => panic!("shipping ended by itself: {status:?}"),
    }
}
