//! `cargo xtask bench --growth`: how costs grow, as curves in `docs/images` and as a table in `docs/growth.md`.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::plot::Chart;
use super::report::{self, time};
use super::{machine, programs};
use crate::ctx::Ctx;

/// The page whose table is replaced.
const PAGE: &str = "docs/growth.md";

/// The charts: a name, a title, and what x counts.
const CHARTS: [(&str, &str, &str); 6] = [
    ("buffers", "One operation, by live buffers", "buffers of 64 B in the region"),
    ("close", "Freeing a whole region, by its buffers", "buffers of 64 B in the region"),
    ("regions", "One operation, by regions used in turns", "regions"),
    ("threads", "One operation of all threads together, on 2 processors", "threads in one region"),
    ("processes", "One operation, by attached processes", "attached processes"),
    ("attach", "Attaching, by what the heap holds", "MiB with pages"),
];

type Series = Vec<(String, Vec<(f64, f64)>)>;

/// Measures all charts and draws them.
pub fn run(ctx: &Ctx, quick: bool) -> Result<()> {
    let mut command = programs::rust(ctx, "weaveheap-bench", "growth")?;
    let before = machine::Load::now();
    before.warn();
    let bar = super::progress(CHARTS.len() as u64);
    let mut charts: Vec<(String, Series)> = Vec::new();
    programs::listen(command.args(quick.then_some("--quick")), |line| {
        if let Some(name) = line["begin"].as_str() {
            bar.inc(u64::from(!charts.is_empty()));
            bar.set_message(name.to_owned());
            charts.push((name.to_owned(), Vec::new()));
            return Ok(());
        }
        let (_, series) = charts.last_mut().context("a point before its chart")?;
        add(series, &line)
    })?;
    bar.finish_and_clear();
    let mut table = format!("Measured on: {}; load {before} before.\n", machine::describe());
    for (name, title, x) in CHARTS {
        let (_, series) = charts.iter().find(|(known, _)| known == name).with_context(|| format!("no chart {name}"))?;
        ensure!(series.iter().all(|(_, points)| points.len() > 1), "the chart {name} has series without a line");
        let title = title.replace("2 processors", &format!("{} processors", machine::processors()));
        let path = format!("docs/images/growth-{name}.svg");
        std::fs::write(ctx.path(&path), Chart { title: &title, x, series }.svg())
            .with_context(|| format!("cannot write {path}"))?;
        println!("  wrote {path}");
        table.push_str(&rows(&title, x, series));
    }
    report::replace(&ctx.path(PAGE), &table)?;
    println!("  wrote {PAGE}");
    Ok(())
}

fn add(series: &mut Series, line: &Value) -> Result<()> {
    let name = line["series"].as_str().context("a point of no series")?;
    let number = |key: &str| line[key].as_f64().filter(|n| *n > 0.0).with_context(|| format!("no {key} in {line}"));
    let point = (number("x")?, number("y")?);
    match series.iter_mut().find(|(known, _)| known == name) {
        Some((_, points)) => points.push(point),
        None => series.push((name.to_owned(), vec![point])),
    }
    Ok(())
}

/// The points as a table.
fn rows(title: &str, x: &str, series: &Series) -> String {
    let mut xs: Vec<f64> = series.iter().flat_map(|(_, points)| points.iter().map(|point| point.0)).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let heads: String = xs.iter().map(|x| format!(" {x} |")).collect();
    let mut text = format!("\n**{title}**\n\n| {x}: |{heads}\n|---|{}\n", "---|".repeat(xs.len()));
    for (name, points) in series {
        let cell = |x: &f64| points.iter().find(|point| point.0 == *x).map_or(String::new(), |point| time(point.1));
        text.push_str(&format!("| {name} |{}\n", xs.iter().map(|x| format!(" {} |", cell(x))).collect::<String>()));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{add, rows};

    #[test]
    fn points_become_series_and_a_table() {
        let mut series = Vec::new();
        for (name, x, y) in [("a", 1, 10.0), ("b", 1, 20.0), ("a", 10, 11.0)] {
            add(&mut series, &json!({ "series": name, "x": x, "y": y })).unwrap();
        }
        assert!(add(&mut series, &json!({ "series": "a", "x": 1 })).is_err());
        assert_eq!(series.len(), 2);
        let table = rows("t", "things", &series);
        assert!(table.contains("| things: | 1 | 10 |") && table.contains("| a | 10.0 ns | 11.0 ns |"), "{table}");
        assert!(table.contains("| b | 20.0 ns |  |"), "{table}");
    }
}
