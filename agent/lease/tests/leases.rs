//! Whatever agent and coordinator do, a worker runs only while its lease holds.

use hearth_lease::{Act, AtEnd, Contact, Deadlines, Lease, Leash};
use proptest::prelude::*;
use std::time::Duration;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn lease() -> impl Strategy<Value = Lease> {
    let at_end = prop_oneof![Just(AtEnd::Freeze), Just(AtEnd::Kill)];
    (600..700_000_u64, at_end).prop_map(|(length, at_end)| Lease { length: ms(length), at_end })
}

/// What may happen to an agent's contact; times are pauses before it.
#[derive(Debug, Clone, Copy)]
enum Event {
    Welcome,
    Settle,
    /// A heartbeat sent so long ago is answered.
    Answer(u64),
    /// An extension of this length is heard that was said so long ago.
    Extend(u64, u64),
    /// The agent is started again and knows what the file says.
    Restart,
}

fn history() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let event = prop_oneof![
        2 => Just(Event::Welcome),
        2 => Just(Event::Settle),
        6 => (0..2_000_u64).prop_map(Event::Answer),
        1 => (0..300_000_u64, 0..900_000_u64).prop_map(|(length, ago)| Event::Extend(length, ago)),
        1 => Just(Event::Restart),
    ];
    proptest::collection::vec((0..60_000_u64, event), 1..60)
}

