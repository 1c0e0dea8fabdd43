//! Axis expressions: what one dimension of one tensor is made of.

use std::fmt;
use std::sync::Arc;

use crate::ids::AxisId;

/// One dimension of one tensor in terms of axis variables.
#[derive(Clone, PartialEq)]
pub enum Expr {
    /// An axis variable.
    Axis(AxisId),
    /// A product, row-major: the last element varies fastest. The empty product has size 1.
    Product(Arc<[Expr]>),
    /// Elements one after the other. The empty sum has size 0.
    Sum(Arc<[Expr]>),
    /// Position `i` is the coordinate `indices[i]` of the axis variable.
    Index(AxisId, Arc<[u32]>),
}

impl Expr {
    /// The dimension of size 1 that is no axis.
    pub fn unit() -> Self {
        Self::product(Vec::new())
    }

    /// A product of any number of elements; of one, that element.
    pub fn product(mut elements: Vec<Self>) -> Self {
        if elements.len() == 1 { elements.remove(0) } else { Self::Product(elements.into()) }
    }

    /// A sum of any number of elements; of one, that element.
    pub fn sum(mut elements: Vec<Self>) -> Self {
        if elements.len() == 1 { elements.remove(0) } else { Self::Sum(elements.into()) }
    }

    /// Calls `visit` with every axis variable in it, as often as it occurs.
    pub fn each_axis(&self, visit: &mut impl FnMut(AxisId)) {
        match self {
            Self::Axis(axis) | Self::Index(axis, _) => visit(*axis),
            Self::Product(elements) | Self::Sum(elements) => elements.iter().for_each(|e| e.each_axis(visit)),
        }
    }

    /// Whether `axis` occurs in it.
    pub fn contains(&self, axis: AxisId) -> bool {
        match self {
            Self::Axis(other) | Self::Index(other, _) => *other == axis,
            Self::Product(elements) | Self::Sum(elements) => elements.iter().any(|e| e.contains(axis)),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, elements: &[Self], between: &str| {
            f.write_str("(")?;
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    f.write_str(between)?;
                }
                write!(f, "{element}")?;
            }
            f.write_str(")")
        };
        match self {
            Self::Axis(axis) => write!(f, "{axis}"),
            Self::Product(elements) if elements.is_empty() => f.write_str("1"),
            Self::Product(elements) => list(f, elements, " "),
            Self::Sum(elements) => list(f, elements, "+"),
            Self::Index(axis, indices) => write!(f, "{axis}[{} positions]", indices.len()),
        }
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
