//! Rendering of `/metrics` at its worst case: every series of 1, 4 and 24 interfaces present.
//!
//! The item counts are sample lines, so the last column reads as lines per second.

#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../tests/exposition/snapshots.rs"]
mod snapshots;

use divan::Bencher;
use divan::counter::ItemsCount;
use netmon::metrics::{Exposition, Form, Scope};
use netmon::stats::Config;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 4, 24])]
fn text(bencher: Bencher<'_, '_>, interfaces: usize) {
    render(bencher, interfaces, Form::Text);
}

#[divan::bench(args = [1, 4, 24])]
fn open_metrics(bencher: Bencher<'_, '_>, interfaces: usize) {
    render(bencher, interfaces, Form::OpenMetrics);
}

fn render(bencher: Bencher<'_, '_>, interfaces: usize, form: Form) {
    // One more is `other`.
    let config = Config { max_interfaces: interfaces - 1, ..Config::default() };
    let exposition = Exposition::new(&config);
    let (snapshot, own) = (snapshots::flood(&config), snapshots::own());
    let lines = usize::try_from(exposition.series_limit()).expect("a few thousand");
    bencher.counter(ItemsCount::new(lines)).bench(|| exposition.render(&snapshot, &own, form, Scope::All));
}
