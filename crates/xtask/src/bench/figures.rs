//! From rounds to figures: what is shown, what is written, what is held against a bound.

use serde::Serialize;

use super::load::Round;

/// The bounds of the design.
const ECHO_RATIO: f64 = 0.3;
const TAIL_RATIO: f64 = 4.0;
const TLS_RATIO: [f64; 2] = [0.8, 0.6];
/// By size: the embedded axis's rate by raw's, the AMQP axis's rate by raw's.
const RAW_RATIO: [(&str, f64, f64); 3] = [
    ("8 KiB", 0.8, 0.5),
    ("64 KiB", 0.8, 0.6),
    ("1 MiB", 1.0, 0.7),
];
/// The embedded axis's CPU of all processes by raw's.
const RAW_CPU: f64 = 0.9;

/// What one contender did at one size; medians over its rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) size: &'static str,
    pub(super) contender: &'static str,
    pub(super) rounds: usize,
    pub(super) packages: u64,
    /// Packages a second of each round, in their order: rounds of the same place were taken
    /// side by side.
    pub(super) rates: Vec<f64>,
    pub(super) rate: f64,
    /// Median rate by echo's of the same run; by plain TCP's for TLS.
    pub(super) to_echo: Option<f64>,
    pub(super) to_plain: Option<f64>,
    /// Median rate, and CPU of all processes, by raw's of the same run.
    pub(super) to_raw: Option<f64>,
    pub(super) cpu_to_raw: Option<f64>,
    pub(super) receipt_p50_us: f64,
    pub(super) receipt_p99_us: f64,
    pub(super) settled_p50_us: Option<f64>,
    pub(super) settled_p99_us: Option<f64>,
    /// CPU microseconds a package, over all rounds.
    pub(super) server_cpu_us: f64,
    pub(super) driver_cpu_us: f64,
    pub(super) idle_bytes: u64,
    pub(super) peak_bytes: u64,
    /// What missed its bound.
    pub(super) missed: Vec<String>,
}

/// What a contender's rounds left behind.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) rounds: Vec<Round>,
    pub(super) server_cpu_us: u64,
    pub(super) driver_cpu_us: u64,
    pub(super) idle_bytes: u64,
    pub(super) peak_bytes: u64,
}

impl Tally {
    pub(super) fn figures(&self, size: &'static str, contender: &'static str) -> Figures {
        let packages: u64 = self.rounds.iter().map(|round| round.packages).sum();
        let rates: Vec<f64> = self.rounds.iter().map(rate).collect();
        let over = |times: fn(&Round) -> &Vec<u64>, share: f64| {
            let of_each = self
                .rounds
                .iter()
                .map(|round| percentile(times(round), share));
            of_each
                .collect::<Option<Vec<_>>>()
                .map(|each| median(&each))
        };
        let each = |sum: u64| whole(sum) / whole(packages.max(1));
        Figures {
            size,
            contender,
            rounds: self.rounds.len(),
            packages,
            rate: median(&rates),
            rates,
            to_echo: None,
            to_plain: None,
            to_raw: None,
            cpu_to_raw: None,
            receipt_p50_us: over(|round| &round.receipt, 0.5).unwrap_or_default(),
            receipt_p99_us: over(|round| &round.receipt, 0.99).unwrap_or_default(),
            settled_p50_us: over(|round| &round.settled, 0.5),
            settled_p99_us: over(|round| &round.settled, 0.99),
            server_cpu_us: each(self.server_cpu_us),
            driver_cpu_us: each(self.driver_cpu_us),
            idle_bytes: self.idle_bytes,
            peak_bytes: self.peak_bytes,
            missed: Vec::new(),
        }
    }
}

