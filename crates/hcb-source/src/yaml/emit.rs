//! The one YAML writer of the project.

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_saphyr::DoubleQuoted;

/// `value` as YAML that readers of YAML 1.1 and of 1.2 read back as the same value: words such as
/// `yes`, `1_000` or `0755` come out quoted. Keys keep their order, texts of several lines become
/// literal blocks where every reader can tell how far those are indented, and no line is ever folded,
/// so that a change of one word is a change of one line.
pub fn to_string(value: &Value) -> String {
    let options = serde_saphyr::ser_options! {
        folded_wrap_chars: usize::MAX,
    };
    let mut text = String::new();
    match serde_saphyr::to_fmt_writer_with_options(&mut text, &Styled(value), options) {
        Ok(()) => text,
        // A JSON value holds nothing that YAML cannot: strings, finite numbers, lists and maps
        // with string keys; and writing to a String cannot fail.
        Err(error) => unreachable!("a JSON value that cannot be YAML: {error}"),
    }
}

/// A value with a style for each of its texts.
struct Styled<'a>(&'a Value);

impl Serialize for Styled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) if !is_block(text) => {
                DoubleQuoted(text.as_str()).serialize(serializer)
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Styled)),
            Value::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(key, value)| (key, Styled(value))))
            }
            scalar => scalar.serialize(serializer),
        }
    }
}

/// Whether `text`, if it has several lines, may be a literal block. The first line that is not empty
/// tells readers how far the block is indented, so it must not begin with a blank: libyaml, which
/// Kubernetes reads with, refuses a tab there.
fn is_block(text: &str) -> bool {
    !text.contains('\n') || !text.trim_start_matches('\n').starts_with([' ', '\t'])
}
