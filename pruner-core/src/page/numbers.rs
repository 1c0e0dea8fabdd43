//! Numbers for people.

/// A large number in three digits: `3.21 M`, `1.05 T`.
pub(super) fn short(value: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    match UNITS.iter().find(|(unit, _)| value >= *unit) {
        Some((unit, name)) => {
            let value = value / unit;
            let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
            format!("{value:.digits$}{name}")
        }
        None => format!("{value:.0}"),
    }
}

/// A quality: with four decimals, or as many digits of a small one.
pub(super) fn four_digits(value: f64) -> String {
    if value == 0.0 || (0.01..1e6).contains(&value.abs()) { format!("{value:.4}") } else { format!("{value:.3e}") }
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// How much of a count is gone.
pub(super) fn change(before: u64, after: u64) -> String {
    let gone = 1.0 - after as f64 / before.max(1) as f64;
    format!("{} gone of {}", percent(gone.max(0.0)), short(before as f64))
}

/// A time as people say it.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 5400.0 => format!("{:.1} h", seconds / 3600.0),
        _ if seconds >= 90.0 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{seconds:.1} s"),
    }
}