/// Sets the contenders of one size against each other and against their bounds. `streams` is
/// given where the daemon's memory has a bound.
pub(super) fn compare(figures: &mut [Figures], small: bool, streams: Option<u64>) {
    let rate_of = |name: &str| figures.iter().find(|f| f.contender == name).map(|f| f.rate);
    let (echo, plain) = (rate_of("echo"), rate_of("axis"));
    for figure in figures
        .iter_mut()
        .filter(|figure| !matches!(figure.contender, "echo" | "raw"))
    {
        figure.to_echo = echo.map(|echo| figure.rate / echo);
        if figure.contender == "axis, TLS" {
            figure.to_plain = plain.map(|plain| figure.rate / plain);
            let bound = TLS_RATIO[usize::from(!small)];
            figure.hold(
                "TLS ÷ plain",
                figure.to_plain,
                |ratio| ratio >= bound,
                bound,
            );
        }
        if figure.contender != "axis" {
            continue;
        }
        if streams.is_none() {
            figure.hold(
                "÷ echo",
                figure.to_echo,
                |ratio| ratio >= ECHO_RATIO,
                ECHO_RATIO,
            );
        }
        if small {
            figure.hold(
                "p99 ÷ p50",
                figure.tail(),
                |ratio| ratio <= TAIL_RATIO,
                TAIL_RATIO,
            );
        }
    }
    let Some(streams) = streams else { return };
    let bound = (64 + 4 * streams) << 20;
    for figure in figures
        .iter_mut()
        .filter(|figure| figure.contender != "echo")
    {
        let above = whole(figure.peak_bytes.saturating_sub(figure.idle_bytes)) / MIB;
        let bound = whole(bound) / MIB;
        figure.hold("MiB above idle", Some(above), |above| above <= bound, bound);
    }
}

/// Sets the contenders of one size against raw and the bounds of that.
pub(super) fn compare_to_raw(figures: &mut [Figures]) {
    let raw = figures.iter().find(|figure| figure.contender == "raw");
    let Some((raw_rate, raw_cpu)) = raw.map(|raw| (raw.rate, raw.cpu())) else {
        return;
    };
    for figure in figures {
        figure.to_raw = Some(figure.rate / raw_rate);
        figure.cpu_to_raw = Some(figure.cpu() / raw_cpu);
        let bounds = RAW_RATIO.iter().find(|(size, ..)| *size == figure.size);
        let Some(&(_, embedded, amqp)) = bounds else {
            continue;
        };
        let (rate, cpu) = (figure.to_raw, figure.cpu_to_raw);
        match figure.contender {
            "axis" => {
                figure.hold("÷ raw", rate, |ratio| ratio >= embedded, embedded);
                figure.hold("CPU ÷ raw", cpu, |ratio| ratio <= RAW_CPU, RAW_CPU);
            }
            "axis, AMQP" => figure.hold("÷ raw", rate, |ratio| ratio >= amqp, amqp),
            _ => {}
        }
    }
}

impl Figures {
    /// CPU microseconds a package, of all processes.
    fn cpu(&self) -> f64 {
        self.server_cpu_us + self.driver_cpu_us
    }

    /// p99 ÷ p50 from push to settled.
    fn tail(&self) -> Option<f64> {
        Some(self.settled_p99_us? / self.settled_p50_us?)
    }

    fn hold(&mut self, what: &str, is: Option<f64>, good: impl Fn(f64) -> bool, bound: f64) {
        if let Some(is) = is
            && !good(is)
        {
            self.missed.push(format!(
                "{} {}: {what} is {is:.2}, the bound {bound:.2}",
                self.size, self.contender
            ));
        }
    }
}

const MIB: f64 = 1_048_576.0;

