//! Charts as inline SVG. Colours come from the page's style sheet, so that they follow its light and
//! dark scheme.

use maud::{Markup, html};

/// Size of a chart in its own units, which are pixels where it is shown 420 pixels wide.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 38.0;

/// The most points of a curve; more are averaged in groups of neighbours.
const MOST_POINTS: usize = 400;
/// A curve of no more points shows each of them.
const DOTS: usize = 40;

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points, by rising x.
    pub points: Vec<(f64, f64)>,
}

/// Curves over the same axes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineChart<'a> {
    /// What it shows.
    pub title: &'a str,
    /// What x is.
    pub x: &'a str,
    /// The curves.
    pub series: &'a [Series],
    /// A point to mark, and what it is.
    pub mark: Option<(f64, f64, String)>,
}

/// A range of numbers, and where it lies on the chart.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Around these values, with at least some width.
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let (low, high) = if low > high {
            (0.0, 1.0)
        } else if high - low < 1e-12 * high.abs().max(1e-300) {
            let margin = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
            (low - margin, high + margin)
        } else {
            (low, high)
        };
        Self { low, high, from, to }
    }

    /// With room above and below, so that no curve lies on the frame.
    fn with_room(self) -> Self {
        let room = 0.05 * (self.high - self.low);
        Self { low: self.low - room, high: self.high + room, ..self }
    }

    fn at(self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round numbers in the range.
    fn ticks(self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let magnitude = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * magnitude)
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(rough);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last.min(first + 12)).map(|i| i as f64 * step).collect()
    }
}

/// A number on an axis.
fn tick_label(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".into()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{value:.1e}").replace(".0e", "e")
    } else {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// A coordinate, short.
fn c(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn x_axis(values: impl Iterator<Item = f64>) -> Axis {
    Axis::around(values, LEFT, WIDTH - RIGHT)
}

fn y_axis(values: impl Iterator<Item = f64>) -> Axis {
    Axis::around(values, HEIGHT - BOTTOM, TOP)
}

/// The frame of a chart: grid, ticks, names of the axes, and `inside`.
fn frame(
    label: &str,
    (x, x_name): (Axis, &str),
    (y, y_name): (Axis, &str),
    inside: Markup,
) -> Markup {
    let bottom = HEIGHT - BOTTOM;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            @for tick in y.ticks() {
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(c(y.at(tick))) y2=(c(y.at(tick))) {}
                text.tick x=(LEFT - 6.0) y=(c(y.at(tick) + 4.0)) text-anchor="end" {
                    (tick_label(tick))
                }
            }
            @for tick in x.ticks() {
                line.grid x1=(c(x.at(tick))) x2=(c(x.at(tick))) y1=(bottom) y2=(bottom + 4.0) {}
                text.tick x=(c(x.at(tick))) y=(bottom + 17.0) text-anchor="middle" {
                    (tick_label(tick))
                }
            }
            line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(bottom) y2=(bottom) {}
            text.axis-name x=(WIDTH - RIGHT) y=(HEIGHT - 6.0) text-anchor="end" { (x_name) }
            text.axis-name x="4" y=(HEIGHT - 6.0) { (y_name) }
            (inside)
        }
    }
}

/// Averages groups of neighbours where there are many points.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite: Vec<(f64, f64)> =
        points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let group = finite.len().div_ceil(MOST_POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let sum = part.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / part.len() as f64, sum.1 / part.len() as f64)
    };
    finite.chunks(group).map(mean).collect()
}

/// Curves, with a legend where there are several; nothing without points.
pub fn line_chart(chart: &LineChart<'_>) -> Markup {
    let curves: Vec<_> = chart.series.iter().map(|series| thinned(&series.points)).collect();
    let points = || curves.iter().flatten().copied();
    if points().next().is_none() {
        return html! {};
    }
    let mark = chart.mark.iter().map(|(x, y, _)| (*x, *y));
    let x = x_axis(points().chain(mark.clone()).map(|(x, _)| x));
    let y = y_axis(points().chain(mark).map(|(_, y)| y)).with_room();
    let path = |curve: &[(f64, f64)]| {
        let points = curve.iter().map(|(px, py)| format!("{},{}", c(x.at(*px)), c(y.at(*py))));
        points.collect::<Vec<_>>().join(" ")
    };
    let inside = html! {
        @for (i, curve) in curves.iter().enumerate() {
            polyline class={ "curve s" (i % 8) " d" (i / 8 % 3) } points=(path(curve)) {}
            @if curve.len() <= DOTS {
                @for (px, py) in curve {
                    circle class={ "dot s" (i % 8) } cx=(c(x.at(*px))) cy=(c(y.at(*py))) r="2.5" {
                        title { (chart.series[i].name) " " (tick_label(*py)) " at " (tick_label(*px)) }
                    }
                }
            }
        }
        @if let Some((px, py, what)) = &chart.mark {
            circle.mark cx=(c(x.at(*px))) cy=(c(y.at(*py))) r="6" { title { (what) } }
        }
    };
    html! {
        figure {
            figcaption { (chart.title) @if let Some((.., what)) = &chart.mark { small { (what) } } }
            (frame(chart.title, (x, chart.x), (y, ""), inside))
            @if chart.series.len() > 1 { (legend(chart.series.iter().map(|s| s.name.as_str()))) }
        }
    }
}

