//! Finds what in the spec leads to a difference.
//!
//! Both specs are needed. Each piece of text that changed is put into the old spec alone, which is then
//! compiled: what differs is what the piece leads to. What no piece leads to alone counts as the effect of
//! all pieces together.

use crate::cause::{Cause, Causes, Compiled, Texts};
use crate::compare::effect_keys;
use crate::read::SpecPlace;
use rayon::prelude::*;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::BTreeSet;

/// More pieces than this are not tried one by one: each costs a compilation.
const MOST_PIECES: usize = 24;
/// Of a piece, more lines than this are not kept.
const MOST_LINES: usize = 12;

/// A piece of text that changed.
#[derive(Debug, Clone)]
struct Piece {
    file: String,
    /// The lines before that it takes the place of.
    old: std::ops::Range<usize>,
    new: std::ops::Range<usize>,
}

/// Leads the files that differ between two compiled specs, and what that does, back to the lines that
/// changed. `compile` compiles a spec, and has `None` for one that does not compile; more pieces than
/// `most` are not tried one by one.
pub fn find(
    before: (&Texts, &Compiled),
    after: (&Texts, &Compiled),
    most: usize,
    compile: impl Fn(&Texts) -> Option<Compiled> + Sync,
) -> Causes {
    let pieces = pieces(before.0, after.0);
    let differing = differing(before.1, after.1);
    let mut found = Causes::default();
    if pieces.is_empty() {
        return found;
    }
    let causes: Vec<_> = pieces
        .iter()
        .map(|piece| cause(piece, before.0, after.0))
        .collect();
    if pieces.len() == 1 {
        found.of_files = differing
            .into_iter()
            .map(|path| (path, causes.clone()))
            .collect();
        return found;
    }
    if pieces.len() <= most.min(MOST_PIECES) {
        let all = effect_keys(before.1, after.1);
        let tried: Vec<(BTreeSet<String>, BTreeSet<String>)> = pieces
            .par_iter()
            .enumerate()
            .map(|(index, piece)| {
                let alone = with(before.0, after.0, std::slice::from_ref(piece));
                if let Some(tree) = compile(&alone) {
                    let effects = effect_keys(before.1, &tree);
                    return (self::differing(before.1, &tree), effects);
                }
                // What a piece that needs another one leads to shows in what is missing without it.
                let mut others = pieces.clone();
                others.remove(index);
                let Some(tree) = compile(&with(before.0, after.0, &others)) else {
                    return Default::default();
                };
                let effects = effect_keys(before.1, &tree);
                let missing = all.difference(&effects).cloned().collect();
                (self::differing(&tree, after.1), missing)
            })
            .collect();
        for (cause, (paths, effects)) in causes.iter().zip(tried) {
            for path in paths {
                found.of_files.entry(path).or_default().push(cause.clone());
            }
            for effect in effects {
                found
                    .of_effects
                    .entry(effect)
                    .or_default()
                    .push(cause.clone());
            }
        }
    }
    for path in differing {
        found.of_files.entry(path).or_insert_with(|| {
            let few = causes.len() <= 3;
            if few { causes.clone() } else { Vec::new() }
        });
    }
    found.of_files.retain(|_, causes| !causes.is_empty());
    found
}

/// The paths whose bytes are not the same.
fn differing(before: &Compiled, after: &Compiled) -> BTreeSet<String> {
    before
        .keys()
        .chain(after.keys())
        .filter(|path| before.get(*path) != after.get(*path))
        .cloned()
        .collect()
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The pieces that differ. A piece in which several keys changed is taken apart line by line, where
/// each line of it takes the place of one.
fn pieces(before: &Texts, after: &Texts) -> Vec<Piece> {
    let files: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut pieces = Vec::new();
    for file in files {
        let of = |texts: &Texts| texts.get(file).cloned().unwrap_or_default();
        let (old, new) = (of(before), of(after));
        let (old, new) = (lines(&old), lines(&new));
        for op in capture_diff_slices(Algorithm::Patience, &old, &new) {
            let (old_range, new_range) = (op.old_range(), op.new_range());
            match op {
                DiffOp::Equal { .. } => {}
                DiffOp::Replace { .. } if old_range.len() == new_range.len() => {
                    pieces.extend(old_range.zip(new_range).map(|(old, new)| Piece {
                        file: file.clone(),
                        old: old..old + 1,
                        new: new..new + 1,
                    }));
                }
                _ => pieces.push(Piece {
                    file: file.clone(),
                    old: old_range,
                    new: new_range,
                }),
            }
        }
    }
    // Comments and blank lines lead to nothing.
    pieces.retain(|piece| {
        let says = |texts: &Texts, range: &std::ops::Range<usize>| {
            let text = texts
                .get(&piece.file)
                .map(String::as_str)
                .unwrap_or_default();
            lines(text)[range.clone()].iter().any(|line| {
                let line = line.trim();
                !line.is_empty() && !line.starts_with('#')
            })
        };
        says(before, &piece.old) || says(after, &piece.new)
    });
    pieces
}

/// The old texts with some of the pieces in them.
fn with(before: &Texts, after: &Texts, pieces: &[Piece]) -> Texts {
    let mut texts = before.clone();
    let files: BTreeSet<&String> = pieces.iter().map(|piece| &piece.file).collect();
    for file in files {
        let of = |texts: &Texts| texts.get(file).cloned().unwrap_or_default();
        let (old, new) = (of(before), of(after));
        let (old, new) = (lines(&old), lines(&new));
        let mut text = String::new();
        let mut at = 0;
        for piece in pieces.iter().filter(|piece| piece.file == *file) {
            text.extend(old[at..piece.old.start].iter().copied());
            text.extend(new[piece.new.clone()].iter().copied());
            at = piece.old.end;
        }
        text.extend(old[at..].iter().copied());
        if text.trim().is_empty() {
            texts.remove(file);
        } else {
            texts.insert(file.clone(), text);
        }
    }
    texts
}

fn cause(piece: &Piece, before: &Texts, after: &Texts) -> Cause {
    let cut = |texts: &Texts, range: &std::ops::Range<usize>| -> Vec<String> {
        let text = texts
            .get(&piece.file)
            .map(String::as_str)
            .unwrap_or_default();
        let mut all = &lines(text)[range.clone()];
        // Blank lines and ends of documents around it say nothing.
        let says_nothing = |line: &&str| matches!(line.trim(), "" | "---");
        while let Some((_, rest)) = all.split_first().filter(|(first, _)| says_nothing(first)) {
            all = rest;
        }
        while let Some((_, rest)) = all.split_last().filter(|(last, _)| says_nothing(last)) {
            all = rest;
        }
        // What all lines have in common before them says nothing.
        let indent = all
            .iter()
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.len() - line.trim_start().len())
            .min()
            .unwrap_or_default();
        let mut cut: Vec<_> = all
            .iter()
            .take(MOST_LINES)
            .map(|line| line.get(indent..).unwrap_or_default().trim_end().to_owned())
            .collect();
        if all.len() > MOST_LINES {
            cut.push(format!("… {} more lines", all.len() - MOST_LINES));
        }
        cut
    };
    let line = if piece.new.is_empty() {
        // Where it was: the line that is there now, if the file is still there.
        if after.contains_key(&piece.file) {
            piece.new.start.max(1)
        } else {
            piece.old.start + 1
        }
    } else {
        piece.new.start + 1
    };
    Cause {
        place: SpecPlace {
            file: piece.file.clone(),
            line: Some(line),
            column: None,
        },
        before: cut(before, &piece.old),
        after: cut(after, &piece.new),
    }
}
