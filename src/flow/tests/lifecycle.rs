//! The life of a TCP connection.

use super::*;

#[test]
fn a_handshake_opens_and_two_acknowledged_fins_close() {
    let play = Play::new().handshake().client(ack(CLIENT + 1, SERVER + 1), 10);
    assert_eq!(play.state(), State::Open);
    let play = play.server(ack(SERVER + 1, CLIENT + 11), 20).client(fin(CLIENT + 11, SERVER + 21), 0);
    assert_eq!(play.state(), State::Closing);
    let play = play.server(fin(SERVER + 21, CLIENT + 12), 0);
    assert_eq!(play.state(), State::Closing);
    let play = play.client(ack(CLIENT + 12, SERVER + 22), 0);
    assert_eq!(play.state(), State::Closed);
    let log = play.wait(10_200).finish();
    assert_eq!((log.opened, log.established, log.ends()), (1, 1, vec![EndReason::Fin]));
    assert!(log.is_healthy() && log.failed.is_empty() && log.resets.is_empty());
    let record = log.closed[0];
    assert_eq!(record.initiator(), (Address::v4([10, 0, 0, 2]), 40_000));
    assert_eq!((record.stats.packets_c2s, record.stats.packets_s2c), (5, 3));
    assert_eq!((record.stats.bytes_c2s, record.stats.bytes_s2c), (5 * 54 + 10, 3 * 54 + 20));
}

#[test]
fn a_half_closed_connection_still_carries_data_and_stays_closing() {
    let play = Play::new().handshake().client(fin(CLIENT + 1, SERVER + 1), 0).server(ack(SERVER + 1, CLIENT + 2), 0);
    let play = play.server(ack(SERVER + 1, CLIENT + 2), 1000).client(ack(CLIENT + 2, SERVER + 1001), 0);
    assert_eq!(play.state(), State::Closing);
    let play = play.server(fin(SERVER + 1001, CLIENT + 2), 0).client(ack(CLIENT + 2, SERVER + 1002), 0);
    assert_eq!(play.state(), State::Closed);
    assert!(play.finish().is_healthy());
}

#[test]
fn a_simultaneous_close_closes() {
    let play = Play::new().handshake().client(fin(CLIENT + 1, SERVER + 1), 0).server(fin(SERVER + 1, CLIENT + 1), 0);
    let play = play.client(ack(CLIENT + 2, SERVER + 2), 0);
    assert_eq!(play.state(), State::Closing);
    assert_eq!(play.server(ack(SERVER + 2, CLIENT + 2), 0).state(), State::Closed);
}

#[test]
fn a_simultaneous_open_establishes_without_a_round_trip() {
    // RFC 9293 figure 8.
    let play = Play::new().client(syn(CLIENT), 0).server(syn(SERVER), 0);
    let play = play.client(syn_ack(CLIENT, SERVER + 1), 0).server(syn_ack(SERVER, CLIENT + 1), 0);
    assert_eq!(play.state(), State::Opening);
    let play = play.server(ack(SERVER + 1, CLIENT + 1), 10);
    assert_eq!(play.state(), State::Open);
    let log = play.client(ack(CLIENT + 1, SERVER + 11), 0).finish();
    assert_eq!((log.established, log.handshake_rtt.len(), log.closed.len()), (1, 0, 1));
    assert!(log.is_healthy());
}

#[test]
fn fins_whose_last_acknowledgement_was_missed_end_as_fin_when_idle() {
    let play = Play::new().handshake().client(fin(CLIENT + 1, SERVER + 1), 0).server(fin(SERVER + 1, CLIENT + 2), 0);
    assert_eq!(play.wait(31_000).finish().ends(), [EndReason::Fin]);
}

#[test]
fn a_repeated_fin_is_a_retransmission_of_no_bytes() {
    let fin = fin(CLIENT + 1, SERVER + 1);
    let play = Play::new().handshake().client(fin, 0).wait(300).client(fin, 0);
    assert_eq!(play.state(), State::Closing);
    assert_eq!(play.finish().retransmitted, [0]);
}

#[test]
fn a_rejected_syn_fails_and_ends_as_rejected() {
    let reset = segment(flag::RST | flag::ACK, 0, CLIENT + 1);
    let log = Play::new().client(syn(CLIENT), 0).server(reset, 0).finish();
    assert_eq!((log.failed.as_slice(), log.ends()), (&[Failure::Rejected][..], vec![EndReason::Rejected]));
    assert_eq!((log.resets, log.established), (vec![Phase::Handshake], 0));
}

#[test]
fn a_reset_that_does_not_acknowledge_the_syn_rejects_nothing() {
    let reset = segment(flag::RST | flag::ACK, 0, CLIENT + 77);
    let play = Play::new().client(syn(CLIENT), 0).server(reset, 0);
    assert_eq!(play.state(), State::Opening);
    assert!(play.log.failed.is_empty() && play.log.resets.is_empty());
}

