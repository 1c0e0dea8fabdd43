//! The notation of rules: einops with product and sum, pinned and inexact marks, and which arguments are sizes.
//!
//! ```text
//! n (g i) !h..., (g o) i !k..., (g o) -> n (g o) !t... {groups=g; macs=(n g o i k... t...)}
//! ```
//!
//! Operands stand before `->` and results behind it, a term per dimension:
//!
//! | term | meaning |
//! |---|---|
//! | `a` | a factor; the same name is the same axis |
//! | `(a b)` | a product, row-major: the last varies fastest |
//! | `(a+b)` | one after the other |
//! | `!a` | pinned: it may never be cut |
//! | `~a` | inexact: cutting it changes a statistic over it |
//! | `1` | a dimension of size 1 that is no axis |
//! | `...` | a factor per dimension that is left, aligned at the right among operands as broadcasting does |
//! | `a...` | a factor per dimension that is left, of the same rank wherever it stands |
//! | `a[start:stop:step]` | the positions of a factor that a slice has, such as `a[::-1]` |
//!
//! In braces stand the arguments that are sizes of terms (`groups=g`, `size=[a, b...]`) and the multiply-accumulates
//! (`macs=(m n k)`). A mark holds wherever the factor stands; a tensor of rank 0 is written as nothing.

mod instantiate;
mod parse;

use std::fmt;

use super::rule::Mark;

/// A rule as it is written, before it is fitted to the ranks and sizes of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    names: Vec<Name>,
    operands: Vec<Vec<Expr>>,
    results: Vec<Vec<Expr>>,
    arguments: Vec<(String, Size)>,
    macs: Option<Expr>,
}

/// A factor, or an ellipsis that stands for several; the unnamed one has no text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    text: String,
    ellipsis: bool,
    mark: Mark,
}

/// A term as it is written. Marks are kept where they stand, so that a pattern prints as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expr {
    Unit,
    Name(usize, Mark),
    Product(Vec<Expr>),
    Sum(Vec<Expr>),
    Slice(usize, Mark, [Option<i64>; 3]),
}

/// What an argument is the size of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Size {
    One(Expr),
    List(Vec<Expr>),
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side =
            |tensors: &[Vec<Expr>]| tensors.iter().map(|tensor| self.join(tensor, " ")).collect::<Vec<_>>().join(", ");
        let axes = format!("{} -> {}", side(&self.operands).trim_end(), side(&self.results));
        f.write_str(axes.trim())?;
        let mut entries: Vec<String> = self
            .arguments
            .iter()
            .map(|(name, size)| match size {
                Size::One(expr) => format!("{name}={}", self.text(expr)),
                Size::List(list) => format!("{name}=[{}]", self.join(list, ", ")),
            })
            .collect();
        entries.extend(self.macs.iter().map(|macs| format!("macs={}", self.text(macs))));
        if entries.is_empty() { Ok(()) } else { write!(f, " {{{}}}", entries.join("; ")) }
    }
}

impl Pattern {
    fn join(&self, exprs: &[Expr], separator: &str) -> String {
        exprs.iter().map(|expr| self.text(expr)).collect::<Vec<_>>().join(separator)
    }

    fn text(&self, expr: &Expr) -> String {
        match expr {
            Expr::Unit => "1".to_owned(),
            Expr::Name(name, mark) => {
                let Name { text, ellipsis, .. } = &self.names[*name];
                format!("{}{text}{}", mark.sign(), if *ellipsis { "..." } else { "" })
            }
            Expr::Product(terms) => format!("({})", self.join(terms, " ")),
            Expr::Sum(terms) => format!("({})", self.join(terms, "+")),
            Expr::Slice(name, mark, [from, to, step]) => {
                let part = |bound: &Option<i64>| bound.map_or_else(String::new, |bound| bound.to_string());
                let step = step.map_or_else(String::new, |step| format!(":{step}"));
                format!("{}{}[{}:{}{step}]", mark.sign(), self.names[*name].text, part(from), part(to))
            }
        }
    }
}

/// The pattern of a rule that is written in a function of the table, parsed when it is first met.
macro_rules! pattern {
    ($text:expr) => {{
        static PATTERN: std::sync::LazyLock<$crate::ops::notation::Pattern> =
            std::sync::LazyLock::new(|| $text.parse().expect("each pattern of the table is met by a test"));
        &*PATTERN
    }};
}
pub(crate) use pattern;

#[cfg(test)]
mod tests {
    use super::Pattern;
    use crate::ops::testing::op;

    #[test]
    fn patterns_print_as_they_are_written() {
        for text in [
            "n (g i) !h..., (g o) i !k..., (g o) -> n (g o) !t... {groups=g; macs=(n g o i k... t...)}",
            "... a, ... b -> ... (a+b)",
            "~a 1, !b... -> a[::-1] {size=[a, b...]}",
            "a -> a[1:-1], a[:2:3]",
            "k, k ->",
            "-> a b",
            ", a, -> a",
            "a b -> ((a b)+(b a))",
            "h' -> h' {macs=((h' h')+h')}",
        ] {
            assert_eq!(text.parse::<Pattern>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_rule_says_where() {
        for (text, problem) in [
            ("a b", "expected `->` at column 4"),
            ("a -> (a", "expected a term or `)` at column 8"),
            ("a -> (a+", "expected a term at column 9"),
            ("a -> ()", "expected a term at column 7"),
            ("a -> a {size}", "expected `=` at column 13"),
            ("a -> a {size=a", "expected `;` or `}` at column 15"),
            ("a -> !", "expected a factor after the mark at column 7"),
            ("a -> a b?", "expected a term, `,`, `->` or `{` at column 9"),
            ("a -> a[0]", "expected `:` at column 9"),
            ("a -> a[::0]", "a step is not 0 at column 11"),
            ("a -> (a[::-1] a)", "a slice is a dimension by itself at column 16"),
            ("... ... ->", "a tensor has one unnamed ellipsis at most at column 8"),
            ("a a... ->", "a name is that of a factor or of an ellipsis, not of both at column 7"),
            ("é -> a", "expected `->` at column 1"),
        ] {
            assert_eq!(text.parse::<Pattern>().expect_err(text).to_string(), format!("rule `{text}`: {problem}"));
        }
        let error = "!a -> ~a".parse::<Pattern>().expect_err("two marks").to_string();
        assert_eq!(error, "rule `!a -> ~a`: factor `a` is marked both `!` and `~`");
    }

    #[test]
    fn sizes_are_found_one_unknown_at_a_time() {
        let found = |op: crate::ops::testing::Op, text| op.under(text).expect(text).to_string();
        assert_eq!(found(op("my::op").t("x", [6]).t("y", [2]).gives([3]), "(a b), a -> b"), "(a b), a -> b");
        assert_eq!(found(op("my::op").t("x", [6]).t("y", [2]).gives([4]), "(a+b), a -> b"), "(a+b), a -> b");
        assert_eq!(found(op("my::op").t("x", [6]).none("y").gives([6]), "a, b... c -> a"), "a -> a");
        let error = op("my::op").t("x", [6]).gives([2]).under("(a b) -> c").expect_err("no size").to_string();
        assert_eq!(error, "n0 (my::op): the size of factor `a` cannot be told from the shapes");
        let error = op("my::op").t("x", [6, 2]).gives([2]).under("a... b... -> c").expect_err("no size").to_string();
        assert_eq!(error, "n0 (my::op): the size of factor `a...` cannot be told from the shapes");
    }
}
