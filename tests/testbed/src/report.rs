//! What an experiment showed, for people: a table and a picture.

use crate::judge::{Load, Verdict};
use crate::scenario::Scenario;
use std::fmt::Write;

/// The name of a row, and what stands in it for a set-up.
type Row<'a> = (&'a str, &'a dyn Fn(&Verdict) -> String);

/// The verdicts of one scenario as a Markdown table, one column a set-up.
pub fn table(scenario: &Scenario, verdicts: &[Verdict]) -> String {
    let mut text = format!("### {}\n\n{}\n\n|", scenario.name, scenario.title);
    for verdict in verdicts {
        let _ = write!(text, " | {}", verdict.setup);
    }
    text.push_str(" |\n| --- |");
    text.push_str(&" --- |".repeat(verdicts.len()));
    text.push('\n');
    let optional = |seconds: Option<f64>| {
        seconds.map_or_else(|| "—".to_owned(), |seconds| format!("{seconds:.1} s"))
    };
    let rows: [Row<'_>; 11] = [
        ("jobs", &|verdict| verdict.placements.len().to_string()),
        ("ran in", &|verdict| {
            let placed: Vec<_> = verdict
                .placed
                .iter()
                .map(|(cluster, count)| format!("{cluster} {count}"))
                .collect();
            placed.join(", ")
        }),
        ("**premature bursts**", &|verdict| {
            format!("**{}**", verdict.premature_bursts)
        }),
        ("**speculative candidates**", &|verdict| {
            format!("**{}**", verdict.speculative_candidates)
        }),
        ("nodes bought", &|verdict| verdict.nodes_bought.to_string()),
        ("cost of the nodes", &|verdict| {
            format!("{:.4}", verdict.cost)
        }),
        ("private full → first burst", &|verdict| {
            optional(verdict.first_burst_after)
        }),
        ("first node → first burst", &|verdict| {
            optional(verdict.first_burst_after_node)
        }),
        ("first node takes pods → first burst", &|verdict| {
            optional(verdict.first_burst_after_ready)
        }),
        ("stranded; never ran", &|verdict| {
            format!("{}; {}", verdict.stranded, verdict.never_ran)
        }),
        ("longest wait", &|verdict| {
            format!("{:.1} s", verdict.longest_wait)
        }),
    ];
    for (name, cell) in rows {
        let _ = write!(text, "| {name}");
        for verdict in verdicts {
            let _ = write!(text, " | {}", cell(verdict));
        }
        text.push_str(" |\n");
    }
    text
}

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 72.0;
const GAP: f64 = 46.0;
const PANEL: f64 = LEFT + WIDTH + 24.0;