#[test]
fn a_syn_that_nothing_answers_fails_as_unanswered_after_the_opening_timeout() {
    let play = Play::new().client(syn(CLIENT), 0).wait(29_999);
    assert!(play.log.failed.is_empty());
    let log = play.wait(201).finish();
    assert_eq!((log.failed.as_slice(), log.ends()), (&[Failure::Unanswered][..], vec![EndReason::Unanswered]));
}

#[test]
fn a_handshake_that_stops_after_the_answer_ends_idle() {
    let play = Play::new().client(syn(CLIENT), 0).server(syn_ack(SERVER, CLIENT + 1), 0);
    let log = play.wait(30_200).finish();
    assert_eq!((log.failed.len(), log.ends()), (0, vec![EndReason::Idle]));
}

#[test]
fn a_reset_by_the_initiator_after_the_answer_fails_in_the_handshake() {
    // What a half-open scan does.
    let play = Play::new().client(syn(CLIENT), 0).server(syn_ack(SERVER, CLIENT + 1), 0).client(rst(CLIENT + 1), 0);
    let log = play.finish();
    assert_eq!((log.failed, log.resets), (vec![Failure::ResetInHandshake], vec![Phase::Handshake]));
}

#[test]
fn resets_are_told_apart_by_phase() {
    let open = Play::new().handshake().server(rst(SERVER + 1), 0);
    assert_eq!(open.state(), State::Closed);
    let log = open.finish();
    assert_eq!(
        (log.resets, log.failed, log.closed[0].end_reason),
        (vec![Phase::Established], vec![], Some(EndReason::Rst))
    );
    let closing = Play::new().handshake().client(fin(CLIENT + 1, SERVER + 1), 0).server(rst(SERVER + 1), 0);
    assert_eq!(closing.finish().resets, [Phase::Closing]);
}

#[test]
fn a_reset_counts_once_however_often_it_is_sent() {
    let play = Play::new().handshake().server(rst(SERVER + 1), 0).server(rst(SERVER + 1), 0).client(rst(CLIENT + 1), 0);
    assert_eq!(play.finish().resets, [Phase::Established]);
}

#[test]
fn a_reset_outside_what_is_in_flight_is_ignored() {
    for forged in [SERVER, SERVER + 2, SERVER.wrapping_add(1 << 20), SERVER.wrapping_sub(1 << 31)] {
        let play = Play::new().handshake().server(rst(forged), 0);
        assert_eq!(play.state(), State::Open, "{forged}");
        assert!(play.log.resets.is_empty());
    }
}

#[test]
fn a_reset_between_acknowledged_and_sent_is_accepted() {
    // Data in flight: the receiver may expect any byte from 1 to 501.
    for sequence in [SERVER + 1, SERVER + 250, SERVER + 501] {
        let play = Play::new().handshake().server(ack(SERVER + 1, CLIENT + 1), 500).server(rst(sequence), 0);
        assert_eq!(play.state(), State::Closed, "{sequence}");
    }
}

#[test]
fn a_record_that_begins_with_a_reset_is_closed() {
    let log = Play::new().server(rst(SERVER), 0).wait(10_200).finish();
    assert_eq!((log.ends(), log.resets), (vec![EndReason::Rst], vec![Phase::Established]));
}

#[test]
fn a_syn_ack_seen_first_names_the_other_end_as_initiator() {
    let play = Play::new().server(syn_ack(SERVER, CLIENT + 1), 0).client(ack(CLIENT + 1, SERVER + 1), 0);
    assert_eq!(play.record().initiator(), (Address::v4([10, 0, 0, 2]), 40_000));
    assert_eq!(play.state(), State::Open);
    let log = play.finish();
    assert_eq!((log.established, log.handshake_rtt), (1, vec![(Side::Client, MILLISECOND)]));
}

#[test]
fn a_capture_that_begins_in_mid_connection_is_open_without_being_established() {
    let play = Play::new().server(ack(SERVER, CLIENT), 100).client(ack(CLIENT, SERVER + 100), 0);
    assert_eq!(play.state(), State::Open);
    let log = play.finish();
    assert_eq!((log.established, log.failed.len(), log.ends()), (0, 0, vec![EndReason::Shutdown]));
}

#[test]
fn a_syn_after_the_rest_of_an_older_connection_opens_a_new_record() {
    let play = Play::new().client(ack(500_000, 77), 0).client(syn(CLIENT), 0);
    let play = play.server(syn_ack(SERVER, CLIENT + 1), 0).client(ack(CLIENT + 1, SERVER + 1), 100);
    assert_eq!(play.state(), State::Open);
    assert_eq!(play.record().stats.packets_c2s, 2);
    assert_eq!((play.log.established, play.log.opened), (1, 2));
    assert!(play.log.is_healthy());
}

#[test]
fn a_syn_overtaken_by_its_own_data_joins_it() {
    let play = Play::new().client(ack(CLIENT + 1, SERVER + 1), 100).client(syn(CLIENT), 0);
    assert_eq!(play.log.opened, 1);
}

