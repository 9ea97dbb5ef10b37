//! The filters and tests of templates: none that makes much out of little.

use super::quantity::Quantity;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, filters, tests};

/// Adds them.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("abs", filters::abs);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("default", filters::default);
    environment.add_filter("first", filters::first);
    environment.add_filter("float", filters::float);
    environment.add_filter("int", filters::int);
    environment.add_filter("last", filters::last);
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("round", filters::round);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("bits", |value: &Value| shown(value, "bits", Quantity::in_bits));
    environment.add_filter("percent", |value: &Value| shown(value, "percent", Quantity::in_percent));
    environment.add_filter("raw", |value: &Value| quantity(value, "raw").map(|quantity| quantity.value()));
    environment.add_test("defined", tests::is_defined);
    environment.add_test("undefined", tests::is_undefined);
    environment.add_test("none", tests::is_none);
}

fn shown(value: &Value, filter: &str, show: impl Fn(&Quantity) -> String) -> Result<String, Error> {
    quantity(value, filter).map(|quantity| show(&quantity))
}

fn quantity(value: &Value, filter: &str) -> Result<Quantity, Error> {
    let of_number = || f64::try_from(value.clone()).ok().map(|number| Quantity::new(number, ""));
    value.downcast_object_ref::<Quantity>().cloned().or_else(of_number).ok_or_else(|| {
        let what = format!("filter {filter} takes a number such as `value`, or `threshold` where there is one");
        Error::new(ErrorKind::InvalidOperation, what)
    })
}
