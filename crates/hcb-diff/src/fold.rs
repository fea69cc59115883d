//! The same change to many objects, told once.

use crate::cause::Cause;
use crate::context::{Context, Effect};
use crate::fields::Segment;
use crate::kinds;
use crate::pair::Action;
use crate::pair::Pair;
use crate::report::{Change, Field, Impact, Level, ObjectRef};
use crate::words::{abbreviated, subject};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Folds the pairs to changes, and what the rules say to impacts.
pub(crate) fn fold(context: &Context<'_>, effects: &[Effect]) -> (Vec<Change>, Vec<Impact>) {
    let mut levels: Vec<Option<Level>> = vec![None; context.pairs.len()];
    for effect in effects {
        for pair in &effect.pairs {
            levels[*pair] = levels[*pair].max(Some(effect.level));
        }
    }
    let (changes, change_of) = changes(context, &levels);
    let impacts = impacts(context, effects, &change_of);
    (changes, impacts)
}

/// What an object is called in a report.
fn reference(pair: &Pair) -> ObjectRef {
    let object = pair.object();
    ObjectRef {
        cluster: object.cluster.clone(),
        group: object.group().to_owned(),
        kind: object.kind().to_owned(),
        namespace: object.namespace().to_owned(),
        name: object.known_as().to_owned(),
        path: object.path.clone(),
    }
}

fn changes(context: &Context<'_>, levels: &[Option<Level>]) -> (Vec<Change>, Vec<usize>) {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut folded: Vec<Vec<Field>> = Vec::with_capacity(context.pairs.len());
    for (index, pair) in context.pairs.iter().enumerate() {
        let fields = fields(pair, true);
        let key = json!([
            levels[index].map(Level::word),
            pair.action,
            whole_cluster(context, pair).map_or_else(
                || kinds::display_name(pair.object().group_kind()),
                |name| format!("cluster {name}")
            ),
            if whole_cluster(context, pair).is_some() {
                ""
            } else {
                pair.object().group()
            },
            fields,
            context.causes[index],
        ]);
        groups.entry(key.to_string()).or_default().push(index);
        folded.push(fields);
    }
    let mut changes: Vec<(Change, Vec<usize>)> = groups
        .into_values()
        .map(|members| {
            let first = &context.pairs[members[0]];
            let as_it_is = fields(first, false);
            let are_alike = members
                .iter()
                .all(|index| fields(&context.pairs[*index], false) == as_it_is);
            let objects: Vec<_> = members
                .iter()
                .map(|index| reference(&context.pairs[*index]))
                .collect();
            let change = Change {
                action: first.action,
                level: levels[members[0]],
                subject: subject(&objects),
                fields: if are_alike {
                    as_it_is
                } else {
                    folded[members[0]].clone()
                },
                causes: context.causes[members[0]].clone(),
                objects,
            };
            (change, members)
        })
        .collect();
    changes.sort_by(|(left, _), (right, _)| {
        (right.level, left.action, &left.subject).cmp(&(left.level, right.action, &right.subject))
    });
    let mut change_of = vec![0; context.pairs.len()];
    for (position, (_, members)) in changes.iter().enumerate() {
        for member in members {
            change_of[*member] = position;
        }
    }
    (
        changes.into_iter().map(|(change, _)| change).collect(),
        change_of,
    )
}

/// The cluster that comes or goes as a whole with an object.
fn whole_cluster<'a>(context: &Context<'_>, pair: &'a Pair) -> Option<&'a str> {
    let object = pair.object();
    let cluster = object.target.as_deref().unwrap_or(&object.cluster);
    let is_whole = match pair.action {
        Action::Add => context.is_new(cluster),
        Action::Remove => context.is_gone(cluster),
        _ => false,
    };
    is_whole.then_some(cluster)
}

/// The fields of a pair; `folded` puts placeholders where the names of the cluster and of the object
/// stand, so that the same change to another object reads the same.
fn fields(pair: &Pair, folded: bool) -> Vec<Field> {
    let object = pair.object();
    let mut names: Vec<(&str, &str)> = Vec::new();
    if folded {
        names.push((object.known_as(), "{name}"));
        names.push((object.target.as_deref().unwrap_or_default(), "{target}"));
        names.push((&object.cluster, "{cluster}"));
        names.retain(|(name, _)| !name.is_empty());
    }
    let value = |value: &Option<Value>| value.as_ref().map(|value| replaced(value, &names));
    let mut fields: Vec<Field> = Vec::with_capacity(pair.fields.len());
    for field in &pair.fields {
        let is_element = matches!(field.path.0.last(), Some(Segment::Element(_)));
        let mut field = Field {
            path: replaced_text(&field.path.to_string(), &names),
            before: value(&field.before),
            after: value(&field.after),
        };
        if is_secret(pair, &field.path) {
            field.before = field.before.map(|_| "(hidden)".into());
            field.after = field.after.map(|_| "(hidden, another)".into());
        }
        match fields.last_mut() {
            // What is added to a list and what is removed from it is shown together.
            Some(last) if is_element && last.path == field.path && joins(last, &field) => {
                join(&mut last.before, field.before);
                join(&mut last.after, field.after);
            }
            _ => fields.push(field),
        }
    }
    fields
}

/// Whether a field holds what nobody may read.
fn is_secret(pair: &Pair, path: &str) -> bool {
    pair.object().group_kind() == kinds::SECRET
        && (path.starts_with("data") || path.starts_with("stringData"))
}

fn joins(left: &Field, right: &Field) -> bool {
    (left.before.is_none(), left.after.is_none()) == (right.before.is_none(), right.after.is_none())
}

