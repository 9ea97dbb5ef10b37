//! Writes the Grafana dashboards from the catalogue of metrics: `cargo run --example dashboards`.
//!
//! A name, label, type or unit that the catalogue does not have ends the program, so that no dashboard can ask for
//! what netmon does not export. Prints the families that are on none. A test holds `dashboards/grafana` to what this
//! makes.

mod boards;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(boards::DIRECTORY);
    std::fs::create_dir_all(&directory)?;
    for board in boards::all() {
        std::fs::write(directory.join(board.file()), board.document())?;
    }
    for name in boards::not_shown() {
        println!("on no dashboard: {name}");
    }
    Ok(())
}