/// The table for people.
pub(super) fn table(all: &[Figures]) -> String {
    let titles = [
        "size",
        "what",
        "rate/s",
        "÷ echo",
        "÷ raw",
        "receipt p50",
        "p99 ms",
        "settled p50",
        "p99 ms",
        "p99÷p50",
        "CPU µs",
        "driver µs",
        "idle MiB",
        "peak MiB",
    ];
    let mut rows = vec![titles.map(str::to_owned)];
    let ms =
        |us: Option<f64>| us.map_or_else(|| "–".to_owned(), |us| format!("{:.2}", us / 1_000.0));
    let ratio =
        |ratio: Option<f64>| ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
    for figures in all {
        rows.push([
            figures.size.to_owned(),
            figures.contender.to_owned(),
            format!("{:.0}", figures.rate),
            ratio(figures.to_echo),
            ratio(figures.to_raw),
            ms(Some(figures.receipt_p50_us)),
            ms(Some(figures.receipt_p99_us)),
            ms(figures.settled_p50_us),
            ms(figures.settled_p99_us),
            ratio(figures.tail()),
            format!("{:.0}", figures.server_cpu_us),
            format!("{:.0}", figures.driver_cpu_us),
            format!("{:.0}", whole(figures.idle_bytes) / MIB),
            format!("{:.0}", whole(figures.peak_bytes) / MIB),
        ]);
    }
    let wide = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..titles.len()).map(wide).collect();
    let mut text = String::new();
    for row in &rows {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            // Words to the left, numbers to the right.
            match column {
                0 | 1 => text.extend([cell.as_str(), &gap, "  "]),
                _ => text.extend([&gap, cell.as_str(), "  "]),
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn rate(round: &Round) -> f64 {
    whole(round.packages) / round.elapsed.as_secs_f64().max(f64::EPSILON)
}

/// The smallest value that at least this share of `values` does not exceed.
fn percentile(values: &[u64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let below = sorted.partition_point(|&value| {
        let rank = sorted.partition_point(|&other| other <= value);
        (rank as f64) < share * sorted.len() as f64
    });
    sorted.get(below).map(|&value| whole(value))
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => 0.0,
        (Some(&high), 1) => high,
        (Some(&high), _) => f64::midpoint(high, sorted.get(middle - 1).copied().unwrap_or(high)),
    }
}

/// As a float; what is counted here is far below where that loses digits.
fn whole(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(percentile(&hundred, 0.5), Some(50.0));
        assert_eq!(percentile(&hundred, 0.99), Some(99.0));
        assert_eq!(percentile(&[7, 7, 7, 9], 0.5), Some(7.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    fn tally(packages: u64, settled: &[u64]) -> Tally {
        let round = Round {
            packages,
            elapsed: Duration::from_secs(1),
            receipt: vec![100],
            settled: settled.to_vec(),
        };
        Tally {
            rounds: vec![round; 3],
            server_cpu_us: packages * 3 * 50,
            driver_cpu_us: 0,
            idle_bytes: 10 << 20,
            peak_bytes: 200 << 20,
        }
    }

    #[test]
    fn what_misses_its_bound_is_named() {
        let mut figures = [
            tally(1_000, &[]).figures("8 KiB", "echo"),
            tally(299, &[100, 401]).figures("8 KiB", "axis"),
        ];
        compare(&mut figures, true, None);
        assert_eq!(figures[0].missed, Vec::<String>::new());
        assert_eq!(figures[1].to_echo, Some(0.299));
        assert_eq!(figures[1].missed.len(), 2, "{:?}", figures[1].missed);
        assert_eq!(figures[1].server_cpu_us, 50.0);

        let mut figures = [
            tally(1_000, &[]).figures("20 MiB", "echo"),
            tally(100, &[100]).figures("20 MiB", "axis"),
        ];
        compare(&mut figures, false, Some(8));
        assert_eq!(
            figures[1].missed,
            ["20 MiB axis: MiB above idle is 190.00, the bound 96.00"]
        );
        compare(&mut figures, false, Some(40));
        assert_eq!(
            figures[1].missed.len(),
            1,
            "within the bound nothing is added"
        );
    }

    #[test]
    fn the_table_is_aligned() {
        let text = table(&[tally(1_000, &[1_000]).figures("8 KiB", "axis, 01 on")]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].find("what"), lines[1].find("axis, 01 on"));
        assert!(lines[1].ends_with("200"), "{text}");
    }
}
