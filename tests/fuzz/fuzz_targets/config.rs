//! Any bytes as a config file: no panic, bounded work, messages that can be shown, and what is accepted reads back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use netmon::config::{Mistakes, from_yaml};

fuzz_target!(|bytes: &[u8]| match from_yaml("fuzz.yaml", bytes) {
    Ok(loaded) => {
        let shown = serde_json::to_string(&loaded.effective).expect("values in memory");
        let again = from_yaml("shown.yaml", shown.as_bytes()).expect("what is in force is allowed");
        assert_eq!((again.config, again.effective), (loaded.config, loaded.effective));
    }
    Err(Mistakes { listed, omitted }) => {
        assert!(!listed.is_empty() && listed.len() <= Mistakes::MAX_LISTED);
        assert!(omitted == 0 || listed.len() == Mistakes::MAX_LISTED);
        for mistake in listed {
            assert!(!mistake.message.contains(char::is_control), "{:?}", mistake.message);
            assert!(mistake.message.len() < 1000, "{}", mistake.message.len());
        }
    }
});
