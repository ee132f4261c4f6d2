//! What was measured, for people and for programs.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::json;

use crate::stats::median;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Things in a second: more is better.
    PerSecond,
    /// Nanoseconds: less is better.
    #[serde(rename = "nanoseconds")]
    Time,
    /// Things: less is better, where nothing else is said.
    Count,
}

/// One row measured once.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) floor: &'static str,
    pub(crate) unit: Unit,
    pub(crate) sample: Sample,
}

/// Muster and the floor beside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) muster: f64,
    pub(crate) floor: f64,
}

/// One row with all that was measured of it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    floor: &'static str,
    unit: Unit,
    pub(crate) samples: Vec<Sample>,
}

impl From<Figure> for Row {
    fn from(figure: Figure) -> Self {
        let Figure { what, floor, unit, sample } = figure;
        Self { what, floor, unit, samples: vec![sample] }
    }
}

/// All rows.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) rounds: u32,
    /// Whether the programs are not optimised, so that the figures mean nothing.
    pub(crate) debug: bool,
    pub(crate) rows: Vec<Row>,
}

/// The ratios of a row.
#[derive(Debug, PartialEq, Serialize)]
struct Ratios {
    median: f64,
    min: f64,
    max: f64,
}

impl Row {
    fn ratios(&self) -> Ratios {
        let ratios: Vec<f64> = self.samples.iter().map(|s| s.muster / s.floor).collect();
        Ratios {
            min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            max: ratios.iter().copied().fold(0.0, f64::max),
            median: median(ratios),
        }
    }

    fn muster(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.muster).collect())
    }

    fn floor(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.floor).collect())
    }
}

impl Unit {
    fn words(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Time => format!("{:.2} ms", value / 1e6),
            Self::Count if value < 100.0 => format!("{value:.2}"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

impl Report {
    /// As a table.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["MUSTER", "", "FLOOR", "", "RATIO", "MIN..MAX"]);
        for row in &self.rows {
            let Ratios { median, min, max } = row.ratios();
            table.add_row([
                row.what.to_owned(),
                row.unit.words(row.muster()),
                row.floor.to_owned(),
                row.unit.words(row.floor()),
                format!("{median:.2}"),
                format!("{min:.2}..{max:.2}"),
            ]);
        }
        for column in [1, 3, 4] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let note = format!("Medians of {} rounds. A ratio is Muster over floor.", self.rounds);
        let warning = if self.debug { "\nNot optimised: these figures mean nothing." } else { "" };
        format!("{}\n\n{note}{warning}", table.trim_fmt())
    }

    /// As JSON.
    pub(crate) fn json(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            json!({
                "muster": {"what": row.what, "median": row.muster()},
                "floor": {"what": row.floor, "median": row.floor()},
                "unit": row.unit,
                "ratio": row.ratios(),
            })
        });
        let rows: Vec<_> = rows.collect();
        let report = json!({"rounds": self.rounds, "optimised": !self.debug, "rows": rows});
        format!("{report:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let samples = [(200.0, 100.0), (450.0, 100.0), (300.0, 100.0)]
            .map(|(m, f)| Sample { muster: m, floor: f });
        let row = Row {
            what: "shards",
            floor: "flushes",
            unit: Unit::PerSecond,
            samples: samples.into(),
        };
        Report { rounds: 3, debug: false, rows: vec![row] }
    }

    #[test]
    fn the_median_of_the_ratios_counts() {
        let ratios = report().rows[0].ratios();
        assert_eq!(ratios, Ratios { median: 3.0, min: 2.0, max: 4.5 });
    }

    #[test]
    fn both_outputs_say_the_same() {
        let table = report().table();
        let row = table.lines().nth(1).unwrap();
        let cells: Vec<_> = row.split_whitespace().collect();
        assert_eq!(cells, ["shards", "300", "/s", "flushes", "100", "/s", "3.00", "2.00..4.50"]);
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!(json["rows"][0]["ratio"]["median"], 3.0);
        assert_eq!(json["rows"][0]["floor"]["median"], 100.0);
    }
}
