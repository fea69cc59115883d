//! The one YAML writer of the project.

use serde_json::Value;

/// `value` as YAML that readers of YAML 1.1 and of 1.2 read back as the same value: words such as
/// `yes`, `1_000` or `0755` come out quoted. Keys keep their order, texts of several lines become
/// literal blocks, and no line is ever folded, so that a change of one word is a change of one line.
pub fn to_string(value: &Value) -> String {
    let options = serde_saphyr::ser_options! {
        folded_wrap_chars: usize::MAX,
    };
    let mut text = String::new();
    match serde_saphyr::to_fmt_writer_with_options(&mut text, value, options) {
        Ok(()) => text,
        // A JSON value holds nothing that YAML cannot: strings, finite numbers, lists and maps
        // with string keys; and writing to a String cannot fail.
        Err(error) => unreachable!("a JSON value that cannot be YAML: {error}"),
    }
}
