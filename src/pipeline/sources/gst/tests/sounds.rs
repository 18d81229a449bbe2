//! Pieces of sound become blocks, and whoever is last says so.

use std::time::Duration;

use super::super::sound::{Gather, Piece};
use crate::codec::Samples;

#[test]
fn pieces_become_blocks_and_the_last_says_that_it_is() {
    let at = Duration::from_millis;
    let piece = |rate, n: usize| Piece::new(rate, 2, Samples::I16(vec![1; 2 * n]));
    let mut gather = Gather::new(100);
    let shape = |b: super::super::sound::Block| (b.frame.unwrap().extent[0], b.at, b.end);
    for i in 0..10 {
        assert!(gather.put(piece(1000, 10), at(10 * i)).is_none());
    }
    assert_eq!(gather.put(piece(1000, 10), at(100)).map(shape), Some((100, at(0), false)));
    // Another rate is another sound.
    assert_eq!(gather.put(piece(2000, 150), at(110)).map(shape), Some((10, at(100), true)));
    assert_eq!(gather.put(piece(1000, 10), at(185)).map(shape), Some((150, at(110), true)));
    let floats = Piece::new(1000, 2, Samples::F32(vec![0.0; 20]));
    assert_eq!(gather.put(floats, at(195)).map(shape), Some((10, at(185), true)));
    assert_eq!(gather.end().map(shape), Some((10, at(195), true)));
    assert!(gather.end().is_none());
}
