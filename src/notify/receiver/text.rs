//! Texts within limits.

/// What stands behind a text that was cut.
pub(super) const CUT: &str = "… (shortened)";

/// The first characters of a text with a note that there were more; all of it where it has at most `limit`.
pub(super) fn fitted(text: &str, limit: usize) -> String {
    cut(text, limit, |_| 1)
}

/// A text for Slack: escaped, and at most `limit` characters after that, without half an entity at the end.
pub(super) fn fitted_for_slack(text: &str, limit: usize) -> String {
    escaped(&cut(text, limit, |c| entity(c).map_or(1, str::len)))
}

/// The same for a text that is escaped already.
pub(super) fn refitted_for_slack(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(CUT.chars().count())).collect();
    // A cut may go through an entity, or through a link.
    let whole = [kept.rfind('&'), kept.rfind('<')].into_iter().flatten().fold(kept.as_str(), |kept, at| {
        let closed = if kept[at.min(kept.len())..].starts_with('<') { '>' } else { ';' };
        if at < kept.len() && !kept[at..].contains(closed) { &kept[..at] } else { kept }
    });
    format!("{whole}{CUT}")
}

/// `&`, `<` and `>` as Slack's documentation asks, so that no value makes a link or a mention.
pub(in crate::notify) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match entity(c) {
            Some(entity) => escaped.push_str(entity),
            None => escaped.push(c),
        }
    }
    escaped
}

fn entity(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

fn cut(text: &str, limit: usize, width: impl Fn(char) -> usize) -> String {
    if text.chars().map(&width).sum::<usize>() <= limit {
        return text.to_owned();
    }
    let mut left = limit.saturating_sub(CUT.chars().count());
    let kept = text.chars().take_while(|&c| {
        let fits = width(c) <= left;
        left -= width(c).min(left);
        fits
    });
    kept.collect::<String>() + CUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_left_alone_and_what_does_not_says_so() {
        assert_eq!(fitted("äöü", 3), "äöü");
        assert_eq!(fitted(&"x".repeat(30), 20), format!("xxxxxxx{CUT}"));
        assert_eq!(fitted(&"x".repeat(30), 20).chars().count(), 20);
    }

    #[test]
    fn escaped_texts_keep_to_the_limit_with_whole_entities() {
        assert_eq!(fitted_for_slack("<!channel> & co", 100), "&lt;!channel&gt; &amp; co");
        for limit in 14..60 {
            let text = fitted_for_slack(&"&<".repeat(40), limit);
            assert!(text.chars().count() <= limit && text.ends_with(CUT), "{limit}: {text}");
            assert!(!text.replace("&amp;", "").replace("&lt;", "").contains(['&', '<']), "{text}");
            let again = refitted_for_slack(&escaped(&"&<a".repeat(40)), limit);
            assert!(again.chars().count() <= limit && again.ends_with(CUT), "{limit}: {again}");
            assert!(!again.replace("&amp;", "").replace("&lt;", "").contains(['&', '<']), "{again}");
            let link = refitted_for_slack(&format!("a <https://example.org/{}|page> b", "x".repeat(60)), limit);
            assert!(link == format!("a {CUT}") || link == format!("a{CUT}"), "{limit}: {link}");
        }
    }
}