/// Load over time by cluster, one column a set-up and one row a cluster, with the jobs that wait below.
pub fn picture(scenario: &Scenario, verdicts: &[Verdict]) -> String {
    let clusters: Vec<&String> = verdicts
        .iter()
        .flat_map(|verdict| verdict.loads.keys())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let most_time = verdicts
        .iter()
        .map(|verdict| verdict.seconds)
        .fold(1.0, f64::max);
    let (rows, columns) = (clusters.len() as f64 + 1.0, verdicts.len() as f64);
    let (width, height) = (columns * PANEL + 10.0, TOP + rows * (HEIGHT + GAP) + 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"15\" font-weight=\"bold\">{}</text>\n",
        escape(scenario.title)
    );
    legend(&mut svg);
    for (column, verdict) in verdicts.iter().enumerate() {
        let x = column as f64 * PANEL + LEFT;
        let summary = format!(
            "{}: {} premature, {} speculative, {} nodes bought",
            verdict.setup,
            verdict.premature_bursts,
            verdict.speculative_candidates,
            verdict.nodes_bought
        );
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" font-weight=\"bold\">{}</text>",
            TOP - 8.0,
            escape(&summary)
        );
        for (row, cluster) in clusters.iter().enumerate() {
            let most = verdicts
                .iter()
                .filter_map(|verdict| verdict.loads.get(*cluster))
                .flatten()
                .map(|load| load.capacity_cpu.max(load.jobs_cpu + load.other_cpu))
                .fold(1.0, f64::max);
            let frame = Frame {
                x,
                y: TOP + row as f64 * (HEIGHT + GAP) + 16.0,
                most_time,
                most,
            };
            frame.draw(&mut svg, &format!("{cluster}, CPUs"));
            let loads = verdict.loads.get(*cluster).map_or(&[][..], Vec::as_slice);
            let of = |value: &dyn Fn(&Load) -> f64| {
                loads
                    .iter()
                    .map(|load| (load.time, value(load)))
                    .collect::<Vec<_>>()
            };
            frame.area(
                &mut svg,
                &of(&|load| load.jobs_cpu + load.other_cpu),
                "#b9bec7",
            );
            frame.area(
                &mut svg,
                &of(&|load| load.jobs_cpu),
                if row == 0 { "#4c8bf5" } else { "#f59e4c" },
            );
            frame.line(&mut svg, &of(&|load| load.capacity_cpu), "#222", "4 3");
            for placement in verdict.placements.iter().filter(|placement| {
                placement.premature && placement.cluster.as_ref() == Some(*cluster)
            }) {
                let (px, py) = frame.at(placement.bound.unwrap_or_default(), 0.0);
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" fill=\"#d4351c\"/>"
                );
            }
        }
        let most = verdicts
            .iter()
            .flat_map(|verdict| &verdict.waiting)
            .map(|(_, count)| *count as f64)
            .fold(1.0, f64::max);
        let frame = Frame {
            x,
            y: TOP + clusters.len() as f64 * (HEIGHT + GAP) + 16.0,
            most_time,
            most,
        };
        frame.draw(&mut svg, "jobs that wait");
        let waiting: Vec<_> = verdict
            .waiting
            .iter()
            .map(|(time, count)| (*time, *count as f64))
            .collect();
        frame.area(&mut svg, &waiting, "#9b6bdf");
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    let entries = [
        ("#4c8bf5", "jobs in the first cluster"),
        ("#f59e4c", "jobs in another"),
        ("#b9bec7", "other pods"),
        ("#222", "capacity (dashed)"),
        ("#d4351c", "premature burst"),
        ("#9b6bdf", "waiting"),
    ];
    for (index, (colour, name)) in entries.iter().enumerate() {
        let x = LEFT + index as f64 * 165.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"30\" width=\"11\" height=\"11\" fill=\"{colour}\"/><text x=\"{}\" y=\"40\">{name}</text>",
            x + 16.0
        );
    }
}

/// The axes of one diagram.
struct Frame {
    x: f64,
    y: f64,
    most_time: f64,
    most: f64,
}

impl Frame {
    fn at(&self, time: f64, value: f64) -> (f64, f64) {
        let x = self.x + WIDTH * (time / self.most_time).clamp(0.0, 1.0);
        (
            x,
            self.y + HEIGHT - HEIGHT * (value / self.most).clamp(0.0, 1.0),
        )
    }

    fn draw(&self, svg: &mut String, title: &str) {
        let (x, y) = (self.x, self.y);
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" fill=\"#444\">{}</text>",
            y - 6.0,
            escape(title)
        );
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#f7f7f9\" stroke=\"#ccc\"/>"
        );
        for step in [0.0, 0.5, 1.0] {
            let (_, line) = self.at(0.0, self.most * step);
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#666\">{:.0}</text>",
                x - 6.0,
                line + 4.0,
                self.most * step
            );
            let (across, _) = self.at(self.most_time * step, 0.0);
            let _ = writeln!(
                svg,
                "<text x=\"{across}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">{:.0} s</text>",
                y + HEIGHT + 15.0,
                self.most_time * step
            );
        }
    }

    /// Steps from each moment to the next.
    fn steps(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let mut steps = Vec::new();
        let mut last = None;
        for (time, value) in points {
            if let Some(last) = last {
                steps.push(self.at(*time, last));
            }
            steps.push(self.at(*time, *value));
            last = Some(*value);
        }
        steps
    }

    fn area(&self, svg: &mut String, points: &[(f64, f64)], colour: &str) {
        let steps = self.steps(points);
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
            return;
        };
        let floor = self.y + HEIGHT;
        let _ = write!(svg, "<path d=\"M{:.1} {floor:.1}", first.0);
        for (x, y) in &steps {
            let _ = write!(svg, "L{x:.1} {y:.1}");
        }
        let _ = writeln!(svg, "L{:.1} {floor:.1}Z\" fill=\"{colour}\"/>", last.0);
    }

    fn line(&self, svg: &mut String, points: &[(f64, f64)], colour: &str, dashes: &str) {
        let text: Vec<_> = self
            .steps(points)
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.4\" stroke-dasharray=\"{dashes}\"/>",
            text.join(" ")
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
