//! What segments say about the health of a connection.

use super::*;

/// An open connection; the server's next byte is `SERVER + 1`, the client's `CLIENT + 1`.
fn open() -> Play {
    Play::new().handshake()
}

fn data(sequence: u32) -> TcpSegment {
    ack(sequence, CLIENT + 1)
}

/// The client's acknowledgement of the server's bytes.
fn acknowledge(acknowledgement: u32) -> TcpSegment {
    ack(CLIENT + 1, acknowledgement)
}

#[test]
fn both_handshake_round_trips_are_measured() {
    let play = Play::new().client(syn(CLIENT), 0).wait(39).server(syn_ack(SERVER, CLIENT + 1), 0);
    let log = play.wait(9).client(ack(CLIENT + 1, SERVER + 1), 0).finish();
    assert_eq!(log.handshake_rtt, [(Side::Server, 40 * MILLISECOND), (Side::Client, 10 * MILLISECOND)]);
}

#[test]
fn a_repeated_syn_hides_the_round_trip_to_the_server_only() {
    let play = Play::new().client(syn(CLIENT), 0).wait(1000).client(syn(CLIENT), 0);
    let log = play.server(syn_ack(SERVER, CLIENT + 1), 0).client(ack(CLIENT + 1, SERVER + 1), 0).finish();
    assert_eq!((log.handshake_rtt, log.retransmitted), (vec![(Side::Client, MILLISECOND)], vec![0]));
}

#[test]
fn a_repeated_answer_hides_the_round_trip_to_the_client_only() {
    let answer = syn_ack(SERVER, CLIENT + 1);
    let play = Play::new().client(syn(CLIENT), 0).server(answer, 0).wait(1000).server(answer, 0);
    let log = play.client(ack(CLIENT + 1, SERVER + 1), 0).finish();
    assert_eq!((log.handshake_rtt, log.retransmitted), (vec![(Side::Server, MILLISECOND)], vec![0]));
}

#[test]
fn an_answer_repeated_after_the_handshake_is_a_retransmission() {
    let log = open().server(syn_ack(SERVER, CLIENT + 1), 0).finish();
    assert_eq!((log.retransmitted, log.established), (vec![0], 1));
}

#[test]
fn bytes_seen_before_are_retransmitted_and_only_those_count() {
    let play = open().server(data(SERVER + 1), 1000).wait(300).server(data(SERVER + 1), 1000);
    let log = play.server(data(SERVER + 501), 1000).finish();
    assert_eq!(log.retransmitted, [1000, 500]);
    assert_eq!(log.out_of_order, 0);
}

#[test]
fn a_gap_filled_within_the_limit_is_out_of_order() {
    let log = open().server(data(SERVER + 1001), 1000).server(data(SERVER + 1), 1000).finish();
    assert_eq!((log.out_of_order, log.retransmitted.len()), (1, 0));
}

#[test]
fn a_gap_filled_after_the_limit_is_a_retransmission() {
    let log = open().server(data(SERVER + 1001), 1000).wait(3).server(data(SERVER + 1), 1000).finish();
    assert_eq!((log.out_of_order, log.retransmitted), (0, vec![1000]));
}

#[test]
fn a_gap_is_filled_once() {
    let play = open().server(data(SERVER + 1001), 1000).server(data(SERVER + 1), 1000).server(data(SERVER + 1), 1000);
    assert_eq!((play.log.out_of_order, play.finish().retransmitted), (1, vec![1000]));
}

#[test]
fn a_gap_may_be_filled_in_pieces_from_either_end() {
    for order in [[1, 501], [501, 1]] {
        let play = open().server(data(SERVER + 1001), 1000);
        let log = order.into_iter().fold(play, |play, offset| play.server(data(SERVER + offset), 500)).finish();
        assert_eq!((log.out_of_order, log.retransmitted.len()), (2, 0), "{order:?}");
    }
}

#[test]
fn a_fin_before_the_data_it_follows_still_closes() {
    let play = open().server(fin(SERVER + 1001, CLIENT + 1), 0).server(data(SERVER + 1), 1000);
    let play = play.client(fin(CLIENT + 1, SERVER + 1002), 0).server(ack(SERVER + 1002, CLIENT + 2), 0);
    assert_eq!(play.state(), State::Closed);
    assert_eq!((play.log.out_of_order, play.log.retransmitted.len()), (1, 0));
}

#[test]
fn a_keep_alive_is_no_retransmission() {
    // RFC 9293 section 3.8.4: the byte before the next one, with or without that byte.
    for payload in [0, 1] {
        let play = open().server(data(SERVER + 1), 100).client(acknowledge(SERVER + 101), 0);
        let play = play.wait(60_000).server(data(SERVER + 100), payload).client(acknowledge(SERVER + 101), 0);
        assert!(play.finish().is_healthy(), "{payload}");
    }
}

#[test]
fn a_single_byte_sent_again_before_it_was_acknowledged_is_a_retransmission() {
    let log = open().server(data(SERVER + 1), 1).wait(300).server(data(SERVER + 1), 1).finish();
    assert_eq!(log.retransmitted, [1]);
}

