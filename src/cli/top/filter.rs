//! The filter of flows: the API's own words.

/// The words that the API knows.
const WORDS: [&str; 5] = ["interface", "protocol", "host", "port", "state"];

/// Reads `interface=eth0 port=443`, also with a colon; a bare word is an address, a port or a protocol. Gives parameters of
/// a query, escaped.
///
/// # Errors
/// A word that is none of these, for people.
pub(super) fn read(line: &str) -> Result<String, String> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for word in line.split_whitespace() {
        let (key, value) = read_word(word)?;
        found.retain(|(earlier, _)| *earlier != key);
        found.push((key, value));
    }
    Ok(found.iter().map(|(key, value)| format!("&{key}={}", escaped(value))).collect())
}

fn read_word(word: &str) -> Result<(&str, &str), String> {
    if let Some((key, value)) = word.split_once(['=', ':'])
        && WORDS.contains(&key)
    {
        return if value.is_empty() { Err(format!("`{key}` needs a value")) } else { Ok((key, value)) };
    }
    let is_address = |of: char| of.is_ascii_hexdigit() || matches!(of, '.' | ':' | '/');
    Ok(match word {
        _ if word.contains('=') => {
            let key = word.split('=').next().unwrap_or_default();
            return Err(format!("`{key}` is no filter; there are {}", WORDS.join(", ")));
        }
        _ if word.chars().all(|of| of.is_ascii_digit()) => ("port", word),
        _ if word.contains(['.', ':']) && word.chars().all(is_address) => ("host", word),
        _ => ("protocol", word),
    })
}

/// As it may be in a query.
fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b':' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn words_are_those_of_the_api_and_bare_ones_are_understood() {
        assert_eq!(read(""), Ok(String::new()));
        assert_eq!(read(" protocol=tcp  port:443 "), Ok("&protocol=tcp&port=443".into()));
        assert_eq!(read("tcp 443 10.0.0.0/8"), Ok("&protocol=tcp&port=443&host=10.0.0.0/8".into()));
        assert_eq!(read("2001:db8::1"), Ok("&host=2001:db8::1".into()));
        assert_eq!(read("state=open state=closed"), Ok("&state=closed".into()));
    }

    #[test]
    fn what_would_end_a_value_is_escaped() {
        assert_eq!(read("interface=a&b=c#é"), Ok("&interface=a%26b%3Dc%23%C3%A9".into()));
    }

    #[test]
    fn an_unknown_word_is_refused_with_those_that_there_are() {
        assert!(read("colour=red").unwrap_err().contains("interface, protocol, host, port, state"));
        assert!(read("port=").is_err());
    }
}
