//! Seconds that are a function of their time.

use netmon::history::{Measures, Second};
use netmon::packet::Direction;
use std::sync::Arc;

/// The second of `interface` that starts at `start`.
pub fn second(interface: &str, start: u64) -> Second {
    let seed = start.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ interface.len() as u64;
    let number = |at: u32| seed.rotate_left(at * 7) & 0xf_ffff;
    let mut measures =
        Measures { seconds: 1, kernel_bytes: number(1), covered_bytes: number(1), ..Measures::default() };
    for (direction, protocol) in [(0, 0), (0, 1), (1, 0), (1, 6)] {
        let volume = &mut measures.protocols[direction][protocol];
        (volume.packets, volume.bytes) = (number(2) >> 8, number(3 + u32::from(protocol == 1)));
    }
    measures.tcp.segments = [number(5), number(6)];
    measures.flows_opened[0] = number(7) >> 12;
    measures.flows_active = number(8) >> 8;
    measures.peak = Direction::ALL.map(|direction| measures.volume(direction));
    Second { interface: Arc::from(interface), start, measures }
}
