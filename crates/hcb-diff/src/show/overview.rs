//! The clusters as a picture: tiers from left to right in the order in which they are filled, and what
//! changes marked by colour, line and word.

use crate::report::{ClusterChange, ClusterFacts, Report};
use std::fmt::Write as _;

const COLUMN: usize = 264;
const BOX_WIDTH: usize = 224;
const BOX_HEIGHT: usize = 124;
const GAP: usize = 18;
const TOP: usize = 64;
const LEFT: usize = 12;

/// A column: a tier with its clusters.
struct Tier<'a> {
    name: String,
    clusters: Vec<&'a ClusterChange>,
}

/// The picture as SVG, in the colours of the page that it stands in; none where there is no cluster.
pub(crate) fn svg(report: &Report) -> Option<String> {
    if report.clusters.is_empty() {
        return None;
    }
    let tiers = tiers(report);
    let rows = tiers
        .iter()
        .map(|tier| tier.clusters.len())
        .max()
        .unwrap_or_default();
    let width = LEFT * 2 + (tiers.len() - 1) * COLUMN + BOX_WIDTH;
    let height = TOP + rows * (BOX_HEIGHT + GAP);
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg role=\"img\" aria-labelledby=\"overview-title overview-text\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"overview-title\">Clusters by tier</title>\n<desc id=\"overview-text\">{}</desc>\n",
        escaped(&described(&tiers))
    );
    svg.push_str("<defs><marker id=\"tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" class=\"tip\"/></marker></defs>\n");
    for (column, tier) in tiers.iter().enumerate() {
        let x = LEFT + column * COLUMN;
        let place = match column {
            _ if tier.name.is_empty() => "clusters".to_owned(),
            0 => format!("tier {} · filled first", tier.name),
            _ => format!("tier {} · when the ones before are full", tier.name),
        };
        let (name, when) = place.split_once(" · ").unwrap_or((&place, ""));
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"20\" class=\"tier\">{}</text>",
            escaped(name)
        );
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"38\" class=\"small\">{}</text>",
            escaped(when)
        );
        if column > 0 {
            let from = x - COLUMN + BOX_WIDTH + 4;
            let y = TOP + BOX_HEIGHT / 2;
            let _ = writeln!(
                svg,
                "<line x1=\"{from}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" class=\"flow\" marker-end=\"url(#tip)\"/>",
                x - 4
            );
            let _ = writeln!(
                svg,
                "<text x=\"{from}\" y=\"{}\" class=\"small\">jobs</text>",
                y - 8
            );
        }
        for (row, cluster) in tier.clusters.iter().enumerate() {
            let y = TOP + row * (BOX_HEIGHT + GAP);
            draw(&mut svg, cluster, x, y);
        }
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn tiers(report: &Report) -> Vec<Tier<'_>> {
    let mut tiers: Vec<Tier<'_>> = Vec::new();
    for cluster in &report.clusters {
        let facts = cluster.after.as_ref().or(cluster.before.as_ref());
        let name = facts.map(|facts| facts.tier.clone()).unwrap_or_default();
        match tiers.iter_mut().find(|tier| tier.name == name) {
            Some(tier) => tier.clusters.push(cluster),
            None => tiers.push(Tier {
                name,
                clusters: vec![cluster],
            }),
        }
    }
    tiers
}

/// What happens to a cluster, in a word.
fn state(cluster: &ClusterChange) -> (&'static str, String) {
    match (&cluster.before, &cluster.after) {
        (None, Some(_)) => ("new", "new".to_owned()),
        (Some(_), None) => ("gone", "removed".to_owned()),
        _ if cluster.differing == 0 => ("same", "unchanged".to_owned()),
        _ if cluster.differing == 1 => ("changed", "1 object differs".to_owned()),
        _ => ("changed", format!("{} objects differ", cluster.differing)),
    }
}

fn draw(svg: &mut String, cluster: &ClusterChange, x: usize, y: usize) {
    let (class, word) = state(cluster);
    let level = cluster.level.map_or("", |level| level.word());
    let _ = writeln!(
        svg,
        "<g class=\"cluster {class} {level}\"><rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"8\"/>"
    );
    let left = x + 14;
    let mut line = |offset: usize, class: &str, text: &str| {
        let _ = writeln!(
            svg,
            "<text x=\"{left}\" y=\"{}\" class=\"{class}\">{}</text>",
            y + offset,
            escaped(text)
        );
    };
    line(24, "name", &cluster.name);
    let source = if cluster.is_source {
        "jobs are created here"
    } else {
        ""
    };
    line(41, "small", source);
    let (nodes, nodes_differ) =
        before_and_after(cluster, |facts| match (facts.min_nodes, facts.max_nodes) {
            (min, max) if min == max => format!("{max} nodes"),
            (min, max) => format!("{min} to {max} nodes"),
        });
    line(60, if nodes_differ { "differs" } else { "fact" }, &nodes);
    let (weight, weight_differs) =
        before_and_after(cluster, |facts| format!("weight {}", facts.weight));
    line(77, if weight_differs { "differs" } else { "fact" }, &weight);
    let (share, share_differs) =
        before_and_after(cluster, |facts| format!("{:.0}% of its tier", facts.share));
    line(94, if share_differs { "differs" } else { "fact" }, &share);
    let word = if level.is_empty() {
        word
    } else {
        format!("{word} · {level}")
    };
    line(113, "state", &word);
    svg.push_str("</g>\n");
}

/// A fact before and after, and whether it differs.
fn before_and_after(
    cluster: &ClusterChange,
    fact: impl Fn(&ClusterFacts) -> String,
) -> (String, bool) {
    let before = cluster.before.as_ref().map(&fact);
    let after = cluster.after.as_ref().map(&fact);
    match (before, after) {
        (Some(before), Some(after)) if before != after => (
            format!("{} → {after}", without_common_end(&before, &after)),
            true,
        ),
        (_, Some(fact)) | (Some(fact), None) => (fact, false),
        (None, None) => (String::new(), false),
    }
}

/// A fact without the words at its end that another has too: `4` of `4 nodes`.
fn without_common_end<'a>(before: &'a str, after: &str) -> &'a str {
    let mut cut = before;
    let mut rest = after;
    while let (Some((head, word)), Some((other, same))) =
        (cut.rsplit_once(' '), rest.rsplit_once(' '))
    {
        if word != same || head.chars().all(char::is_alphabetic) {
            break;
        }
        (cut, rest) = (head, other);
    }
    cut
}

/// The picture in words.
fn described(tiers: &[Tier<'_>]) -> String {
    let tiers: Vec<_> = tiers
        .iter()
        .map(|tier| {
            let clusters: Vec<_> = tier
                .clusters
                .iter()
                .map(|cluster| format!("{} ({})", cluster.name, state(cluster).1))
                .collect();
            format!("{}: {}", tier.name, clusters.join(", "))
        })
        .collect();
    tiers.join("; ")
}

/// A text that is no markup.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