fn join(list: &mut Option<Value>, item: Option<Value>) {
    let (Some(value), Some(item)) = (list.as_mut(), item) else {
        return;
    };
    match value {
        Value::Array(items) => items.push(item),
        first => *first = Value::Array(vec![first.take(), item]),
    }
}

fn replaced(value: &Value, names: &[(&str, &str)]) -> Value {
    if names.is_empty() {
        return value.clone();
    }
    match value {
        Value::String(text) => replaced_text(text, names).into(),
        Value::Array(items) => items.iter().map(|item| replaced(item, names)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (replaced_text(key, names), replaced(value, names)))
            .collect(),
        other => other.clone(),
    }
}

/// The text with names replaced where they stand as words.
fn replaced_text(text: &str, names: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (name, placeholder) in names {
        if !text.contains(name) {
            continue;
        }
        let mut result = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(name) {
            let is_part =
                |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '{' || c == '}');
            let before = rest[..at]
                .chars()
                .next_back()
                .or_else(|| result.chars().next_back());
            let after = rest[at + name.len()..].chars().next();
            result.push_str(&rest[..at]);
            result.push_str(if is_part(before) || is_part(after) {
                name
            } else {
                placeholder
            });
            rest = &rest[at + name.len()..];
        }
        result.push_str(rest);
        text = result;
    }
    text
}

fn impacts(context: &Context<'_>, effects: &[Effect], change_of: &[usize]) -> Vec<Impact> {
    // Effects that say the same are one impact: of objects of one kind, or of things of one sort.
    let mut groups: BTreeMap<(std::cmp::Reverse<Level>, usize, String), Vec<&Effect>> =
        BTreeMap::new();
    for (index, effect) in effects.iter().enumerate() {
        let about = match &effect.subject {
            Some(subject) => subject
                .split_once(' ')
                .map_or(subject.as_str(), |(sort, _)| sort)
                .to_owned(),
            // These say the same of every kind.
            None if effect.text == "deleted" || effect.text.starts_with("takes effect only") => {
                String::new()
            }
            None => effect
                .pairs
                .first()
                .map(|pair| context.pairs[*pair].object().group_kind().to_string())
                .unwrap_or_default(),
        };
        let key = format!("{} {about} {}", effect.rule, effect.text);
        let rule = crate::impact::RULES
            .iter()
            .position(|rule| rule.id == effect.rule)
            .unwrap_or(usize::MAX);
        let first = effects.iter().position(|other| {
            other.rule == effect.rule && other.level == effect.level && other.text == effect.text
        });
        // Within a rule, impacts are shown in the order in which they were found.
        let order = rule * effects.len() + first.unwrap_or(index);
        groups
            .entry((std::cmp::Reverse(effect.level), order, key))
            .or_default()
            .push(effect);
    }
    groups
        .into_values()
        .map(|group| {
            let first = group[0];
            let mut pairs: Vec<usize> = group
                .iter()
                .flat_map(|effect| effect.pairs.iter().copied())
                .collect();
            pairs.sort_unstable();
            pairs.dedup();
            let mut objects: Vec<_> = pairs
                .iter()
                .map(|pair| reference(&context.pairs[*pair]))
                .collect();
            objects.sort();
            let mut details: Vec<String> = Vec::new();
            for detail in group.iter().flat_map(|effect| &effect.details) {
                if !details.contains(detail) {
                    details.push(detail.clone());
                }
            }
            if details.len() > 8 {
                let more = details.len() - 8;
                details.truncate(8);
                details.push(format!("and {more} more"));
            }
            let subject = match &first.subject {
                Some(_) => things(&group),
                None => subject(&objects),
            };
            let causes = causes(context, &pairs, &group);
            let changes: BTreeSet<_> = pairs.iter().map(|pair| change_of[*pair]).collect();
            Impact {
                rule: first.rule.to_owned(),
                level: first.level,
                subject,
                effect: first.text.clone(),
                details,
                objects,
                causes,
                changes: changes.into_iter().collect(),
            }
        })
        .collect()
}

/// What leads to the effects; where that is not known, what leads to their objects.
fn causes(context: &Context<'_>, pairs: &[usize], group: &[&Effect]) -> Vec<Cause> {
    let known = group.iter().flat_map(|effect| effect.keys(context));
    let exact: BTreeSet<&Cause> = known
        .filter_map(|key| context.causes_of_effects.get(&key))
        .flatten()
        .collect();
    if !exact.is_empty() {
        return exact.into_iter().cloned().collect();
    }
    let of_pairs: BTreeSet<_> = pairs
        .iter()
        .flat_map(|pair| &context.causes[*pair])
        .collect();
    of_pairs.into_iter().cloned().collect()
}

/// Things that are no objects: `cluster a`, `workloads a, b, c`.
fn things(group: &[&Effect]) -> String {
    let mut subjects: Vec<&str> = group
        .iter()
        .filter_map(|effect| effect.subject.as_deref())
        .collect();
    subjects.sort_unstable();
    subjects.dedup();
    let split: Vec<_> = subjects
        .iter()
        .filter_map(|subject| subject.split_once(' '))
        .collect();
    if let [only] = subjects.as_slice() {
        (*only).to_owned()
    } else {
        let names: Vec<_> = split.iter().map(|(_, name)| (*name).to_owned()).collect();
        format!("{}s {}", split[0].0, abbreviated(&names, 6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_replace_whole_words_only() {
        let names = [("a", "{name}"), ("public", "{cluster}")];
        assert_eq!(
            replaced_text("a public-a: apublic, public/x {a}", &names),
            "{name} {cluster}-{name}: apublic, {cluster}/x {a}"
        );
    }
}