#[test]
fn a_forged_syn_does_not_split_a_busy_connection() {
    let play = Play::new().handshake().client(syn(CLIENT.wrapping_add(1 << 29)), 0);
    assert_eq!((play.log.opened, play.state()), (1, State::Open));
}

#[test]
fn a_syn_far_away_after_silence_opens_a_new_record() {
    let play = Play::new().handshake().wait(5000).client(syn(CLIENT.wrapping_add(1 << 29)), 0);
    assert_eq!((play.log.opened, play.log.ends(), play.state()), (2, vec![EndReason::Idle], State::Opening));
}

/// A connection closed by FINs in both directions, 100 bytes sent by the client.
fn closed() -> Play {
    let play = Play::new().handshake().client(ack(CLIENT + 1, SERVER + 1), 100);
    let play = play.client(fin(CLIENT + 101, SERVER + 1), 0).server(fin(SERVER + 1, CLIENT + 102), 0);
    play.client(ack(CLIENT + 102, SERVER + 2), 0)
}

#[test]
fn a_syn_with_a_new_sequence_on_a_closed_flow_opens_a_new_record() {
    for sequence in [CLIENT + 103, CLIENT + 64_000, CLIENT.wrapping_sub(1 << 20), CLIENT + (1 << 31)] {
        let play = closed().client(syn(sequence), 0);
        assert_eq!((play.log.opened, play.log.ends()), (2, vec![EndReason::Fin]), "{sequence}");
        assert_eq!(play.state(), State::Opening);
    }
}

#[test]
fn the_old_syn_again_joins_the_closed_record() {
    assert_eq!(closed().client(syn(CLIENT), 0).log.opened, 1);
}

#[test]
fn stray_segments_join_the_closed_record_without_counting_as_trouble() {
    let play = closed();
    let packets = play.record().stats.packets_s2c;
    let play = play.server(fin(SERVER + 1, CLIENT + 102), 0).server(ack(SERVER + 2, CLIENT + 102), 0);
    assert_eq!((play.log.opened, play.state()), (1, State::Closed));
    assert_eq!(play.record().stats.packets_s2c, packets + 2);
    assert!(play.finish().is_healthy());
}

#[test]
fn a_refused_client_may_try_again_at_once() {
    let reset = segment(flag::RST | flag::ACK, 0, CLIENT + 1);
    let play = Play::new().client(syn(CLIENT), 0).server(reset, 0).client(syn(CLIENT), 0).server(reset, 0);
    assert_eq!((play.log.opened, play.log.failed.len()), (2, 2));
}

#[test]
fn the_client_alone_shows_an_open_connection() {
    let play = Play::new().client(syn(CLIENT), 0).client(ack(CLIENT + 1, SERVER + 1), 0);
    assert_eq!(play.state(), State::Open);
    let log = play.client(ack(CLIENT + 1, SERVER + 1), 100).client(fin(CLIENT + 101, SERVER + 1), 0).finish();
    assert!(log.is_healthy() && log.handshake_rtt.is_empty());
    assert!(log.closed[0].is_one_sided());
}

#[test]
fn the_server_alone_shows_an_open_connection() {
    let play = Play::new().server(syn_ack(SERVER, CLIENT + 1), 0).server(ack(SERVER + 1, CLIENT + 1), 100);
    assert_eq!(play.state(), State::Open);
    let upload = Play::new().server(syn_ack(SERVER, CLIENT + 1), 0).server(ack(SERVER + 1, CLIENT + 500), 0);
    assert_eq!(upload.state(), State::Open);
    assert!(upload.finish().is_healthy() && play.finish().is_healthy());
}

#[test]
fn a_repeated_answer_leaves_the_connection_opening() {
    let play = Play::new().client(syn(CLIENT), 0).server(syn_ack(SERVER, CLIENT + 1), 0);
    let play = play.server(syn_ack(SERVER, CLIENT + 1), 0).server(ack(SERVER + 1, CLIENT + 1), 0);
    assert_eq!(play.state(), State::Opening);
}

#[test]
fn a_lost_answer_does_not_keep_the_connection_opening() {
    let play = Play::new().client(syn(CLIENT), 0).server(ack(SERVER + 1, CLIENT + 1), 50);
    assert_eq!((play.state(), play.log.established), (State::Open, 1));
    assert!(play.log.handshake_rtt.is_empty());
}

#[test]
fn data_in_the_syn_is_followed_whether_or_not_it_is_acknowledged() {
    // RFC 7413: the answer acknowledges the SYN alone, or its data too.
    for acknowledged in [CLIENT + 1, CLIENT + 101] {
        let play = Play::new().client(syn(CLIENT), 100).server(syn_ack(SERVER, acknowledged), 0);
        let play = play.client(ack(CLIENT + 101, SERVER + 1), 0);
        assert_eq!(play.state(), State::Open);
        assert!(play.finish().is_healthy());
    }
}
