//! Curves of a terminal: one character for each span, eighths of its height.

/// A curve of at most `width` characters. Values are means over equal spans; `None` is a gap and stays blank, zero is
/// the lowest step but one that shows. Where there are more values than characters, each shows its greatest.
pub(super) fn sparkline(values: &[Option<f64>], width: usize) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if values.is_empty() || width == 0 {
        return String::new();
    }
    let greatest = values.iter().flatten().fold(0.0_f64, |greatest, value| greatest.max(*value));
    let columns = width.min(values.len());
    let of_column = |column: usize| {
        let (begin, end) = (column * values.len() / columns, (column + 1) * values.len() / columns);
        values[begin..end].iter().flatten().copied().reduce(f64::max)
    };
    let step = |value: f64| {
        let share = if greatest > 0.0 { value / greatest } else { 0.0 };
        // Seven steps above the base line, which is for nothing at all.
        let step = (share * 7.0).ceil();
        STEPS.into_iter().nth((0..8).find(|n| f64::from(*n) >= step).and_then(|n| usize::try_from(n).ok()).unwrap_or(7))
    };
    (0..columns).map(|column| of_column(column).and_then(step).unwrap_or(' ')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_blank_zero_is_the_base_line_and_the_greatest_value_is_full() {
        assert_eq!(sparkline(&[Some(0.0), None, Some(1.0), Some(50.0), Some(100.0)], 10), "▁ ▂▅█");
    }

    #[test]
    fn many_values_show_the_greatest_of_each_character() {
        let values: Vec<_> = (0..100).map(|n| Some(if n == 37 { 9.0 } else { 0.0 })).collect();
        assert_eq!(sparkline(&values, 10), "▁▁▁█▁▁▁▁▁▁");
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(sparkline(&[], 10), "");
        assert_eq!(sparkline(&[Some(0.0)], 10), "▁");
    }
}
