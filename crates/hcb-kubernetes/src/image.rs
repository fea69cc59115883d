//! Image references: `[registry/]repository[:tag][@digest]`.

/// The tag of an image reference, where it has one.
pub fn tag(image: &str) -> Option<&str> {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last = name.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag)
}

/// What is wrong with an image reference, as half a sentence, or `None`. Source: the grammar of
/// `reference` in distribution/reference.
pub fn problem(image: &str) -> Option<String> {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last_slash = name.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match name[last_slash..].split_once(':') {
        Some((last, tag)) => (&name[..last_slash + last.len()], Some(tag)),
        None => (name, None),
    };
    if name.is_empty() {
        return Some("has no name".into());
    }
    let mut segments: Vec<_> = name.split('/').collect();
    // The first segment is a registry if it looks like a host.
    if segments.len() > 1 && (segments[0].contains(['.', ':']) || segments[0] == "localhost") {
        segments.remove(0);
    }
    if let Some(bad) = segments.iter().find(|segment| !is_path_component(segment)) {
        return Some(format!(
            "has the part `{bad}`, which is not lower-case letters and digits with single separators"
        ));
    }
    if let Some(tag) = tag {
        let good = !tag.is_empty()
            && tag.len() <= 128
            && !tag.starts_with(['.', '-'])
            && tag
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if !good {
            return Some(format!("has the tag `{tag}`, which is not one"));
        }
    }
    match digest {
        Some(digest) if !is_digest(digest) => Some(format!(
            "has the digest `{digest}`, which is not `sha256:` and 64 hexadecimal digits"
        )),
        _ => None,
    }
}

/// Whether a reference can come to mean another image: no digest, and no tag or `latest`.
pub fn floats(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn is_path_component(segment: &str) -> bool {
    let edge = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit());
    !segment.is_empty()
        && !segment.starts_with(edge)
        && !segment.ends_with(edge)
        && segment
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .chars()
                .all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::{floats, problem};

    #[test]
    fn valid_references_have_no_problem_and_others_have_one() {
        for good in [
            "busybox:1.37",
            "ghcr.io/acme/train:2026.11",
            "localhost:5000/a/b@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "python",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in [
            "",
            ":1",
            "Busybox",
            "a b",
            "a:",
            "a@sha256:1",
            "a//b",
            "http://x/y",
            "a:b:c",
        ] {
            assert!(problem(bad).is_some(), "{bad}");
        }
        assert!(floats("python") && floats("host:5000/a") && floats("a:latest"));
        assert!(!floats("a:1") && !floats("a@sha256:x"));
    }
}