/// The names of curves beside their colours.
fn legend<'a>(names: impl Iterator<Item = &'a str>) -> Markup {
    html! {
        ul.legend {
            @for (i, name) in names.enumerate() {
                li {
                    svg.key viewBox="0 0 24 8" aria-hidden="true" {
                        line class={ "curve s" (i % 8) " d" (i / 8 % 3) } x1="0" x2="24" y1="4" y2="4" {}
                    }
                    span dir="auto" { (name) }
                }
            }
        }
    }
}

/// Points of x against y, with the diagonal on which both are equal.
pub fn scatter(title: &str, (x_name, y_name): (&str, &str), points: &[(f32, f32)]) -> Markup {
    let points: Vec<(f64, f64)> =
        points.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).collect();
    let all = || points.iter().flat_map(|(x, y)| [*x, *y]);
    let (x, y) = (x_axis(all()), y_axis(all()));
    let inside = html! {
        line.diagonal x1=(c(x.at(x.low))) y1=(c(y.at(x.low))) x2=(c(x.at(x.high))) y2=(c(y.at(x.high))) {}
        @for (px, py) in &points {
            circle.point cx=(c(x.at(*px))) cy=(c(y.at(*py))) r="2.2" {}
        }
    };
    html! {
        figure {
            figcaption { (title) small { (y_name) " over " (x_name) } }
            (frame(title, (x, x_name), (y, y_name), inside))
        }
    }
}

/// A point of a reliability curve: mean probability, share that is right, and how many.
pub fn reliability(title: &str, note: &str, bins: &[(f64, f64, usize)]) -> Markup {
    let (x, y) = (x_axis([0.0, 1.0].into_iter()), y_axis([0.0, 1.0].into_iter()));
    let most = bins.iter().map(|bin| bin.2).max().unwrap_or(1).max(1) as f64;
    let points: Vec<String> =
        bins.iter().map(|(px, py, _)| format!("{},{}", c(x.at(*px)), c(y.at(*py)))).collect();
    let inside = html! {
        line.diagonal x1=(c(x.at(0.0))) y1=(c(y.at(0.0))) x2=(c(x.at(1.0))) y2=(c(y.at(1.0))) {}
        polyline class="curve s0" points=(points.join(" ")) {}
        @for (px, py, count) in bins {
            circle class="dot s0" cx=(c(x.at(*px))) cy=(c(y.at(*py)))
                r=(c(2.5 + 6.0 * (*count as f64 / most).sqrt())) {
                title { (count) " predictions of mean probability " (format!("{px:.3}")) ", "
                    (format!("{py:.3}")) " of them right" }
            }
        }
    };
    html! {
        figure {
            figcaption { (title) small { (note) } }
            (frame(title, (x, "probability"), (y, "share right"), inside))
        }
    }
}

/// Bars: from, to, height.
pub fn histogram(title: &str, note: &str, x_name: &str, bars: &[(f64, f64, f64)]) -> Markup {
    if bars.is_empty() {
        return html! {};
    }
    let x = x_axis(bars.iter().flat_map(|(from, to, _)| [*from, *to]));
    let y = y_axis(bars.iter().map(|bar| bar.2).chain([0.0]));
    let inside = html! {
        @for (from, to, height) in bars {
            @let left = x.at(*from) + 0.5;
            rect.bar x=(c(left)) y=(c(y.at(*height))) width=(c((x.at(*to) - left - 0.5).max(0.5)))
                height=(c((y.at(0.0) - y.at(*height)).max(0.0))) {
                title { (tick_label(*height)) " of " (tick_label(*from)) " to " (tick_label(*to - 1.0)) }
            }
        }
    };
    html! {
        figure {
            figcaption { (title) small { (note) } }
            (frame(title, (x, x_name), (y, ""), inside))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_in_the_range() {
        let ticks = |low, high| Axis { low, high, from: 0.0, to: 1.0 }.ticks();
        assert_eq!(ticks(0.0, 10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(0.61, 0.69).len(), 4, "0.62 to 0.68");
        assert!(ticks(0.0, 5e-5).iter().all(|tick| (0.0..=5.1e-5).contains(tick)));
        assert_eq!(tick_label(5e-5), "5e-5");
        assert_eq!(tick_label(1250.0), "1250");
        assert_eq!(tick_label(-0.25), "-0.25");
    }

    #[test]
    fn one_point_equal_points_and_no_point_can_be_drawn() {
        for points in
            [vec![(1.0, 0.5)], vec![(1.0, 0.0), (2.0, 0.0)], vec![(1.0, f64::NAN)], vec![]]
        {
            let series = [Series { name: "a".into(), points }];
            let chart = LineChart { title: "t", x: "step", series: &series, mark: None };
            let svg = line_chart(&chart).into_string();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        let svg = scatter("t", ("x", "y"), &[]).into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn long_curves_are_averaged() {
        let points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), 1.0)).collect();
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS && thin.iter().all(|(_, y)| *y == 1.0));
    }
}
