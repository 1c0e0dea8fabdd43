//! Numbers as people read them.

/// Numbers of elements or operations as people read them: `1.23 M`.
pub(crate) fn human(count: u64) -> String {
    const UNITS: [&str; 5] = ["", " k", " M", " G", " T"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{}", UNITS[unit])
}

/// Numbers of bytes as people read them: `1.23 MB`.
pub(crate) fn bytes(count: u64) -> String {
    let text = human(count);
    if text.contains(' ') { text + "B" } else { text + " B" }
}

/// How much of `before` came or went, in one word.
pub(crate) fn change(before: u64, after: u64) -> String {
    if before == after { "0.0%".to_owned() } else { format!("{:+.1}%", -100.0 * gone(before, after)) }
}

/// A share as people read it.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// What is gone of `before`, as a share of it.
pub(crate) fn gone(before: u64, after: u64) -> f64 {
    if before == 0 { 0.0 } else { 1.0 - after as f64 / before as f64 }
}

#[cfg(test)]
mod tests {
    use super::{bytes, change, human};

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let shown = [0, 999, 1000, 9_994, 12_345, 999_499, 999_500, 11_689_512, u64::MAX].map(human);
        assert_eq!(shown, ["0", "999", "1.00 k", "9.99 k", "12.3 k", "999 k", "1.00 M", "11.7 M", "18446744 T"]);
        assert_eq!([999, 1000].map(bytes), ["999 B", "1.00 kB"]);
        assert_eq!([change(8, 2), change(2, 8), change(2, 2)], ["-75.0%", "+300.0%", "0.0%"]);
    }
}
