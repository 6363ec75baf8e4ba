//! The world knows the latest client tokens, and a copy of it does not change with it.

use hearth_coordinator_core::command::{Change, ClientToken};
use hearth_coordinator_core::tokens::TOKENS_IN_MIND;
use hearth_coordinator_core::world::World;

fn token(number: usize) -> ClientToken {
    ClientToken { scope: "scope".to_owned(), token: number.to_string(), digest: String::new() }
}

fn used(number: usize) -> Change {
    Change::Token { token: token(number), resource: number.to_string() }
}

#[test]
fn the_oldest_token_makes_room_and_a_repeated_one_takes_none() {
    let mut world = World::default();
    (0..TOKENS_IN_MIND).for_each(|number| world.apply(&used(number)));
    world.apply(&used(1));
    assert!(world.token(&token(0)).is_some(), "there was room for all");
    let copy = world.clone();
    world.apply(&used(TOKENS_IN_MIND));
    assert!(world.token(&token(0)).is_none());
    assert!((1..=TOKENS_IN_MIND).all(|number| world.token(&token(number)).is_some()));
    assert!(copy.token(&token(0)).is_some(), "the copy is of an earlier moment");
    assert_ne!(copy, world);
}
