//! Giving up privileges, seen from outside: what the kernel says of every thread, what is refused, what still works.
//!
//! Needs root; without, a line says that a test is skipped. Giving up is for good and only for a process with one
//! thread, so a test runs this program again (the tests marked ignored are what runs there), and that forks.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod again;
mod alone;
mod probes;
mod status;
mod still;

use again::{Again, NOBODY, Scene, can_run, setcap};
use alone::alone;
use caps::{CapSet, Capability};
use netmon::capture::{Config as Capture, PcapAdapter};
use netmon::metrics::LAYERS;
use netmon::packet::InterfaceId;
use netmon::privilege::{
    Config, Confinement, Layer, Needs, PrivilegeError, Sandbox, State, UserName, confine, identity, raise_net_raw,
};

/// CAP_NET_RAW in a set as the kernel prints it.
const NET_RAW: &str = "0000000000002000";
const NONE: &str = "0000000000000000";

/// As nobody by number, whatever users there are here.
fn config(sandbox: Sandbox) -> Config {
    Config { user: Some(UserName::Ids { uid: NOBODY, gid: None }), sandbox, keep_net_raw: false }
}

fn give_up(config: &Config, needs: &Needs) -> Confinement {
    let confinement = confine(&identity(config).unwrap(), config, needs).unwrap();
    println!("{confinement}");
    confinement
}

#[test]
fn every_thread_started_as_root_ends_up_with_nothing() {
    if can_run() {
        let threads = Again::new("inside_threads").threads();
        status::assert_confined(&threads, NONE, 2);
        assert!(threads.iter().all(|thread| thread.field("CapBnd") == NONE), "{threads:?}");
        assert!(threads.iter().all(|thread| thread.field("Groups").is_empty()), "{threads:?}");
    }
}

#[test]
fn every_thread_started_with_file_capabilities_ends_up_with_nothing() {
    let Some(program) = can_run().then(|| setcap("cap_net_raw+ep")).flatten() else { return };
    let threads = Again::new("inside_threads").program(&program).by_nobody().threads();
    // Emptying the bounding set takes CAP_SETPCAP, which was not among them.
    status::assert_confined(&threads, NONE, 2);
}

#[test]
fn with_the_sandbox_off_privileges_go_all_the_same() {
    if can_run() {
        let threads = Again::new("inside_threads").variant("off").threads();
        status::assert_confined(&threads, NONE, 0);
    }
}

#[test]
fn only_net_raw_is_kept_and_it_opens_interfaces_again() {
    if can_run() {
        let threads = Again::new("inside_threads").variant("keep").threads();
        status::assert_confined(&threads, NET_RAW, 2);
        assert!(threads.iter().all(|thread| thread.field("CapBnd") == NONE), "{threads:?}");
    }
}

#[test]
#[ignore = "run again by the tests above"]
fn inside_threads() {
    let Some(variant) = again::variant() else { return };
    alone(|| {
        let sandbox = if variant == "off" { Sandbox::Off } else { Sandbox::Auto };
        let config = Config { keep_net_raw: variant == "keep", ..config(sandbox) };
        if nix::unistd::geteuid().is_root() {
            nix::unistd::setgroups(&[0, 4].map(nix::unistd::Gid::from_raw)).unwrap();
        }
        let metrics = still::exporter();
        let adapter = PcapAdapter::open("lo", InterfaceId(0), &Capture::default()).unwrap();
        let confinement = give_up(&config, &Needs::for_watching());
        assert!(confinement.dropped && confinement.is_active(Layer::Capabilities));
        let again = PcapAdapter::open("lo", InterfaceId(1), &Capture::default());
        assert_eq!(again.is_ok(), config.keep_net_raw, "{:?}", again.err());
        let _runtime = still::threads();
        still::process_metrics(&metrics, &confinement);
        drop(adapter);
        again::ready_until_told();
    });
}

#[test]
fn all_forbidden_actions_are_refused_and_no_listener_sees_a_connection() {
    if !can_run() {
        return;
    }
    let scene = Scene::new();
    let output = Again::new("inside_probes").variant(&scene.text()).run();
    if again::is_incomplete(&output) {
        return;
    }
    let outcomes = probes::outcomes(&output);
    let allowed: Vec<_> = outcomes.iter().filter(|(_, outcome)| !probes::is_refusal(outcome)).collect();
    assert!(allowed.is_empty(), "not refused: {allowed:?}");
    assert_eq!(outcomes.len(), probes::ALL.len());
    assert!(outcomes.len() >= 60, "{}", outcomes.len());
    assert_eq!(scene.connections(), 0);
}

