//! Methods that give a criterion another setting.

/// `with_reduction` and the like, by the names of fields.
macro_rules! settings {
    ($criterion:ty: $($(#[$doc:meta])* $method:ident $field:ident: $kind:ty,)*) => {
        impl $criterion {
            $($(#[$doc])*
            #[must_use]
            pub fn $method(mut self, $field: $kind) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

pub(crate) use settings;
