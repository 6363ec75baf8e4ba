//! Numbers, acknowledgements and repetition of one worker's control channel, without the socket.

use super::message::{Hello, Line, Order, PROTOCOL, Report, RunOrder};
use serde::Serialize;
use std::collections::VecDeque;

/// The state that outlives a connection.
#[derive(Debug)]
pub(super) struct Protocol {
    worker_id: String,
    /// `None` for as long as the coordinator has not said what the worker is to run.
    run: Option<RunOrder>,
    session: Option<String>,
    /// The highest number received in this session.
    last_received: u64,
    /// Orders not yet acknowledged, in order.
    unacknowledged: VecDeque<Numbered>,
    last_numbered: u64,
}

#[derive(Debug, Serialize)]
struct Numbered {
    #[serde(flatten)]
    order: Order,
    seq: u64,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Answer<'a> {
    Welcome { protocol: u32, last_received: u64 },
    Reject { reason: &'a str },
    Ack { seq: u64 },
}

/// What a line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    /// Nothing more.
    Nothing,
    /// To be handled.
    Latest(Report),
    /// To be handled, then acknowledged by [`Protocol::acknowledge`].
    Numbered { seq: u64, report: Report },
    /// To be acknowledged only: seen before, or of a kind unknown here.
    Acknowledge,
}

impl Protocol {
    /// `run` is what a JVM that has received nothing yet is told first; see [`Protocol::run`] where it follows later.
    pub(super) fn new(worker_id: String, run: Option<RunOrder>) -> Self {
        Self {
            worker_id,
            run,
            session: None,
            last_received: 0,
            unacknowledged: VecDeque::new(),
            last_numbered: 0,
        }
    }

    /// Answers a greeting with the lines to send: the welcome and everything not yet received.
    ///
    /// # Errors
    /// The line that refuses the JVM, after which the connection is closed.
    pub(super) fn greet(&mut self, hello: &Hello) -> Result<Vec<String>, String> {
        let refusal = if hello.protocol != PROTOCOL {
            Some("the agent speaks another version of the control protocol")
        } else if hello.worker_id != self.worker_id {
            Some("the agent has another worker here")
        } else {
            None
        };
        if let Some(reason) = refusal {
            return Err(line(&Answer::Reject { reason }));
        }
        if self.session.as_ref() == Some(&hello.session) {
            self.acknowledged(hello.last_received);
        } else {
            self.begin_session(hello);
        }
        if let Some(run) = &self.run
            && hello.last_received == 0
            && !self.unacknowledged.iter().any(|one| matches!(one.order, Order::Run(_)))
        {
            self.unacknowledged.push_front(Numbered { order: Order::Run(run.clone()), seq: 0 });
            self.number_from(1);
        }
        let welcome = line(&Answer::Welcome { protocol: PROTOCOL, last_received: self.last_received });
        Ok([welcome].into_iter().chain(self.unacknowledged.iter().map(line)).collect())
    }

    /// Takes up a session that this agent does not know: a new JVM, or one that a former agent spoke with.
    fn begin_session(&mut self, hello: &Hello) {
        self.session = Some(hello.session.clone());
        self.last_received = 0;
        self.number_from(hello.last_received + 1);
    }

    fn number_from(&mut self, first: u64) {
        self.last_numbered = first - 1;
        for one in &mut self.unacknowledged {
            self.last_numbered += 1;
            one.seq = self.last_numbered;
        }
    }

    /// Says what the worker is to run, once; answers the line to be sent if there is a connection. A JVM that has not
    /// connected yet is told when it does.
    pub(super) fn run(&mut self, run: RunOrder) -> Option<String> {
        if self.run.is_some() {
            return None;
        }
        self.run = Some(run.clone());
        self.session.is_some().then(|| self.push(Order::Run(run)))
    }

    /// Adds an order; answers its line, to be sent if there is a connection.
    pub(super) fn push(&mut self, order: Order) -> String {
        self.last_numbered += 1;
        let numbered = Numbered { order, seq: self.last_numbered };
        let text = line(&numbered);
        self.unacknowledged.push_back(numbered);
        text
    }

    /// How many orders wait for their acknowledgement.
    pub(super) fn waiting(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Takes in a line.
    pub(super) fn receive(&mut self, line: Line) -> Received {
        match line {
            Line::Ack { seq } => {
                self.acknowledged(seq);
                Received::Nothing
            }
            Line::Latest(report) => Received::Latest(report),
            Line::Numbered { seq, .. } if seq <= self.last_received => Received::Acknowledge,
            Line::Numbered { seq, report: Some(report) } => Received::Numbered { seq, report },
            Line::Numbered { seq, report: None } => {
                self.last_received = seq;
                Received::Acknowledge
            }
        }
    }

    /// Marks a report as handled.
    pub(super) fn handled(&mut self, seq: u64) {
        self.last_received = self.last_received.max(seq);
    }

    /// The line that acknowledges everything handled.
    pub(super) fn acknowledgement(&self) -> String {
        line(&Answer::Ack { seq: self.last_received })
    }

    fn acknowledged(&mut self, seq: u64) {
        while self.unacknowledged.front().is_some_and(|one| one.seq <= seq) {
            self.unacknowledged.pop_front();
        }
    }
}

fn line(message: &impl Serialize) -> String {
    let mut text = serde_json::to_string(message).expect("messages have string keys");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::message::parse;

    fn run() -> RunOrder {
        RunOrder {
            kind: "spark-driver",
            args: vec![],
            properties: Default::default(),
            env: Default::default(),
            secret: "s".into(),
            unpack: vec![],
        }
    }

    fn protocol() -> Protocol {
        Protocol::new("w1".into(), Some(run()))
    }

    fn hello(session: &str, last_received: u64) -> Hello {
        Hello { protocol: 1, worker_id: "w1".into(), session: session.into(), last_received }
    }

    /// Types and numbers of lines.
    fn summary(lines: &[String]) -> Vec<(String, u64)> {
        let read = |line: &String| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            (value["type"].as_str().unwrap().to_owned(), value["seq"].as_u64().unwrap_or(0))
        };
        lines.iter().map(read).collect()
    }

    fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
        expected.iter().map(|(kind, seq)| ((*kind).to_owned(), *seq)).collect()
    }

    fn cancel() -> Order {
        Order::Cancel { grace_ms: 1 }
    }

    fn ready(seq: u64) -> Line {
        parse(&format!("{{\"type\":\"ready\",\"seq\":{seq}}}")).unwrap()
    }

    #[test]
    fn a_jvm_that_has_received_nothing_is_told_to_run_first() {
        let mut protocol = protocol();
        protocol.push(cancel());
        let lines = protocol.greet(&hello("s", 0)).unwrap();
        assert_eq!(summary(&lines), pairs(&[("welcome", 0), ("run", 1), ("cancel", 2)]));
        let lines = protocol.greet(&hello("s", 0)).unwrap();
        assert_eq!(summary(&lines), pairs(&[("welcome", 0), ("run", 1), ("cancel", 2)]));
        let lines = protocol.greet(&hello("s", 1)).unwrap();
        assert_eq!(summary(&lines), pairs(&[("welcome", 0), ("cancel", 2)]));
    }

    #[test]
    fn a_waiting_jvm_is_told_to_run_once_whenever_the_order_comes() {
        let mut early = Protocol::new("w1".into(), None);
        assert_eq!(early.run(run()), None);
        let lines = early.greet(&hello("s", 0)).unwrap();
        assert_eq!(summary(&lines), pairs(&[("welcome", 0), ("run", 1)]));
        assert_eq!(early.run(run()), None);

        let mut late = Protocol::new("w1".into(), None);
        assert_eq!(summary(&late.greet(&hello("s", 0)).unwrap()), pairs(&[("welcome", 0)]));
        assert_eq!(summary(&[late.run(run()).unwrap()]), pairs(&[("run", 1)]));
        assert_eq!(late.run(run()), None);
        // The connection broke before the JVM had it, and then again after.
        assert_eq!(summary(&late.greet(&hello("s", 0)).unwrap()), pairs(&[("welcome", 0), ("run", 1)]));
        assert_eq!(summary(&late.greet(&hello("s", 1)).unwrap()), pairs(&[("welcome", 0)]));
    }

    #[test]
    fn a_restarted_agent_goes_on_after_what_the_jvm_has() {
        let mut protocol = protocol();
        let lines = protocol.greet(&hello("s", 7)).unwrap();
        assert_eq!(summary(&lines), pairs(&[("welcome", 0)]));
        assert_eq!(summary(&[protocol.push(cancel())]), pairs(&[("cancel", 8)]));
        // The JVM numbers on from what the former agent acknowledged.
        assert!(matches!(protocol.receive(ready(5)), Received::Numbered { seq: 5, .. }));
    }

    #[test]
    fn orders_given_before_a_restarted_agent_is_greeted_are_numbered_on() {
        let mut protocol = protocol();
        protocol.push(cancel());
        let lines = protocol.greet(&hello("s", 7)).unwrap();
        assert_eq!(summary(&lines), pairs(&[("welcome", 0), ("cancel", 8)]));
    }

    #[test]
    fn what_is_acknowledged_is_not_repeated_and_what_was_handled_not_handled_again() {
        let mut protocol = protocol();
        protocol.greet(&hello("s", 0)).unwrap();
        protocol.receive(parse(r#"{"type":"ack","seq":1}"#).unwrap());
        assert_eq!(protocol.waiting(), 0);
        assert_eq!(protocol.receive(ready(1)), Received::Numbered { seq: 1, report: Report::Ready });
        // Not handled yet, so it would have to come again.
        assert_eq!(summary(&protocol.greet(&hello("s", 1)).unwrap()).len(), 1);
        protocol.handled(1);
        assert_eq!(protocol.receive(ready(1)), Received::Acknowledge);
        assert!(protocol.acknowledgement().contains("\"seq\":1"));
    }

    #[test]
    fn a_wrong_protocol_or_worker_is_rejected() {
        let mut protocol = protocol();
        assert!(protocol.greet(&Hello { protocol: 2, ..hello("s", 0) }).unwrap_err().contains("reject"));
        assert!(protocol.greet(&Hello { worker_id: "w2".into(), ..hello("s", 0) }).is_err());
    }
}
