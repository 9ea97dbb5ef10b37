use super::*;
use proptest::prelude::*;

fn up(index: u32, name: &str) -> Interface {
    Interface { name: name.into(), index: Some(index), up: true, ..Interface::default() }
}

fn down(index: u32, name: &str) -> Interface {
    Interface { up: false, ..up(index, name) }
}

fn following(patterns: &[&str], list: &[Interface]) -> Selection {
    let mut selection = Selection::new(&owned(patterns));
    selection.update(list);
    selection
}

fn owned(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

/// Changes in short: `+eth0` joined, `~eth0` back, `-eth0` gone, `eth0>eth1` renamed, `=eth0` link, `/eth0` left.
fn short(changes: &[Change]) -> String {
    let text = changes.iter().map(|change| match change {
        Change::Joined(interface) => format!("+{}", interface.name),
        Change::Back(interface) => format!("~{}", interface.name),
        Change::Gone { name } => format!("-{name}"),
        Change::Renamed { from, to } => format!("{from}>{}", to.name),
        Change::Link(interface) => format!("={}", interface.name),
        Change::Left { name } => format!("/{name}"),
    });
    text.collect::<Vec<_>>().join(" ")
}

fn steps(selection: &mut Selection, list: &[Interface]) -> String {
    short(&selection.update(list))
}

#[test]
fn a_name_is_waited_for_whether_it_was_there_before_or_not() {
    let mut selection = following(&["eth0"], &[up(1, "lo")]);
    assert_eq!(steps(&mut selection, &[up(1, "lo"), down(2, "eth0")]), "+eth0");
    assert_eq!(steps(&mut selection, &[up(1, "lo")]), "-eth0");
    assert!(!selection.forget("eth0"));
    assert_eq!(steps(&mut selection, &[up(1, "lo")]), "");
    assert_eq!(steps(&mut selection, &[up(1, "lo"), up(7, "eth0")]), "~eth0");
}

#[test]
fn a_glob_means_what_is_down_too_and_what_is_forgotten_joins_anew() {
    let mut selection = following(&["veth*"], &[]);
    assert_eq!(steps(&mut selection, &[down(2, "veth1"), up(3, "eth0")]), "+veth1");
    assert!(!selection.forget("veth1"), "it is there");
    assert_eq!(steps(&mut selection, &[]), "-veth1");
    assert_eq!(steps(&mut selection, &[up(4, "veth1")]), "~veth1");
    assert_eq!(steps(&mut selection, &[]), "-veth1");
    assert!(selection.forget("veth1") && !selection.forget("veth1"));
    assert_eq!(steps(&mut selection, &[up(5, "veth1")]), "+veth1");
}

#[test]
fn any_means_what_is_up_and_keeps_what_goes_down() {
    let mut selection = following(&["any"], &[up(1, "lo"), down(2, "eth0")]);
    assert_eq!(steps(&mut selection, &[up(1, "lo"), up(2, "eth0")]), "+eth0");
    assert_eq!(steps(&mut selection, &[up(1, "lo"), down(2, "eth0")]), "=eth0");
    assert_eq!(steps(&mut selection, &[up(1, "lo"), down(2, "eth9")]), "eth0>eth9");
    assert_eq!(steps(&mut selection, &[up(1, "lo"), down(3, "eth9")]), "-eth9", "another one, which is not up yet");
    assert_eq!(steps(&mut selection, &[up(1, "lo"), up(3, "eth9")]), "~eth9");
}

#[test]
fn a_name_with_another_index_is_gone_and_back_in_one() {
    let mut selection = following(&["eth*"], &[up(2, "eth0")]);
    assert_eq!(steps(&mut selection, &[up(3, "eth0")]), "-eth0 ~eth0");
}

#[test]
fn a_rename_to_a_name_that_is_asked_for_goes_on() {
    let mut selection = following(&["eth*"], &[up(2, "eth0")]);
    assert_eq!(steps(&mut selection, &[up(2, "eth1")]), "eth0>eth1");
    assert_eq!(steps(&mut selection, &[up(2, "eth0"), up(3, "eth1")]), "eth1>eth0 +eth1");
    assert_eq!(steps(&mut selection, &[up(2, "eth5"), up(3, "eth1"), up(4, "eth0")]), "eth0>eth5 +eth0");
}

#[test]
fn a_rename_to_a_name_that_was_gone_brings_it_back() {
    let mut selection = following(&["eth0", "eth1"], &[up(2, "eth0"), up(3, "eth1")]);
    assert_eq!(steps(&mut selection, &[up(2, "eth0")]), "-eth1");
    assert_eq!(steps(&mut selection, &[up(2, "eth1")]), "eth0>eth1");
    assert_eq!(steps(&mut selection, &[up(2, "eth1"), up(4, "eth0")]), "+eth0");
}

#[test]
fn a_rename_to_a_name_that_nobody_asked_for_leaves_unless_the_old_one_is_waited_for() {
    let mut glob = following(&["eth*"], &[up(2, "eth0")]);
    assert_eq!(steps(&mut glob, &[up(2, "wan")]), "/eth0");
    let mut name = following(&["eth0"], &[up(2, "eth0")]);
    assert_eq!(steps(&mut name, &[up(2, "wan")]), "-eth0");
    assert_eq!(steps(&mut name, &[up(2, "wan"), up(3, "eth0")]), "~eth0");
    assert_eq!(steps(&mut glob, &[up(2, "wan"), up(3, "eth0")]), "+eth0");
    assert_eq!(steps(&mut glob, &[up(3, "wan"), up(4, "eth0")]), "-eth0 ~eth0", "another one took its name at once");
}

#[test]
fn interfaces_that_swap_their_names_are_gone_and_back() {
    let mut selection = following(&["any"], &[up(2, "eth0"), up(3, "eth1")]);
    assert_eq!(steps(&mut selection, &[down(2, "eth1"), up(3, "eth0")]), "-eth0 -eth1 ~eth1 ~eth0");
}

#[test]
fn everything_but_a_counter_is_a_change_of_the_link() {
    let first = up(2, "eth0");
    let mut selection = following(&["eth0"], std::slice::from_ref(&first));
    let counted = Interface { kernel: Some(crate::stats::KernelCounters::default()), ..first.clone() };
    assert_eq!(steps(&mut selection, &[counted]), "");
    let addressed = Interface { addresses: vec!["192.0.2.1/24".parse().unwrap()], ..first.clone() };
    let mut big = first.clone();
    big.link.mtu = Some(9000);
    let bridged = Interface { master: Some(9), ..first.clone() };
    for changed in [addressed, big, bridged, down(2, "eth0"), Interface { mac: Some([2; 6]), ..first }] {
        assert_eq!(selection.update(std::slice::from_ref(&changed)), [Change::Link(changed)]);
    }
}

#[test]
fn other_patterns_make_some_leave_and_others_join() {
    let list = [up(1, "lo"), up(2, "eth0"), down(3, "eth1")];
    let mut selection = following(&["eth0", "lo"], &list);
    selection.set_patterns(&owned(&["eth*"]));
    assert_eq!(steps(&mut selection, &list), "/lo +eth1");
    assert_eq!(steps(&mut selection, &[]), "-eth0 -eth1");
    selection.set_patterns(&owned(&["!eth1"]));
    assert_eq!(steps(&mut selection, &list), "/eth1 +lo ~eth0");
    selection.set_patterns(&[]);
    assert_eq!(steps(&mut selection, &list), "/eth0 /lo");
}

#[test]
fn where_there_are_no_indices_the_name_is_the_interface() {
    let unnumbered = |name: &str| Interface { index: None, ..up(0, name) };
    let mut selection = following(&["any"], &[unnumbered("a"), unnumbered("b")]);
    assert_eq!(steps(&mut selection, &[unnumbered("b"), unnumbered("c")]), "-a +c");
}

/// Who applies the changes by name, and what has to hold whenever one comes; `None` is gone.
#[derive(Default)]
struct Follower(BTreeMap<String, Option<Interface>>);

impl Follower {
    fn take(&mut self, change: Change) {
        match change {
            Change::Joined(new) => assert_eq!(self.0.insert(new.name.clone(), Some(new)), None),
            Change::Back(new) => assert_eq!(self.0.insert(new.name.clone(), Some(new)), Some(None)),
            Change::Gone { name } => assert!(self.0.insert(name, None).unwrap().is_some()),
            Change::Left { name } => assert!(self.0.remove(&name).is_some()),
            Change::Link(new) => {
                let old = self.0.insert(new.name.clone(), Some(new.clone())).unwrap().unwrap();
                assert!(old.index == new.index && old != new);
            }
            Change::Renamed { from, to } => {
                let old = self.0.remove(&from).unwrap().unwrap();
                assert_eq!(old.index, to.index);
                assert!(self.0.insert(to.name.clone(), Some(to)).is_none_or(|taken| taken.is_none()));
            }
        }
    }

    fn live(&self) -> Vec<Interface> {
        self.0.values().flatten().cloned().collect()
    }
}

/// What the patterns mean, said in another way: `*` comes last here.
fn is_meant(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

fn matching(patterns: &[String], list: &[Interface], followed: &[Interface]) -> Vec<Interface> {
    let only_excluded = !patterns.is_empty() && patterns.iter().all(|pattern| pattern.starts_with('!'));
    let any = only_excluded || patterns.iter().any(|pattern| pattern == "any");
    let is_followed = |interface: &Interface| followed.iter().any(|one| one.index == interface.index);
    let matches = |interface: &&Interface| {
        let by_name = patterns.iter().any(|pattern| is_meant(pattern, &interface.name));
        let excluded = patterns.iter().filter_map(|pattern| pattern.strip_prefix('!'));
        (by_name || any && (interface.up || is_followed(interface)))
            && !excluded.into_iter().any(|pattern| is_meant(pattern, &interface.name))
    };
    let mut matching: Vec<Interface> = list.iter().filter(matches).cloned().collect();
    matching.sort_by(|one, other| one.name.cmp(&other.name));
    matching
}

const NAMES: [&str; 6] = ["lo", "eth0", "eth1", "eth2", "veth0", "wan"];
const PATTERNS: [&[&str]; 9] = [
    &["any"],
    &["eth0"],
    &["eth0", "wan"],
    &["eth*"],
    &["eth*", "!eth1"],
    &["!veth*"],
    &["any", "!lo", "eth1"],
    &["*"],
    &[],
];

#[derive(Clone, Debug)]
enum Event {
    Create(usize, bool),
    Delete(usize),
    Rename(usize, usize),
    Flip(usize),
    Address(usize),
    Patterns(usize),
    Forget(usize),
    Look,
}

fn event() -> impl Strategy<Value = Event> {
    let name = 0..NAMES.len();
    prop_oneof![
        3 => (name.clone(), any::<bool>()).prop_map(|(name, up)| Event::Create(name, up)),
        2 => name.clone().prop_map(Event::Delete),
        4 => (name.clone(), name.clone()).prop_map(|(from, to)| Event::Rename(from, to)),
        2 => name.clone().prop_map(Event::Flip),
        1 => name.clone().prop_map(Event::Address),
        1 => (0..PATTERNS.len()).prop_map(Event::Patterns),
        1 => name.prop_map(Event::Forget),
        4 => Just(Event::Look),
    ]
}

/// A machine whose interfaces change, and the patterns asked for.
#[derive(Default)]
struct Machine {
    list: Vec<Interface>,
    created: u32,
}

impl Machine {
    /// A rename to a name that is taken swaps the two, as three renames would.
    fn take(&mut self, event: &Event) {
        let place = |name: usize| self.list.iter().position(|interface| interface.name == NAMES[name]);
        match *event {
            Event::Create(name, up) if place(name).is_none() => {
                self.created += 1;
                self.list.push(Interface { up, ..super::tests::up(self.created, NAMES[name]) });
            }
            Event::Delete(name) => self.list.retain(|interface| interface.name != NAMES[name]),
            Event::Rename(from, to) => {
                let (from_place, to_place) = (place(from), place(to));
                if let Some(place) = to_place.filter(|_| from_place.is_some()) {
                    self.list[place].name = NAMES[from].into();
                }
                if let Some(place) = from_place {
                    self.list[place].name = NAMES[to].into();
                }
            }
            Event::Flip(name) => {
                if let Some(place) = place(name) {
                    self.list[place].up ^= true;
                }
            }
            Event::Address(name) => {
                if let Some(place) = place(name) {
                    self.list[place].addresses.push("192.0.2.1/32".parse().unwrap());
                }
            }
            _ => {}
        }
    }
}

/// Those of one name and index in both lists have no step but `Link`.
fn who_stays_is_left_alone(changes: &[Change], before: &[Interface], list: &[Interface]) {
    for interface in before {
        let stays = list.iter().any(|now| now.index == interface.index && now.name == interface.name);
        let touched = changes.iter().any(|change| match change {
            Change::Gone { name } | Change::Left { name } | Change::Renamed { from: name, .. } => {
                *name == interface.name
            }
            Change::Joined(new) | Change::Back(new) => new.name == interface.name,
            Change::Link(_) => false,
        });
        assert!(!(stays && touched), "{} in {changes:?}", interface.name);
    }
}

proptest! {
    #[test]
    fn whoever_takes_every_step_follows_exactly_the_interfaces_that_match(
        events in prop::collection::vec(event(), 1..80), first in 0..PATTERNS.len()
    ) {
        let (mut machine, mut follower) = (Machine::default(), Follower::default());
        let mut patterns = owned(PATTERNS[first]);
        let mut selection = Selection::new(&patterns);
        let mut reloaded = false;
        for event in events.into_iter().chain([Event::Look]) {
            machine.take(&event);
            match event {
                Event::Patterns(number) => {
                    patterns = owned(PATTERNS[number]);
                    selection.set_patterns(&patterns);
                    reloaded = true;
                }
                Event::Forget(name) if selection.forget(NAMES[name]) => {
                    prop_assert_eq!(follower.0.remove(NAMES[name]), Some(None));
                }
                Event::Look => {
                    let before = follower.live();
                    let expected = matching(&patterns, &machine.list, &before);
                    let changes = selection.update(&machine.list);
                    if !std::mem::take(&mut reloaded) {
                        who_stays_is_left_alone(&changes, &before, &machine.list);
                    }
                    changes.into_iter().for_each(|change| follower.take(change));
                    prop_assert_eq!(follower.live(), expected);
                    prop_assert_eq!(selection.update(&machine.list), []);
                }
                _ => {}
            }
        }
    }
}
