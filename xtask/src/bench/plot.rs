//! Curves as SVG: few lines, no dependency. Both axes are logarithmic; each series has a colour, a mark of its own, and its
//! name at the end of its line.

use std::fmt::Write;

/// A chart.
pub struct Chart<'a> {
    /// What it shows.
    pub title: &'a str,
    /// What the x axis counts.
    pub x: &'a str,
    /// The series in order: a name, and points.
    pub series: &'a [(String, Vec<(f64, f64)>)],
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 210.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 52.0;
/// Told apart also by those who see few colours.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555"];

/// A logarithmic axis: values to pixels.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// From the whole power of ten below the values to the one above.
    fn decades(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Axis {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(0.0, f64::max).log10().ceil();
        Axis { low, high: high.max(low + 1.0), from, to }
    }

    /// From the least to the most of the values.
    fn span(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Axis {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10();
        let high = values.fold(0.0, f64::max).log10();
        Axis { low, high: high.max(low + 0.1), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.low.ceil() as i32..=self.high.floor() as i32).map(|power| 10_f64.powi(power))
    }
}

impl Chart<'_> {
    /// The chart as SVG. All values must be above 0.
    pub fn svg(&self) -> String {
        let points = self.series.iter().flat_map(|(_, points)| points.iter());
        let xs = Axis::span(points.clone().map(|point| point.0), LEFT + 14.0, WIDTH - RIGHT);
        let ys = Axis::decades(points.map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{}</text>",
            escaped(self.title)
        );
        self.grid(&mut svg, &xs, &ys);
        let ends =
            spread(self.series.iter().map(|(_, points)| points.last().map_or(TOP, |end| ys.at(end.1))).collect());
        for (((name, points), colour), end) in self.series.iter().zip(COLOURS.iter().cycle()).zip(ends) {
            let path: Vec<String> = points.iter().map(|(x, y)| format!("{:.1},{:.1}", xs.at(*x), ys.at(*y))).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            );
            for (x, y) in points {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.2\" fill=\"{colour}\"/>",
                    xs.at(*x),
                    ys.at(*y)
                );
            }
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{end:.1}\" fill=\"{colour}\">{}</text>",
                WIDTH - RIGHT + 10.0,
                escaped(name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn grid(&self, svg: &mut String, xs: &Axis, ys: &Axis) {
        for value in ys.powers() {
            let y = ys.at(value);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>",
                WIDTH - RIGHT
            );
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                super::report::short_time(value)
            );
        }
        let mut seen: Vec<f64> =
            self.series.iter().flat_map(|(_, points)| points.iter().map(|point| point.0)).collect();
        seen.sort_by(f64::total_cmp);
        seen.dedup();
        for value in seen {
            let x = xs.at(value);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#eee\"/>",
                HEIGHT - BOTTOM
            );
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM + 18.0,
                count(value)
            );
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 12.0,
            escaped(self.x)
        );
    }
}

/// Places for the names at the ends of the lines, each by its line and none on another.
fn spread(wanted: Vec<f64>) -> Vec<f64> {
    const LINE: f64 = 16.0;
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut places = wanted.iter().map(|y| y + 4.0).collect::<Vec<_>>();
    for pair in order.windows(2) {
        places[pair[1]] = places[pair[1]].max(places[pair[0]] + LINE);
    }
    // What has been pushed below the frame pushes the others up again.
    let mut lowest = HEIGHT - BOTTOM;
    for index in order.into_iter().rev() {
        places[index] = places[index].min(lowest);
        lowest = places[index] - LINE;
    }
    places
}

fn count(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e4 && v % 1e3 == 0.0 => format!("{}k", v / 1e3),
        v => format!("{v}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Axis, Chart, count, spread};

    #[test]
    fn axes_hold_all_values() {
        let values = [3.0, 40.0, 5_000.0];
        let axis = Axis::decades(values.iter().copied(), 0.0, 100.0);
        assert_eq!((axis.low, axis.high), (0.0, 4.0));
        assert!(values.iter().all(|value| (0.0..=100.0).contains(&axis.at(*value))));
        assert_eq!(axis.powers().count(), 5);
        let flat = Axis::decades([10.0].into_iter(), 0.0, 100.0);
        assert!(flat.at(10.0).is_finite());
    }

    #[test]
    fn numbers_on_the_axis_are_short() {
        assert_eq!([64.0, 1e3, 10_240.0, 1e5, 1e7].map(count), ["64", "1000", "10240", "100k", "10M"]);
    }

    #[test]
    fn names_do_not_lie_on_each_other() {
        let places = spread(vec![100.0, 101.0, 340.0, 350.0, 102.0]);
        let mut sorted = places.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= 15.9), "{places:?}");
        assert!(sorted.iter().all(|place| *place <= 348.0), "{places:?}");
    }

    #[test]
    fn each_point_is_drawn() {
        let series = [("a < b".to_owned(), vec![(1.0, 10.0), (10.0, 12.0)]), ("c".to_owned(), vec![(1.0, 500.0)])];
        let svg = Chart { title: "t", x: "buffers", series: &series }.svg();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
    }
}
