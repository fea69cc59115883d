//! Defaults that more than one section has.

/// The default of a section is an empty section, so that each default is in one place.
macro_rules! default_is_the_empty_section {
    ($($section:ty),*) => {$(
        impl Default for $section {
            fn default() -> Self {
                match serde_json::from_value(serde_json::Value::Object(serde_json::Map::new())) {
                    Ok(section) => section,
                    Err(error) => unreachable!("every field has a default: {error}"),
                }
            }
        }
    )*};
}

pub(crate) use default_is_the_empty_section;

pub(crate) fn yes() -> bool {
    true
}
pub(crate) fn two() -> u32 {
    2
}
