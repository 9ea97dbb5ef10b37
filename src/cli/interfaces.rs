//! `netmon interfaces`: what can be captured here, and what is missing to capture it.

use super::table::{Table, bit_rate};
use super::{Failure, Format, print, say};
use crate::capture::interfaces::{Interface, list, missing, of_default_route, probe};
use serde_json::{Value, json};
use std::fmt::Write as _;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Form of the result
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// An interface, and the link types it offers or why it cannot be captured.
struct Found {
    interface: Interface,
    /// Names of its master and its parent.
    related: [Option<String>; 2],
    offers: Result<Vec<String>, String>,
    is_default: bool,
}

pub(super) fn main(arguments: &Arguments) -> Result<(), Failure> {
    let default = of_default_route();
    let list = list().map_err(Failure::of_capture)?;
    let found: Vec<Found> = list.iter().map(|interface| Found::new(interface, &list, &default)).collect();
    match arguments.format {
        Format::Table => {
            print(tables(&found).as_bytes())?;
            if let Some(missing) = missing() {
                say(&format!("cannot capture: {missing}\n  hint: {}", missing.hint()));
            }
            Ok(())
        }
        Format::Json => {
            let missing = missing().map(|missing| json!({ "what": missing.to_string(), "hint": missing.hint() }));
            let rows: Vec<Value> = found.iter().map(Found::document).collect();
            let document = json!({ "schema": 1, "missing": missing, "interfaces": rows });
            print(format!("{document:#}\n").as_bytes())
        }
    }
}

impl Found {
    fn new(interface: &Interface, list: &[Interface], default: &str) -> Self {
        let name = |index: u32| list.iter().find(|other| other.index == Some(index)).map(|other| other.name.clone());
        let related = [interface.master, interface.parent].map(|index| index.and_then(name));
        let offers = probe(&interface.name);
        let offers = offers.map(|types| types.iter().map(ToString::to_string).collect());
        let is_default = interface.name == default;
        Self { interface: interface.clone(), related, offers: offers.map_err(|error| error.to_string()), is_default }
    }

    fn state(&self) -> &'static str {
        match (self.interface.up, self.interface.running) {
            (false, _) => "down",
            (true, false) => "no carrier",
            (true, true) => "up",
        }
    }

    fn document(&self) -> Value {
        let interface = &self.interface;
        json!({
            "interface": interface.name,
            "index": interface.index,
            "description": interface.description,
            "kind": interface.kind,
            "master": self.related[0],
            "parent": self.related[1],
            "state": self.state(),
            "loopback": interface.loopback,
            "wireless": interface.wireless,
            "default_route": self.is_default,
            "addresses": interface.addresses,
            "mac": interface.mac.map(mac),
            "mtu": interface.link.mtu,
            "speed_bytes_per_second": interface.link.speed,
            "linktypes": self.offers.as_ref().ok(),
            "problem": self.offers.as_ref().err(),
        })
    }
}

fn tables(found: &[Found]) -> String {
    let mut out = String::new();
    let columns = ["interface", "state", ">speed", ">MTU", "addresses", "MAC", "of", "link types", ""];
    let mut table = Table::new("", &columns);
    for found in found {
        let interface = &found.interface;
        let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
        let note = match (found.is_default, interface.loopback) {
            (true, _) => "default route: what `netmon run` monitors",
            (false, true) => "loopback",
            (false, false) => "",
        };
        table.row([
            interface.name.clone(),
            found.state().to_owned(),
            interface.link.speed.map_or_else(|| "-".to_owned(), |speed| bit_rate(speed as f64)),
            interface.link.mtu.map_or_else(|| "-".to_owned(), |mtu| mtu.to_string()),
            addresses.join(" "),
            interface.mac.map_or_else(|| "-".to_owned(), mac),
            found.related.iter().flatten().cloned().collect::<Vec<_>>().join(" "),
            found.offers.as_ref().map_or_else(|_| "cannot be opened".to_owned(), |types| types.join(" ")),
            note.to_owned(),
        ]);
    }
    table.print(&mut out);
    for found in found {
        if let Err(problem) = &found.offers {
            let _ = writeln!(out, "  {problem}");
        }
    }
    out.trim_start_matches('\n').to_owned()
}

fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}