proptest! {
    #[test]
    fn the_file_says_what_was_written(freeze_at in 0..=i64::MAX as u64, kill_at in 0..=i64::MAX as u64) {
        let deadlines =
            Deadlines { freeze_at: Duration::from_nanos(freeze_at), kill_at: Duration::from_nanos(kill_at) };
        prop_assert_eq!(Deadlines::parse(&deadlines.to_text()), Some(deadlines));
        prop_assert_eq!(deadlines.to_text().len(), hearth_lease::TEXT_LENGTH);
    }

    #[test]
    fn everything_is_over_before_the_lease_is(lease in lease(), from in 0..u64::from(u32::MAX)) {
        let deadlines = lease.deadlines(ms(from));
        prop_assert!(ms(from) < deadlines.first());
        prop_assert!(deadlines.kill_at + lease.length / 6 <= ms(from) + lease.length);
        prop_assert!(deadlines.kill_at - ms(from) > lease.length * 2 / 3);
        match lease.at_end {
            AtEnd::Freeze => prop_assert!(deadlines.freeze_at < deadlines.kill_at),
            AtEnd::Kill => prop_assert_eq!(deadlines.freeze_at, hearth_lease::NEVER),
        }
    }

    #[test]
    fn deadlines_never_outlast_what_the_coordinator_granted(lease in lease(), history in history()) {
        let (mut now, mut contact, mut file) = (ms(1_000_000), None::<Contact>, None::<Deadlines>);
        // What a coordinator has to assume: an ordinary lease from each greeting and each answer, and the extension
        // until the next welcome.
        let (mut ordinary, mut extended, mut is_settled) = (Duration::ZERO, Duration::ZERO, false);
        // Nothing that is heard was said before what was heard before.
        let mut heard = Duration::ZERO;
        for (pause, event) in history {
            now += ms(pause);
            let latest = |granted: Duration| granted.max(now + lease.length);
            match event {
                Event::Welcome => {
                    contact = Some(Contact::new(now));
                    (ordinary, extended, is_settled) = (latest(ordinary), Duration::ZERO, false);
                    heard = now;
                }
                Event::Settle => {
                    is_settled = contact.is_some();
                    contact.iter_mut().for_each(Contact::settle);
                }
                Event::Answer(ago) => {
                    let sent = now - ms(ago);
                    heard = heard.max(sent);
                    contact.iter_mut().for_each(|contact| contact.answer(sent));
                    if is_settled {
                        ordinary = ordinary.max(sent + lease.length);
                    }
                }
                Event::Extend(length, ago) => {
                    if let Some(contact) = &mut contact {
                        contact.extend(ms(length));
                        extended = extended.max(heard.max(now - ms(ago)) + ms(length));
                    }
                }
                Event::Restart => (contact, is_settled) = (None, false),
            }
            if let Some(contact) = contact {
                let deadlines = contact.deadlines(lease, file);
                prop_assert_eq!(contact.deadlines(lease, Some(deadlines)), deadlines, "asking twice");
                let is_moved_on = file.is_some_and(|file| deadlines.kill_at > file.kill_at);
                prop_assert!(!is_moved_on || is_settled || matches!(event, Event::Extend(..)), "{event:?}");
                file = Some(deadlines);
            }
            if let Some(file) = file {
                prop_assert!(file.kill_at <= ordinary.max(extended), "{event:?}: {file:?}");
            }
        }
    }

    #[test]
    fn a_worker_that_runs_has_a_lease(
        lease in lease(),
        renewals in proptest::collection::vec((0..800_000_u64, 0..60_u64), 0..8),
    ) {
        // Renewals come at moments of their own; a keeper looks when it said it would, and when it is nudged.
        let mut deadlines = lease.deadlines(Duration::ZERO);
        let (mut now, mut leash, mut runs, mut rests_at) = (Duration::ZERO, Leash::Free, true, None);
        let mut renewals = renewals.into_iter().scan(0, |at, (pause, rest)| {
            *at += pause;
            Some((ms(*at), ms(rest)))
        });
        let mut renewal = renewals.next();
        let mut time_to_rest = ms(10);
        for _ in 0..10_000 {
            let look = leash.look(now, deadlines, || rests_at.is_some_and(|at| now >= at));
            match look.act {
                Act::Wait => {}
                Act::Freeze => {
                    runs = false;
                    rests_at = rests_at.or(Some(now + time_to_rest));
                }
                Act::Thaw => (runs, rests_at) = (true, None),
                Act::Kill => {
                    prop_assert_eq!(lease.at_end, AtEnd::Kill, "what comes to rest is not killed");
                    prop_assert!(now >= deadlines.kill_at);
                    return Ok(());
                }
            }
            prop_assert_eq!(runs, now < deadlines.first(), "{:?} at {:?}", leash, now);
            let due = renewal.map(|(at, _)| at);
            match (look.again_at, due) {
                (Some(again), due) if due.is_none_or(|due| again < due) => {
                    prop_assert!(again > now, "no busy waiting");
                    now = again;
                }
                (_, Some(due)) => {
                    now = due;
                    time_to_rest = renewal.map_or(time_to_rest, |(_, rest)| rest);
                    deadlines = lease.deadlines(now);
                    renewal = renewals.next();
                }
                (_, None) => {
                    prop_assert_eq!(leash, Leash::Frozen);
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "it never comes to an end");
    }
}

#[test]
fn what_does_not_come_to_rest_is_killed_and_stays_doomed() {
    let lease = Lease { length: ms(30_000), at_end: AtEnd::Freeze };
    let deadlines = lease.deadlines(Duration::ZERO);
    let mut leash = Leash::Free;
    assert_eq!(leash.look(ms(20_000), deadlines, || false).act, Act::Freeze);
    assert_eq!(leash.look(ms(24_999), deadlines, || false).act, Act::Freeze);
    assert_eq!(leash.look(ms(25_000), deadlines, || false).act, Act::Kill);
    assert_eq!(leash.look(ms(25_001), lease.deadlines(ms(25_000)), || true).act, Act::Kill);
}

#[test]
fn a_keeper_that_comes_late_freezes_first() {
    let deadlines = Lease { length: ms(30_000), at_end: AtEnd::Freeze }.deadlines(Duration::ZERO);
    let mut leash = Leash::Free;
    let hours = ms(10_000_000);
    assert_eq!(leash.look(hours, deadlines, || false).act, Act::Freeze);
    assert_eq!(leash.look(hours + ms(20), deadlines, || true).act, Act::Wait);
    assert_eq!(leash, Leash::Frozen);

    let mut leash = Leash::Free;
    leash.look(hours, deadlines, || false);
    assert_eq!(leash.look(hours + ms(999), deadlines, || false).act, Act::Freeze);
    assert_eq!(leash.look(hours + ms(1000), deadlines, || false).act, Act::Kill);
}
