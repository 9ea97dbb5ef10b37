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
    offers: Result<Vec<String>, String>,
    is_default: bool,
}

pub(super) fn main(arguments: &Arguments) -> Result<(), Failure> {
    let default = of_default_route();
    let found: Vec<Found> = list().map_err(Failure::of_capture)?.into_iter().map(|i| Found::new(i, &default)).collect();
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
    fn new(interface: Interface, default: &str) -> Self {
        let offers = probe(&interface.name);
        let offers = offers.map(|types| types.iter().map(ToString::to_string).collect());
        let is_default = interface.name == default;
        Self { interface, offers: offers.map_err(|error| error.to_string()), is_default }
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
    let columns = ["interface", "state", ">speed", ">MTU", "addresses", "MAC", "link types", ""];
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
