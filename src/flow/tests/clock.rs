//! Packet time: timeouts, silence, steps, and the end of counting.

use super::*;
use crate::time::Step;
use std::time::Duration;

const HOUR: u64 = 3_600_000;
const YEAR: u64 = 8766 * HOUR;

fn datagram() -> ParsedPacket {
    packet(17, (1, 5), (2, 6))
}

#[test]
fn a_flow_ends_at_the_first_boundary_at_which_it_was_silent_for_its_timeout() {
    // Seen at 1 ms, 50 ms and 100 ms of the same tick; the one-way timeout is 30 s.
    for seen in [1, 50, 100] {
        let (mut tracker, mut log) = (tracker(Config::default()), Log::default());
        tracker.observe(tick(seen), &[ParsedPacket { timestamp: at(seen), ..datagram() }], &mut log);
        tracker.advance(tick(30_100), &mut log);
        assert_eq!(log.closed.len(), 0);
        tracker.advance(tick(30_101), &mut log);
        assert_eq!(log.ends(), [EndReason::Idle]);
    }
}

#[test]
fn a_packet_in_the_tick_after_the_deadline_opens_a_new_record() {
    let (mut tracker, mut log) = (tracker(Config::default()), Log::default());
    tracker.observe(tick(1), &[datagram()], &mut log);
    tracker.observe(tick(30_100), &[datagram()], &mut log);
    assert_eq!(log.opened, 1);
    tracker.observe(tick(60_101), &[datagram()], &mut log);
    assert_eq!((log.opened, log.closed[0].stats.packets_c2s), (2, 2));
}

#[test]
fn the_active_timeout_cuts_a_busy_flow() {
    let mut config = Config::default();
    config.timeouts.active = Some(Duration::from_secs(60));
    let (mut tracker, mut log) = (tracker(config), Log::default());
    for seconds in 0..=60 {
        tracker.observe(tick(seconds * 1000), &[datagram()], &mut log);
    }
    assert_eq!(log.closed.len(), 0);
    tracker.observe(tick(60_001), &[datagram()], &mut log);
    assert_eq!((log.ends(), tracker.len()), (vec![EndReason::ActiveTimeout], 1));
}

#[test]
fn a_shorter_timeout_takes_effect_with_the_state() {
    let play = Play::new().handshake().server(rst(SERVER + 1), 0);
    let seen = play.now;
    let play = play.wait(9_999 - seen);
    assert_eq!(play.log.closed.len(), 0);
    assert_eq!(play.wait(200).log.ends(), [EndReason::Rst]);
}

#[test]
fn a_step_of_the_clock_ends_no_flow_and_shifts_its_timer() {
    for to in [YEAR, 0, 200 * YEAR] {
        let (mut tracker, mut log) = (tracker(Config::default()), Log::default());
        let from = 10 * YEAR;
        tracker.observe(tick(from), &[datagram()], &mut log);
        tracker.advance(tick(from + 20_000), &mut log);
        tracker.step(Step { from: at(from + 20_000), to: at(to) });
        tracker.advance(tick(to + 10_000), &mut log);
        assert_eq!(log.closed.len(), 0);
        tracker.advance(tick(to + 10_100), &mut log);
        assert_eq!(log.ends(), [EndReason::Idle]);
    }
}

#[test]
fn years_of_silence_end_everything_at_once() {
    let (mut tracker, mut log) = (tracker(Config::default()), Log::default());
    tracker.observe(tick(1), &[datagram()], &mut log);
    tracker.advance(tick(5 * YEAR), &mut log);
    assert_eq!((log.closed.len(), tracker.next_due()), (1, None));
    tracker.observe(tick(5 * YEAR), &[datagram()], &mut log);
    tracker.advance(tick(5 * YEAR + 30_100), &mut log);
    assert_eq!(log.closed.len(), 2);
}

#[test]
fn thirteen_years_of_ticks_are_counted_and_longer_ones_do_no_harm() {
    let (mut tracker, mut log) = (tracker(Config::default()), Log::default());
    for year in 0..=13 {
        tracker.observe(tick(year * YEAR), &[datagram()], &mut log);
        tracker.advance(tick(year * YEAR + HOUR), &mut log);
    }
    assert_eq!(log.closed.len(), 14);
    for year in [14, 20, 250] {
        tracker.observe(tick(year * YEAR), &[datagram()], &mut log);
    }
    tracker.advance(Tick(u64::MAX), &mut log);
    tracker.advance(Tick(0), &mut log);
    tracker.shutdown(&mut log);
    assert_eq!(log.opened, log.closed.len());
}

#[test]
fn the_greatest_timeouts_do_not_overflow() {
    let mut config = Config::default();
    config.timeouts.udp_one_way = Duration::MAX;
    config.timeouts.active = Some(Duration::MAX);
    let (mut tracker, mut log) = (tracker(config), Log::default());
    tracker.observe(tick(1), &[datagram()], &mut log);
    tracker.advance(tick(YEAR / 2), &mut log);
    tracker.step(Step { from: at(YEAR / 2), to: Timestamp::MAX });
    tracker.observe(Tick::of(Timestamp::MAX), &[datagram()], &mut log);
    assert_eq!((tracker.len(), log.opened), (1, 1));
}

#[test]
fn a_late_record_moves_the_first_time_and_not_the_last() {
    let (mut tracker, mut log) = (tracker(Config::default()), Log::default());
    let packets = [500, 400, 450].map(|time| ParsedPacket { timestamp: at(time), ..datagram() });
    tracker.observe(tick(500), &packets, &mut log);
    let stats = tracker.records().next().unwrap().stats;
    assert_eq!((stats.first_seen, stats.last_seen), (at(400), at(500)));
}

#[test]
fn ids_tell_apart_records_of_the_same_key() {
    let (mut tracker, mut log) = (tracker(Config::default()), Log::default());
    for time in [1, 100_000] {
        tracker.observe(tick(time), &[ParsedPacket { timestamp: at(time), ..datagram() }], &mut log);
    }
    tracker.shutdown(&mut log);
    assert_ne!(log.closed[0].id(), log.closed[1].id());
}
