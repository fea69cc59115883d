//! The plots of the page.

use crate::report::{MANIFESTS, list, number};
use serde_json::Value;
use std::fmt::Write as _;

/// Lines of (x, y) in a plot whose axes are both logarithmic, with a name each.
fn plot(title: &str, x: &str, lines: &[(String, Vec<(f64, f64)>)]) -> String {
    const COLORS: [&str; 8] = [
        "#0969da", "#57606a", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#0a3069",
    ];
    let points = || lines.iter().flat_map(|(_, points)| points);
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let all = points().map(of).map(f64::log10);
        (
            all.clone().fold(f64::INFINITY, f64::min).floor(),
            all.fold(f64::NEG_INFINITY, f64::max).ceil(),
        )
    };
    let ((left, right), (bottom, top)) = (bounds(|point| point.0), bounds(|point| point.1));
    let across = |x: f64| 60.0 + 480.0 * (x.log10() - left) / (right - left);
    let up = |y: f64| 330.0 - 290.0 * (y.log10() - bottom) / (top - bottom);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 370\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\" aria-label=\"{title}\">\n<rect width=\"720\" height=\"370\" fill=\"white\"/>\n<text x=\"60\" y=\"20\" font-size=\"14\">{title}</text>\n<text x=\"300\" y=\"364\" text-anchor=\"middle\">{x}</text>\n"
    );
    let mut at = left;
    while at <= right {
        let x = across(10f64.powf(at));
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} 40V330\" stroke=\"#d0d7de\"/><text x=\"{x:.1}\" y=\"346\" text-anchor=\"middle\">{}</text>",
            10f64.powf(at)
        );
        at += 1.0;
    }
    at = bottom;
    while at <= top {
        let y = up(10f64.powf(at));
        let _ = writeln!(
            svg,
            "<path d=\"M60 {y:.1}H540\" stroke=\"#d0d7de\"/><text x=\"54\" y=\"{:.1}\" text-anchor=\"end\">{} s</text>",
            y + 4.0,
            10f64.powf(at)
        );
        at += 1.0;
    }
    for (number, (name, points)) in lines.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let path: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{:.1} {:.1}", across(*x), up(*y)))
            .collect();
        let _ = writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            path.join("L")
        );
        for (x, y) in points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"/>",
                across(*x),
                up(*y)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"550\" y=\"{}\" fill=\"{color}\">{name}</text>",
            52 + 18 * number
        );
    }
    svg.push_str("</svg>\n");
    svg
}

pub(crate) fn scale(rows: &[Value]) -> String {
    let line = |name: &str, field: &str| {
        let mut points: Vec<_> = rows
            .iter()
            .map(|row| (number(&row["files"]), number(&row[field][0])))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        (name.to_owned(), points)
    };
    plot(
        "Compiling, checking and writing a fleet",
        MANIFESTS,
        &[
            line("hcb compile", "compile"),
            line("cp -r", "cp"),
            line("hcb compile --check", "check"),
            line("a round of --watch", "warm"),
        ],
    )
}

pub(crate) fn peers(results: &Value) -> String {
    let rows = list(&results["rows"]);
    let points = |of: &dyn Fn(&Value) -> Option<f64>| {
        let mut points: Vec<_> = rows
            .iter()
            .filter_map(|row| Some((number(&row["objects"]), of(row)?)))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let mut lines = vec![("hcb".to_owned(), points(&|row| row["hcb"][0].as_f64()))];
    for peer in list(&results["versions"]) {
        let name = peer[0].as_str().unwrap_or_default();
        lines.push((name.to_owned(), points(&|row| row["peers"][name].as_f64())));
    }
    plot("The same objects by other tools", "objects", &lines)
}
