//! Reading cron expressions in either dialect.

use std::fmt;

use super::{crontab, quartz, rule::CronRule};
use crate::limits;

/// A text that is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no cron expression: {why}; {dialect}")]
pub struct InvalidCron {
    /// The text, or its beginning.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
    /// As what it was read.
    pub dialect: Dialect,
}

/// A way of writing cron expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// That of Quartz: 6 or 7 fields, the first of which are seconds.
    Quartz,
    /// That of crontab files: 5 fields, here behind the word `crontab`.
    Crontab,
}

impl fmt::Display for Dialect {
    /// Says how an expression of this dialect looks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quartz => {
                "it has 6 or 7 fields, second minute hour day month weekday [year], with 1 = SUN \
                 to 7 = SAT, as in `0 30 2 * * ?`"
            }
            Self::Crontab => {
                "behind `crontab` it has 5 fields, minute hour day month weekday, with 0 and 7 = \
                 SUN, as in `crontab 30 2 * * 1-5`"
            }
        })
    }
}

/// The word before a line of a crontab. A bare line is refused: somebody may have forgotten the
/// seconds, and in the two dialects the same number is another weekday.
const CRONTAB: &str = "crontab";

/// Reads a cron expression.
pub(super) fn read(text: &str) -> Result<CronRule, InvalidCron> {
    if text.len() > limits::CRON_BYTES {
        let why = format!("it is longer than {} bytes", limits::CRON_BYTES);
        let begin: String = text.chars().take(40).collect();
        return Err(InvalidCron { text: format!("{begin}..."), why, dialect: Dialect::Quartz });
    }
    let fields: Vec<_> = text.split_ascii_whitespace().collect();
    let (dialect, rule) = match fields.split_first() {
        Some((word, line)) if word.eq_ignore_ascii_case(CRONTAB) => {
            (Dialect::Crontab, crontab::read(line))
        }
        _ => (Dialect::Quartz, quartz::read(&fields)),
    };
    rule.map_err(|why| InvalidCron { text: text.to_owned(), why, dialect })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (text, why) in [
            ("", "it has no fields"),
            ("@daily", "it has 1 field;"),
            ("30 2 * * 1-5", "write `crontab` before such a line"),
            ("0 0 2 * * ? 2026 1", "it has 8 fields"),
            ("0 0 2 1 * MON", "exclude each other: one must be `?`"),
            ("0 0 2 ? * ?", "day and weekday are both `?`"),
            ("0 0 2 ?,1 * MON", "`?,1` is no day: `?` stands alone"),
            ("? 0 2 * * ?", "`?` is no second: write 0 to 59"),
            ("0 0 0 32 * ?", "`32` is no day: write 1 to 31"),
            ("0 0 0 L,15 * ?", "`L,15` is no day: write L, LW"),
            ("0 0 0 L-31 * ?", "`L-31` is no day"),
            ("0 0 0 W * ?", "`W` is no day"),
            ("0 0 0 32W * ?", "`32W` is no day"),
            ("0 0 0 1W,15W * ?", "each alone in its field"),
            ("0 0 0 LX * ?", "`LX` is no day"),
            ("0 0 0 ? * 8L", "`8L` is no weekday: write 6L or FRIL"),
            ("0 0 0 ? * 6#6", "`6#6` is no weekday"),
            ("0 0 0 ? * MON#0", "`MON#0` is no weekday"),
            ("0 0 0 ? * 2#1,3#1", "each alone in its field"),
            ("0 0 0 ? * LW", "`LW` is no weekday"),
            ("0-4294967295 * * * * ?", "`0-4294967295` is no second"),
            ("0/0 * * * * ?", "`0/0` is no second"),
            ("0/60 * * * * ?", "`0/60` is no second"),
            ("4, 59 17 ? * 5", "`4,` is no second"),
            ("0 ,5 17 ? * 5 *", "`,5` is no minute"),
            ("0 21/ 3 ? * 5 *", "`21/` is no minute"),
            ("0 / 3 ? * 5 *", "`/` is no minute"),
            ("0 0 1- 3 * ? *", "`1-` is no hour"),
            ("0 0 1,,3 * * ?", "`1,,3` is no hour"),
            ("60 * * * * ?", "`60` is no second: write 0 to 59"),
            ("0 * 5-24 * * ?", "`5-24` is no hour: write 0 to 23"),
            ("0 0 0 ? * 8", "`8` is no weekday: write 1 to 7 or SUN to SAT"),
            ("0 0 0 ? * 0", "`0` is no weekday"),
            ("0 0 0 ? * MON-5", "`MON-5` is no weekday"),
            ("0 0 0 1 MAX ?", "`MAX` is no month: write 1 to 12 or JAN to DEC"),
            ("0 0 0 1 1 ? 1969", "`1969` is no year: write 1970 to 2100"),
            ("0 0 0 1 1 ? 2030-2029", "`2030-2029` is no year"),
            ("x * * * * ?", "`x` is no second"),
            ("0 0 ä * * ?", "`ä` is no hour"),
            ("crontab", "there are 0 fields behind `crontab`, and 5 are needed"),
            ("crontab *", "there is 1 field behind `crontab`"),
            ("crontab 0 30 2 * * ?", "there are 6 fields behind `crontab`"),
            ("crontab 30 2 ? * *", "`?` is no day"),
            ("crontab 30 2 L * *", "`L` is no day"),
            ("crontab 30 2 * * 8", "`8` is no weekday: write 0 to 7"),
            ("crontab 30 2 * * 5-1", "`5-1` is no weekday"),
            ("crontab 30 2 * * 1#1", "`1#1` is no weekday"),
            ("crontab 30 2 * * */0", "`*/0` is no weekday"),
            ("crontab 5/10 * * * *", "a step stands behind `*` or a range"),
            ("crontab /10 * * * *", "a step stands behind `*` or a range"),
            ("crontab 0 22-2 * * *", "a range goes upwards"),
            ("crontab 0 0 1 nov-feb *", "a range goes upwards"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
            assert!(error.starts_with(&format!("`{text}`")), "{error}");
        }
        let long = "1,".repeat(limits::CRON_BYTES);
        assert!(read(&long).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn several_texts_mean_one_rule() {
        for (text, same) in [
            ("0 0 2 * * *", "0 0 2 * * ?"),
            ("0 0 2 ? * *", "0 0 2 * * ?"),
            ("0 0 2 1 * *", "0 0 2 1 * ?"),
            ("0 0 2 * * MON", "0 0 2 ? * 2"),
            ("  0\t0 2  * * ?\n", "0 0 2 * * ?"),
            ("/15 * * * * ?", "0,15,30,45 * * * * ?"),
            ("50-10/10 * * * * ?", "0,10,50 * * * * ?"),
            ("0-10/70 * * * * ?", "0 * * * * ?"),
            ("00 000 0022-00002 * * ?", "0 0 22-2 * * ?"),
            ("0 0 22-2 * * ?", "0 0 22,23,0,1,2 * * ?"),
            ("0 0 0 30-2 * ?", "0 0 0 1,2,30,31 * ?"),
            ("0 0 0 1 nov-Feb ?", "0 0 0 1 11,12,1,2 ?"),
            ("0 0 0 1 December ?", "0 0 0 1 12 ?"),
            ("0 0 0 ? * FRI-MON", "0 0 0 ? * 6,7,1,2"),
            ("0 0 0 ? * 6-2/2", "0 0 0 ? * 6,1"),
            ("0 0 0 ? * L", "0 0 0 ? * 7"),
            ("0 0 0 ? * fril", "0 0 0 ? * 6L"),
            ("0 0 0 ? * Mon#2", "0 0 0 ? * 2#2"),
            ("0 0 0 l-3w * ?", "0 0 0 L-3W * ?"),
            ("0 0 0 ? * MON/2", "0 0 0 ? * MON"),
            ("0 0 0 ? * MON-FRI/2", "0 0 0 ? * MON-FRI"),
            ("0 0 0 ? * 2/2", "0 0 0 ? * 2,4,6"),
            ("0 0 0 1 1 ? 2026/25", "0 0 0 1 1 ? 2026,2051,2076"),
            ("crontab 30 2 * * *", "0 30 2 * * ?"),
            ("CRONTAB 30 2 * * 1-5", "0 30 2 ? * MON-FRI"),
            ("crontab 30 2 * * 0,7", "0 30 2 ? * SUN"),
            ("crontab 30 2 * * 5-7", "0 30 2 ? * FRI-SUN"),
            ("crontab 30 2 * * mon-fri/2", "0 30 2 ? * 2,4,6"),
            ("crontab */20 2 * jan,jun *", "0 0,20,40 2 * 1,6 ?"),
            ("crontab 0-30/10 2 1 * *", "0 0,10,20,30 2 1 * ?"),
        ] {
            assert_eq!(read(text).unwrap(), read(same).unwrap(), "{text}");
        }
    }
}
