//! What is printed of the cases that were run.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use comfy_table::{Table, presets};
use serde_json::json;

use crate::runner::{Row, Verdict};

/// The sum of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Cases that were not run.
    pub skipped: usize,
}

impl Sum {
    /// Counts rows.
    pub fn of(rows: &[Row]) -> Self {
        let mut sum = Self::default();
        for row in rows {
            match row.verdict {
                Verdict::Passed => sum.passed += 1,
                Verdict::Failed(_) => sum.failed += 1,
                Verdict::Skipped(_) => sum.skipped += 1,
            }
        }
        sum
    }

    /// Whether there is nothing to complain of. Nothing run is a complaint.
    pub fn is_good(self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

/// Prints a table for people. What failed comes last, with what was expected, so that it is seen
/// however much of the output is kept; the last line counts.
pub fn table(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["CASE", "IN", "RESULT", "TIME"]);
    for row in rows {
        let result = match &row.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "FAILED",
            Verdict::Skipped(_) => "not run",
        };
        let time = format!("{:.2} s", row.took.as_secs_f64());
        table.add_row([row.name, row.encoding.name(), result, &time]);
    }
    writeln!(out, "{table}")?;
    let Sum { passed, failed, skipped } = Sum::of(rows);
    if skipped > 0 {
        let whys: BTreeSet<_> = rows.iter().filter_map(skipped_for).collect();
        let whys: Vec<_> = whys.into_iter().collect();
        writeln!(out, "\n{skipped} were NOT RUN: {}", whys.join(", "))?;
    }
    for row in rows {
        if let Verdict::Failed(why) = &row.verdict {
            let (name, encoding) = (row.name, row.encoding.name());
            writeln!(out, "\nFAILED {name} in {encoding}\n  {why}")?;
        }
    }
    writeln!(out, "\n{passed} of {} passed", passed + failed)
}

fn skipped_for(row: &Row) -> Option<&'static str> {
    match row.verdict {
        Verdict::Skipped(why) => Some(why),
        _ => None,
    }
}

/// Prints one JSON document.
pub fn document(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    let cases: Vec<_> = rows
        .iter()
        .map(|row| {
            let (result, message) = match &row.verdict {
                Verdict::Passed => ("passed", None),
                Verdict::Failed(why) => ("failed", Some(why.as_str())),
                Verdict::Skipped(why) => ("skipped", Some(*why)),
            };
            json!({
                "name": row.name,
                "encoding": row.encoding.name(),
                "result": result,
                "millis": u64::try_from(row.took.as_millis()).unwrap_or(u64::MAX),
                "message": message,
            })
        })
        .collect();
    let Sum { passed, failed, skipped } = Sum::of(rows);
    let document = json!({
        "cases": cases, "passed": passed, "failed": failed, "skipped": skipped,
    });
    writeln!(out, "{document:#}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        encoding::Encoding,
        outcome::{Failure, equal},
    };

    #[test]
    fn what_failed_comes_last_with_what_was_expected() {
        let why = equal("state", "TASK_LOST", "TASK_GONE").unwrap_err();
        assert!(matches!(why, Failure::Differs { .. }));
        let verdicts =
            [Verdict::Failed(why.to_string()), Verdict::Passed, Verdict::Skipped("needs --agent")];
        let row =
            |(name, verdict)| Row { name, encoding: Encoding::Json, verdict, took: Duration::ZERO };
        let rows: Vec<_> = ["one", "two", "three"].into_iter().zip(verdicts).map(row).collect();
        let mut out = Vec::new();
        table(&rows, &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        let (table, rest) = told.split_once("\n\n").unwrap();
        assert_eq!(table.lines().count(), 4, "{table}");
        let expected = "1 were NOT RUN: needs --agent\n\n\
                        FAILED one in json\n  state\n  expected \"TASK_GONE\"\n  got      \"TASK_LOST\"\n\n\
                        1 of 2 passed\n";
        assert_eq!(rest, expected);
    }
}