#[test]
fn window_probes_are_no_retransmissions_and_the_window_closes_once() {
    let closed = TcpSegment { window: 0, ..acknowledge(SERVER + 101) };
    let play = open().server(data(SERVER + 1), 100).client(closed, 0);
    let play = play.server(data(SERVER + 101), 1).client(closed, 0).server(data(SERVER + 101), 1).client(closed, 0);
    let log = play.client(acknowledge(SERVER + 101), 0).client(closed, 0).finish();
    assert_eq!((log.zero_windows, log.retransmitted.len()), (2, 0));
}

#[test]
fn an_overtaken_acknowledgement_says_nothing_of_the_window() {
    let play = open().server(data(SERVER + 1), 200).client(acknowledge(SERVER + 201), 0);
    let late = TcpSegment { window: 0, ..acknowledge(SERVER + 101) };
    assert!(play.client(late, 0).finish().is_healthy());
}

#[test]
fn a_pure_acknowledgement_repeated_while_data_is_outstanding_is_a_duplicate() {
    let play = open().server(data(SERVER + 1), 100).client(acknowledge(SERVER + 101), 0);
    let play = play.server(data(SERVER + 201), 100).client(acknowledge(SERVER + 101), 0);
    assert_eq!(play.client(acknowledge(SERVER + 101), 0).finish().duplicate_acks, 2);
}

#[test]
fn repeated_acknowledgements_with_nothing_outstanding_data_or_a_new_window_are_not_duplicates() {
    let play = open().server(data(SERVER + 1), 100).client(acknowledge(SERVER + 101), 0);
    assert!(play.client(acknowledge(SERVER + 101), 0).finish().is_healthy());
    let play = open().server(data(SERVER + 1), 100).client(acknowledge(SERVER + 1), 50);
    let update = TcpSegment { window: 600, ..ack(CLIENT + 51, SERVER + 1) };
    assert!(play.client(update, 0).finish().is_healthy());
}

#[test]
fn sequence_numbers_wrap_around() {
    let (client, server) = (u32::MAX - 10, u32::MAX - 1500);
    let play = Play::new().client(syn(client), 0).server(syn_ack(server, client.wrapping_add(1)), 0);
    let first = server.wrapping_add(1);
    let mut play = play.client(ack(client.wrapping_add(1), first), 0);
    for n in 0..4 {
        let sequence = first.wrapping_add(1000 * n);
        play = play.server(ack(sequence, client.wrapping_add(1)), 1000);
        play = play.client(ack(client.wrapping_add(1), sequence.wrapping_add(1000)), 0);
    }
    assert!(play.log.is_healthy());
    let play = play.server(ack(first.wrapping_add(3000), client.wrapping_add(1)), 1000);
    assert_eq!(play.log.retransmitted, [1000]);
    let end = first.wrapping_add(4000);
    let play = play.server(fin(end, client.wrapping_add(1)), 0);
    let play = play.client(fin(client.wrapping_add(1), end.wrapping_add(1)), 0);
    assert_eq!(play.server(ack(end.wrapping_add(1), client.wrapping_add(2)), 0).state(), State::Closed);
}

#[test]
fn four_gigabytes_and_more_pass_without_trouble() {
    let mut play = open();
    let step = 1 << 28;
    for n in 0..40u32 {
        let sequence = (SERVER + 1).wrapping_add(n.wrapping_mul(step));
        play = play.server(data(sequence), step).client(acknowledge(sequence.wrapping_add(step)), 0);
    }
    assert!(play.log.is_healthy());
    assert_eq!(play.record().stats.bytes_s2c, 40 * u64::from(step) + 41 * 54);
}

#[test]
fn super_segments_are_one_segment() {
    let play = open().server(data(SERVER + 1), 65_160).server(data(SERVER + 65_161), 65_160);
    let play = play.client(acknowledge(SERVER + 130_321), 0).server(data(SERVER + 65_161), 1448);
    assert_eq!(play.finish().retransmitted, [1448]);
}

#[test]
fn continuous_round_trips_follow_the_rule_of_karn() {
    let play = Play::with(Config { continuous_rtt: true, ..Config::default() }).handshake();
    let play = play.server(data(SERVER + 1), 100).wait(9).client(acknowledge(SERVER + 101), 0);
    assert_eq!(play.log.rtt, [10 * MILLISECOND]);
    let play = play.server(data(SERVER + 101), 100).wait(300).server(data(SERVER + 101), 100);
    assert_eq!(play.client(acknowledge(SERVER + 201), 0).log.rtt.len(), 1);
}

#[test]
fn an_acknowledgement_of_a_part_is_no_round_trip_yet() {
    let play = Play::with(Config { continuous_rtt: true, ..Config::default() }).handshake();
    let play = play.server(data(SERVER + 1), 100).client(acknowledge(SERVER + 51), 0);
    assert!(play.log.rtt.is_empty());
    assert_eq!(play.client(acknowledge(SERVER + 101), 0).log.rtt, [2 * MILLISECOND]);
}

#[test]
fn a_window_scale_on_one_side_scales_nothing() {
    // RFC 7323 section 2.2: both SYNs must carry it. The window bounds how far away a SYN must be to be a new one.
    let answer = TcpSegment { window_scale: None, window: u16::MAX, ..syn_ack(SERVER, CLIENT + 1) };
    let play = Play::new().client(syn(CLIENT), 0).server(answer, 0).client(ack(CLIENT + 1, SERVER + 1), 0).wait(2000);
    assert_eq!(play.client(syn(CLIENT.wrapping_sub(1 << 22)), 0).log.opened, 2);
}
