//! What only /sys/class/net says of a device.
//!
//! A sandbox takes /sys away after the start. What was read before stays known; of a device that comes later, and of
//! a speed that changes later, nothing is known.

use super::super::Interface;
use std::{fs, io};

/// Speed and kind of a device, as of the last time its link came up and /sys could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    /// Bytes per second.
    speed: Option<u64>,
    wireless: bool,
    was_running: bool,
}

impl Device {
    /// Reads it anew; unknown where /sys is out of reach.
    pub(super) fn of(interface: &Interface) -> Self {
        let was_running = interface.running;
        Self::read(interface).unwrap_or_else(|| Self { was_running, ..Self::default() })
    }

    /// What is `known` of it, read anew only where its link came up since: the speed may be another.
    pub(super) fn or_known(interface: &Interface, known: Option<Self>) -> Self {
        let Some(known) = known else { return Self::of(interface) };
        let was_running = interface.running;
        let came_up = was_running && !known.was_running;
        came_up.then(|| Self::read(interface)).flatten().unwrap_or(Self { was_running, ..known })
    }

    pub(super) fn describe(self, interface: &mut Interface) {
        interface.link.speed = self.speed;
        interface.wireless = self.wireless;
    }

    /// `None` where /sys has no such device. It is of the namespace that mounted it, hence the look at the index.
    fn read(interface: &Interface) -> Option<Self> {
        let attribute = |name| -> io::Result<String> {
            fs::read_to_string(format!("/sys/class/net/{}/{name}", interface.name))
                .map(|text| text.trim_end().to_owned())
        };
        let index = attribute("ifindex").ok()?.parse().ok();
        if index.is_none() || index != interface.index {
            return None;
        }
        // Drivers refuse to read it while there is no link.
        let speed = attribute("speed").ok().as_deref().and_then(bytes_per_second);
        let wireless = fs::exists(format!("/sys/class/net/{}/wireless", interface.name)).unwrap_or(false)
            || fs::exists(format!("/sys/class/net/{}/phy80211", interface.name)).unwrap_or(false);
        Some(Self { speed, wireless, was_running: interface.running })
    }
}

/// From megabits per second; drivers write -1 for "not known".
fn bytes_per_second(megabits: &str) -> Option<u64> {
    megabits
        .parse::<u64>()
        .ok()
        .filter(|megabits| *megabits > 0 && *megabits < u64::from(u32::MAX))
        .map(|m| m * 125_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_in_bytes_per_second_and_minus_one_is_none() {
        assert_eq!((bytes_per_second("1000"), bytes_per_second("-1")), (Some(125_000_000), None));
        assert_eq!((bytes_per_second("4294967295"), bytes_per_second("0")), (None, None));
    }

    #[test]
    fn a_device_of_another_index_is_another_device() {
        let elsewhere = Interface { name: "lo".into(), index: Some(u32::MAX), ..Interface::default() };
        assert_eq!(Device::of(&elsewhere), Device::default());
    }

    #[test]
    fn what_was_read_stays_known_where_it_cannot_be_read_again() {
        let known = Device { speed: Some(125_000_000), wireless: true, was_running: false };
        let unreadable = Interface { name: "no such".into(), index: Some(9), running: true, ..Interface::default() };
        assert_eq!(Device::or_known(&unreadable, Some(known)), Device { was_running: true, ..known });
    }
}
