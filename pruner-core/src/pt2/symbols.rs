//! Sizes that are expressions of symbols, such as a batch that may have any size.
//!
//! The analysis knows such a size by its hint, the value that it had when the program was exported. Where an expression
//! is a multiple of symbols, what is cut of it is cut of the multiple: of `12·s` with 6 of 12 heads, `6·s` is left.

use serde_json::json;

use super::schema::{Hint, SymExpr, SymInt};

impl SymInt {
    /// The number, or the value that the expression had.
    pub(super) fn hint(&self) -> Option<i64> {
        match self {
            Self::AsInt(size) => Some(*size),
            Self::AsExpr(SymExpr { hint: Some(Hint::AsInt(hint)), .. }) => Some(*hint),
            Self::AsExpr(_) => None,
        }
    }

    /// Whether it is a number or a multiple of symbols, so that a part of it can be written down.
    pub(super) fn is_divisible(&self) -> bool {
        match self {
            Self::AsInt(_) => true,
            Self::AsExpr(e) => multiple(&e.expr_str).is_some(),
        }
    }

    /// The size that is `size` where this one is its hint; `None` where no expression says that.
    pub(super) fn resized(&self, size: i64) -> Option<Self> {
        let hint = self.hint()?;
        match self {
            _ if hint == size => Some(self.clone()),
            Self::AsInt(_) => Some(Self::AsInt(size)),
            Self::AsExpr(e) => {
                let (coefficient, symbols) = multiple(&e.expr_str)?;
                let scaled = coefficient.checked_mul(size)?;
                if hint == 0 || scaled % hint != 0 {
                    return None;
                }
                let expr_str = match scaled / hint {
                    1 if !symbols.contains("), ") => symbols.to_owned(),
                    1 => format!("Mul({symbols})"),
                    coefficient => format!("Mul(Integer({coefficient}), {symbols})"),
                };
                Some(Self::AsExpr(SymExpr { expr_str, hint: Some(Hint::AsInt(size)) }))
            }
        }
    }

    /// The JSON of it.
    pub(super) fn json(&self) -> String {
        match self {
            Self::AsInt(size) => json!({ "as_int": size }),
            Self::AsExpr(e) => {
                let hint = self.hint().map(|hint| json!({ "as_int": hint }));
                json!({ "as_expr": { "expr_str": e.expr_str, "hint": hint } })
            }
        }
        .to_string()
    }
}

/// The integer and the symbols of an expression that is their product.
fn multiple(e: &str) -> Option<(i64, &str)> {
    let Some(factors) = e.strip_prefix("Mul(").and_then(|rest| rest.strip_suffix(')')) else {
        return is_symbols(e).then_some((1, e));
    };
    let Some((coefficient, symbols)) = factors.strip_prefix("Integer(").and_then(|rest| rest.split_once("), ")) else {
        return is_symbols(factors).then_some((1, factors));
    };
    is_symbols(symbols).then_some((coefficient.parse().ok().filter(|&number: &i64| number > 0)?, symbols))
}

/// Whether a text is a list of symbols and nothing else.
fn is_symbols(text: &str) -> bool {
    text.split("), ").all(|symbol| {
        let symbol = symbol.strip_suffix(')').unwrap_or(symbol);
        symbol.strip_prefix("Symbol(").is_some_and(|inside| !inside.contains(['(', ')']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOL: &str = "Symbol('s77', positive=True, integer=True)";

    fn size(e: &str, hint: i64) -> SymInt {
        SymInt::AsExpr(SymExpr { expr_str: e.to_owned(), hint: Some(Hint::AsInt(hint)) })
    }

    #[track_caller]
    fn check(e: &str, hint: i64, to: i64, expected: Option<&str>) {
        let found = size(e, hint).resized(to).map(|size| match size {
            SymInt::AsExpr(e) => e.expr_str,
            SymInt::AsInt(size) => size.to_string(),
        });
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn a_part_of_a_multiple_is_a_smaller_multiple() {
        let twelve = format!("Mul(Integer(12), {SYMBOL})");
        check(&twelve, 48, 24, Some(&format!("Mul(Integer(6), {SYMBOL})")));
        check(&twelve, 48, 4, Some(SYMBOL));
        check(&twelve, 48, 2, None);
        check(&format!("Mul(Integer(4), {SYMBOL}, {SYMBOL})"), 16, 4, Some(&format!("Mul({SYMBOL}, {SYMBOL})")));
    }

    #[test]
    fn a_symbol_alone_and_what_is_no_multiple_cannot_be_cut() {
        check(SYMBOL, 4, 3, None);
        check(&format!("Add({SYMBOL}, Integer(1))"), 5, 4, None);
        check(&format!("Mul(Integer(2), Add({SYMBOL}, Integer(1)))"), 10, 5, None);
        assert!(size(SYMBOL, 4).is_divisible());
        assert!(!size(&format!("Mul(Integer(-1), {SYMBOL})"), -4).is_divisible());
    }

    #[test]
    fn what_stays_is_what_it_was() {
        check("Max(Integer(1), anything)", 4, 4, Some("Max(Integer(1), anything)"));
        assert_eq!(SymInt::AsInt(4).json(), r#"{"as_int":4}"#);
    }
}
