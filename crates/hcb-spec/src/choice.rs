//! What can be chosen by name.

/// Makes an enum of what can be chosen, the list of all of it, and a function from each to what is known of it, so
/// that one row adds one. The enum is public; the visibility is that of the list and of the function.
macro_rules! choice {
    (
        $(#[$attribute:meta])*
        $visible:vis enum $name:ident, $(#[$about:meta])* $of:ident: $known:ty {
            $($(#[$each:meta])* $variant:ident => $value:expr,)*
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $($(#[$each])* $variant,)*
        }

        impl $name {
            /// Everything that can be chosen.
            $visible const ALL: &'static [Self] = &[$(Self::$variant,)*];

            $(#[$about])*
            $visible fn $of(self) -> $known {
                match self {
                    $(Self::$variant => $value,)*
                }
            }
        }
    };
}

pub(crate) use choice;
