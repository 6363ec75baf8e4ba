//! Requests to drivers' own UIs, passed on by a real agent to a small HTTP server inside of a worker.

#![allow(clippy::unwrap_used)]

mod support;

use hearth_proto::v1::{UiAnswer, driver_message, from_agent, ui_answer};
use std::net::TcpListener;
use support::World;

/// A world with a driver that has said where its UI is: its own, or the port given.
async fn with_ui(args: &[&str]) -> World {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, args)).await;
    let (mut runs, mut has_ui) = (false, false);
    world
        .coordinator
        .hear(|message| {
            match message {
                from_agent::Message::DriverMessage(message) => {
                    has_ui |= matches!(message.message.unwrap(), driver_message::Message::RegisterApp(_));
                }
                from_agent::Message::WorkerReport(report) => {
                    runs |= format!("{report:?}").contains("Running")
                }
                from_agent::Message::Hello(_) | from_agent::Message::Heartbeat(_) => {}
            }
            (runs && has_ui).then_some(())
        })
        .await;
    world
}

/// Status and body of a whole answer.
fn page(parts: &[UiAnswer]) -> (u32, String) {
    let Some(ui_answer::Part::Head(head)) = &parts[0].part else { panic!("no head: {:?}", parts[0]) };
    assert!(head.headers.iter().all(|header| header.name != "connection"), "{head:?}");
    let body = parts[1..].iter().flat_map(|part| match part.part.as_ref().unwrap() {
        ui_answer::Part::Body(bytes) => bytes.clone(),
        other => panic!("no body: {other:?}"),
    });
    (head.status, String::from_utf8(body.collect()).unwrap())
}

fn failure(parts: &[UiAnswer]) -> &str {
    match &parts.last().unwrap().part {
        Some(ui_answer::Part::Failure(reason)) => reason,
        other => panic!("no failure: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drivers_own_ui_is_read_through_its_agent_while_it_runs() {
    let mut world = with_ui(&["ui"]).await;
    let coordinator = &mut world.coordinator;
    let read = coordinator.ask_ui("w1", 1, "GET", "/jobs/?id=1").await;
    assert_eq!(page(&read), (200, "/jobs/?id=1 at job.ui.example".to_owned()));
    assert!(read.iter().all(|part| part.id == 7));
    let big = coordinator.ask_ui("w1", 1, "GET", "/big").await;
    assert!(big.len() > 10, "it comes in parts: {}", big.len());
    assert_eq!(page(&big), (200, "x".repeat(1_000_000)));
    assert_eq!(page(&coordinator.ask_ui("w1", 1, "HEAD", "/").await), (200, String::new()));
    let broken = coordinator.ask_ui("w1", 1, "GET", "/broken").await;
    assert!(failure(&broken).contains("broke off") && broken.len() > 1, "{broken:?}");

    // Nobody else's, and nothing but reading.
    for (worker, launch, method, reason) in [
        ("w2", 1, "GET", "serves no UI"),
        ("w1", 2, "GET", "serves no UI"),
        ("../w1", 1, "GET", "serves no UI"),
        ("w1", 1, "POST", "only GET and HEAD"),
    ] {
        let refused = coordinator.ask_ui(worker, launch, method, "/").await;
        assert!(failure(&refused).contains(reason), "{worker} {launch} {method}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_not_its_workers_is_not_read() {
    let ours = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = ours.local_addr().unwrap().port();
    let mut world = with_ui(&["ui", &port.to_string()]).await;
    if world.stdout("w1").contains(&format!("uid {} ", nix::unistd::geteuid())) {
        return; // Here all workers share this test's user.
    }
    let refused = world.coordinator.ask_ui("w1", 1, "GET", "/").await;
    assert!(failure(&refused).contains("somebody else"), "{refused:?}");
    drop(ours);
    let refused = world.coordinator.ask_ui("w1", 1, "GET", "/").await;
    assert!(failure(&refused).contains("connecting"), "{refused:?}");
}
