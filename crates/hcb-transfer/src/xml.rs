//! The XML of S3 and STS: elements with text, without attributes that matter.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// How deep elements may lie in each other. Answers of S3 are four deep.
const DEEPEST: usize = 32;

/// An element.
#[derive(Debug, Default)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root of a document. `None` where it is no XML.
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        // A store sends spaces while it completes an upload, which must not stand before a declaration.
        let document = std::str::from_utf8(document).ok()?.trim_start();
        let mut reader = Reader::from_str(document);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) if open.len() < DEEPEST => open.push(Self {
                    name: text_of(tag.local_name().as_ref())?,
                    ..Self::default()
                }),
                Event::Empty(tag) => open.last_mut()?.children.push(Self {
                    name: text_of(tag.local_name().as_ref())?,
                    ..Self::default()
                }),
                Event::End(_) => {
                    let element = open.pop()?;
                    open.last_mut()?.children.push(element);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::CData(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::GeneralRef(reference) => {
                    let text = &mut open.last_mut()?.text;
                    match reference.resolve_char_ref().ok()? {
                        Some(character) => text.push(character),
                        None => {
                            text.push_str(resolve_predefined_entity(&reference.decode().ok()?)?);
                        }
                    }
                }
                Event::Eof => break,
                Event::Start(_) => return None,
                _ => {}
            }
        }
        match open.pop() {
            Some(mut document) if open.is_empty() => document.children.pop(),
            _ => None,
        }
    }

    /// Its name, without a prefix.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The children of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of a name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of a name, where it is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let child = self.child(name)?;
        (!child.text.is_empty()).then_some(child.text.as_str())
    }
}

fn text_of(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_was_written() {
        let document = b"  <?xml version=\"1.0\"?>\n<s:List xmlns:s=\"x\"><Contents><Key> a &amp;&#x20;b&lt;\xc3\xa4 </Key></Contents><Contents><Key/></Contents></s:List>";
        let root = Element::parse(document).expect("a document");
        assert_eq!(root.name(), "List");
        let keys: Vec<_> = root.all("Contents").map(|one| one.text("Key")).collect();
        assert_eq!(keys, [Some(" a & b<\u{e4} "), None]);
    }

    #[test]
    fn a_text_that_is_not_xml_is_refused() {
        let deep = "<a>".repeat(1000);
        for text in ["", "no", "<a>", "<a><b></a>", "<a>&unknown;</a>", &deep] {
            assert!(Element::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
