//! The known name that was probably meant by an unknown one.

/// The one of `known` that is most like `name`, of equally similar ones the first; `None` where none is similar.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const SIMILAR: f64 = 0.6;
    let name = name.to_lowercase();
    let similar = known.into_iter().map(|known| (strsim::normalized_damerau_levenshtein(&name, known), known));
    let similar = similar.filter(|(similarity, _)| *similarity >= SIMILAR);
    similar.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, known)| known)
}

/// What serde says of an unknown field or variant, with the [`nearest`] of those that it expected; other messages as they are.
pub fn with_nearest(message: String) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message };
    let mut unknown = ["unknown field `", "unknown variant `"].into_iter();
    let name = unknown.find_map(|start| found.strip_prefix(start)?.strip_suffix('`'));
    // The names that stand between ticks.
    let known = expected.split('`').skip(1).step_by(2);
    match name.and_then(|name| nearest(name, known)) {
        Some(nearest) => format!("{found} (did you mean `{nearest}`?), expected {expected}"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_is_the_nearest_whatever_its_case() {
        assert_eq!(nearest("MACS", ["bytes", "macs"]), Some("macs"));
        assert_eq!(nearest("mac", ["max", "macs"]), Some("macs"));
        assert_eq!(nearest("flops", ["bytes", "macs"]), None);
        assert_eq!(nearest("", [""; 0]), None);
    }

    #[test]
    fn what_serde_says_of_an_unknown_name_tells_the_nearest() {
        for (message, expected) in [
            (
                "unknown field `mac`, expected one of `params`, `macs`",
                "unknown field `mac` (did you mean `macs`?), expected one of `params`, `macs`",
            ),
            (
                "unknown variant `globl`, expected `local` or `global`",
                "unknown variant `globl` (did you mean `global`?), expected `local` or `global`",
            ),
            ("unknown field `at`, expected `terms`", "unknown field `at`, expected `terms`"),
            ("unknown field `at`, there are no fields", "unknown field `at`, there are no fields"),
            ("unknown field `", "unknown field `"),
            ("missing field `data`", "missing field `data`"),
        ] {
            assert_eq!(with_nearest(message.to_owned()), expected);
        }
    }
}