#[test]
fn what_the_sandbox_refuses_is_allowed_without_it() {
    if !can_run() {
        return;
    }
    let scene = Scene::new();
    let output = Again::new("inside_probes").variant(&format!("off {}", scene.text())).run();
    let outcomes = probes::outcomes(&output);
    let refused: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome != probes::ALLOWED).collect();
    assert!(refused.is_empty(), "a probe that does not probe: {refused:?}");
    assert!(outcomes.len() >= 30, "{}", outcomes.len());
    assert!(scene.connections() >= 3, "over TCP, by fast open, and to the abstract socket");
}

#[test]
#[ignore = "run again by the tests above"]
fn inside_probes() {
    let Some(variant) = again::variant() else { return };
    alone(|| {
        let (sandbox, scene) = match variant.strip_prefix("off ") {
            Some(scene) => (Sandbox::Off, scene),
            None => (Sandbox::Auto, &*variant),
        };
        let place = probes::Place::new(scene);
        give_up(&config(sandbox), &place.needs());
        let probes = probes::ALL.iter().filter(|probe| sandbox != Sandbox::Off || probe.ordinary);
        probes.for_each(|probe| println!("probe {}: {}", probe.name, probe.outcome(&place)));
    });
}

#[test]
fn a_system_call_of_another_architecture_kills_the_process() {
    if can_run() && cfg!(target_arch = "x86_64") {
        let output = Again::new("inside_other_architecture").run();
        assert!(again::is_incomplete(&output) || output.contains("killed by SIGSYS"), "{output}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
#[ignore = "run again by the test above"]
fn inside_other_architecture() {
    if again::variant().is_none() {
        return;
    }
    let end = alone::end(|| {
        give_up(&config(Sandbox::Auto), &Needs::default());
        println!("getpid of 32 bits gives {}", alone::getpid_of_32_bits());
    });
    if let nix::sys::wait::WaitStatus::Signaled(_, signal, _) = end {
        println!("killed by {signal}");
    }
}

#[test]
fn without_ports_there_are_no_sockets_for_the_internet() {
    if can_run() {
        let output = Again::new("inside_no_ports").run();
        assert!(output.contains("1 passed"), "{output}");
    }
}

#[test]
#[ignore = "run again by the test above"]
fn inside_no_ports() {
    if again::variant().is_none() {
        return;
    }
    alone(|| {
        let before = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let confinement = give_up(&config(Sandbox::Auto), &Needs::default());
        if confinement.is_active(Layer::Seccomp) {
            assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_err());
            assert!(std::net::TcpListener::bind("127.0.0.1:0").is_err());
            assert!(std::net::TcpStream::connect(before.local_addr().unwrap()).is_err());
            before.set_nonblocking(true).unwrap();
            assert_eq!(before.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        }
    });
}

#[test]
fn everything_that_netmon_does_still_works() {
    if can_run() {
        let scene = Scene::new();
        let output = Again::new("inside_still_works").variant(&scene.text()).run();
        assert!(output.contains("everything works"), "{output}");
    }
}

#[test]
#[ignore = "run again by the test above"]
fn inside_still_works() {
    let Some(variant) = again::variant() else { return };
    alone(|| {
        let place = probes::Place::new(&variant);
        let adapter = PcapAdapter::open("lo", InterfaceId(0), &Capture::default()).unwrap();
        let metrics = still::exporter();
        let needs = place.needs().and(Needs::for_resolving()).and(Needs::for_watching());
        let confinement = give_up(&config(Sandbox::Auto), &needs);
        still::files(&place.own);
        still::unix_socket(&place.own);
        still::tcp(place.port);
        still::tokio(place.port);
        still::interfaces();
        still::packet_socket(adapter);
        still::names();
        still::local_time();
        still::signals();
        still::panics();
        still::process_metrics(&metrics, &confinement);
        println!("everything works");
    });
}

#[test]
fn a_capability_that_is_only_permitted_is_raised() {
    let Some(program) = can_run().then(|| setcap("cap_net_raw+p")).flatten() else { return };
    let output = Again::new("inside_only_permitted").program(&program).by_nobody().run();
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run again by the test above"]
fn inside_only_permitted() {
    if again::variant().is_none() {
        return;
    }
    alone(|| {
        let open = || PcapAdapter::open("lo", InterfaceId(0), &Capture::default());
        let error = open().unwrap_err();
        let hint = error.hint().unwrap();
        for way in ["`privileges.user`", "`setcap cap_net_raw+ep`", "add NET_RAW", "AmbientCapabilities"] {
            assert!(hint.contains(way), "{hint}");
        }
        assert!(raise_net_raw().unwrap());
        open().unwrap();
        assert!(give_up(&config(Sandbox::Off), &Needs::default()).dropped);
        assert!(!raise_net_raw().unwrap() && open().is_err());
    });
}

#[test]
fn an_ordinary_user_has_nothing_to_give_up_and_stays() {
    if can_run() {
        let output = Again::new("inside_ordinary").by_nobody().run();
        assert!(output.contains("1 passed"), "{output}");
    }
}

#[test]
#[ignore = "run again by the test above"]
fn inside_ordinary() {
    if again::variant().is_none() {
        return;
    }
    alone(|| {
        assert!(!raise_net_raw().unwrap());
        let other = Config { user: Some(UserName::Ids { uid: 1, gid: None }), ..config(Sandbox::Auto) };
        let stays = identity(&other).unwrap();
        assert!(stays.warning.is_some_and(|warning| warning.contains("not started as root")));
        let keep = Config { keep_net_raw: true, ..config(Sandbox::Auto) };
        let error = confine(&identity(&keep).unwrap(), &keep, &Needs::default()).unwrap_err();
        assert!(matches!(error, PrivilegeError::NothingToKeep), "{error}");
        let confinement = give_up(&config(Sandbox::Auto), &Needs::default());
        assert!(!confinement.dropped && confinement.is_active(Layer::User));
    });
}

#[test]
fn root_that_may_not_become_another_user_says_so() {
    if can_run() {
        for variant in ["auto", "strict", "asked"] {
            let output = Again::new("inside_without_setuid").variant(variant).run();
            assert!(output.contains("1 passed"), "{output}");
        }
    }
}

#[test]
#[ignore = "run again by the test above"]
fn inside_without_setuid() {
    let Some(variant) = again::variant() else { return };
    alone(|| {
        for capability in [Capability::CAP_SETUID, Capability::CAP_SETGID] {
            caps::drop(None, CapSet::Effective, capability).unwrap();
            caps::drop(None, CapSet::Permitted, capability).unwrap();
        }
        let sandbox = if variant == "strict" { Sandbox::Strict } else { Sandbox::Auto };
        let user = if variant == "asked" { config(sandbox).user } else { None };
        let config = Config { user, ..config(sandbox) };
        let result = confine(&identity(&config).unwrap(), &config, &Needs::default());
        match (&*variant, result) {
            ("auto", Ok(confinement)) => {
                assert!(
                    matches!(&confinement.layers[0], (Layer::User, State::Missing(why)) if why.contains("CAP_SETUID"))
                );
                assert_eq!((&*confinement.user, confinement.dropped), ("root", true));
            }
            ("strict", Err(error @ PrivilegeError::LayerMissing { layer: "user", .. })) => {
                assert!(error.hint().unwrap().contains("CAP_SETUID"));
            }
            ("asked", Err(error @ PrivilegeError::Step { .. })) => {
                assert!(error.to_string().starts_with("cannot become the user `"), "{error}");
            }
            (_, result) => panic!("{variant}: {result:?}"),
        }
    });
}

#[test]
fn privileges_are_not_given_up_beside_other_threads() {
    // This test has a thread of its own.
    let config = config(Sandbox::Auto);
    let error = confine(&identity(&config).unwrap(), &config, &Needs::default()).unwrap_err();
    assert!(matches!(error, PrivilegeError::Threads { count } if count > 1), "{error}");
}

#[test]
fn the_layers_are_the_label_values_of_the_metric() {
    assert_eq!(Layer::ALL.map(Layer::name), LAYERS);
}
