//! Comparison with Quartz itself: which expressions it accepts, and when they fire.
//!
//! `scripts/quartz/compare` runs this; without it there is no Quartz to compare with. Every kind of
//! difference that there may be is recognised here and counted; any other one is a failure.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use jiff::tz::TimeZoneDatabase;
use muster_api::{
    Timestamp,
    schedule::{InvalidSchedule, Schedule},
    spec::{Gap, Overlap},
};
use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{at, cron_in, expression};

/// How many next times are compared.
const TIMES: usize = 4;

/// What is asked of both.
#[derive(Debug, Clone)]
struct Question {
    expression: String,
    zone: &'static str,
    start: Timestamp,
}

/// What Quartz answers.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Refused,
    Failed,
    Stuck,
    Times(Vec<Timestamp>),
}

#[test]
fn cron_agrees_with_quartz() {
    let variable = |name| std::env::var(name).ok();
    let Some(classes) = variable("MUSTER_QUARTZ_CLASSES") else {
        println!("there is no Quartz to compare with; scripts/quartz/compare gets it");
        return;
    };
    let number = |name, absent| variable(name).map_or(absent, |n| n.parse().unwrap());
    let (cases, seed) = (number("MUSTER_QUARTZ_CASES", 5_000), number("MUSTER_QUARTZ_SEED", 1));
    let questions = questions(cases, seed);
    let answers = ask(&classes, &questions);
    let mut counts = BTreeMap::new();
    let mut unexplained = Vec::new();
    for (question, [answer, from_1970]) in questions.iter().zip(&answers) {
        match verdict(question, answer, from_1970) {
            Ok(verdict) => *counts.entry(verdict).or_insert(0) += 1,
            Err(ours) => unexplained.push((question, answer, ours)),
        }
    }
    println!("{cases} expressions, seed {seed}:");
    counts.iter().for_each(|(verdict, count)| println!("{count:>8}  {verdict}"));
    for (question, answer, ours) in unexplained.iter().take(20) {
        println!("unexplained: {question:?}\n    Quartz: {answer:?}\n    ours: {ours}");
    }
    assert!(unexplained.is_empty(), "{} differences are unexplained", unexplained.len());
}

fn questions(cases: u64, seed: u64) -> Vec<Question> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    // Filters reject for as long as questions are made.
    let config = Config { max_local_rejects: u32::MAX, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let question = any_question();
    (0..cases).map(|_| question.new_tree(&mut runner).unwrap().current()).collect()
}

fn any_question() -> impl Strategy<Value = Question> {
    let valid = || expression::quartz().prop_map(|expression| expression.text()).boxed();
    // Valid but for one character.
    let spoilt = (valid(), any::<prop::sample::Index>(), "[0-9A-Z*?,/#LW -]", 0..3).prop_map(
        |(text, at, character, how)| {
            let at = at.index(text.len());
            let (head, tail) = text.split_at(at);
            match how {
                0 => format!("{head}{character}{tail}"),
                1 => format!("{head}{}", &tail[1..]),
                _ => format!("{head}{character}{}", &tail[1..]),
            }
        },
    );
    let scrap =
        "([0-9]{1,2}|MON|fri|JAN|L|LW|W|\\*|\\?|20[0-9]{2})([-/,#LW]([0-9]{1,2}|TUE|W)?){0,2}";
    let scraps = (valid(), scrap, 0usize..7).prop_map(|(text, scrap, at)| {
        let mut fields: Vec<_> = text.split(' ').collect();
        fields.resize(7, "*");
        fields[at] = &scrap;
        fields.join(" ")
    });
    let expression = prop_oneof![6 => valid(), 2 => spoilt, 2 => scraps];
    let zone = prop_oneof![
        4 => Just("UTC"),
        1 => select(vec!["Europe/Berlin", "America/New_York", "Australia/Sydney"]),
    ];
    (expression, zone, any::<u32>(), 0i64..1_000).prop_map(|(expression, zone, second, part)| {
        // Up to 2096; in zones from 2007 on, since when the rules of these zones are as they are.
        let (first, last) =
            if zone == "UTC" { (0, 3_976_214_400) } else { (1_199_145_600, 2_145_916_800) };
        let second = first + i64::from(second) % (last - first);
        Question { expression, zone, start: Timestamp::from_millis(second * 1_000 + part) }
    })
}

/// What Quartz answers to each question, and to the same one from 1970 on in UTC.
fn ask(classes: &str, questions: &[Question]) -> Vec<[Answer; 2]> {
    let mut java = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-cp", classes, "NextTimes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java runs");
    let mut stdin = java.stdin.take().unwrap();
    let lines: String = questions
        .iter()
        .map(|Question { expression, zone, start }| {
            let start = start.as_millis();
            format!("{zone}\t{start}\t{TIMES}\t{expression}\nUTC\t-1\t1\t{expression}\n")
        })
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let answers =
        BufReader::new(java.stdout.take().unwrap()).lines().map(|line| read(&line.unwrap()));
    let mut answers: Vec<_> = answers.collect();
    writer.join().unwrap().expect("java reads every line");
    assert!(java.wait().unwrap().success());
    assert_eq!(answers.len(), 2 * questions.len());
    let mut answers = answers.drain(..);
    std::iter::from_fn(|| Some([answers.next()?, answers.next()?])).collect()
}

fn read(line: &str) -> Answer {
    let mut words = line.split(' ');
    match words.next() {
        Some("refused") => Answer::Refused,
        Some("failed") => Answer::Failed,
        Some("stuck") => Answer::Stuck,
        Some("times") => {
            Answer::Times(words.map(|time| Timestamp::from_millis(time.parse().unwrap())).collect())
        }
        _ => panic!("`{line}` is no answer"),
    }
}

/// In which way ours and Quartz agree or differ; what ours says when the difference is of no known
/// kind.
fn verdict(
    question: &Question,
    answer: &Answer,
    from_1970: &Answer,
) -> Result<&'static str, String> {
    let Question { expression, zone, start } = question;
    // What Quartz does about clocks that are set: it passes over gaps and fires in the second pass.
    let spec = cron_in(expression, zone, Gap::Skip, Overlap::Second);
    let fields: Vec<_> = expression.split_ascii_whitespace().collect();
    let last = at("2101-01-01T00:00:00Z");
    match (Schedule::check(&spec).first(), answer) {
        (Some(InvalidSchedule::NeverFires { .. }), Answer::Times(_) | Answer::Stuck) => {
            match from_1970 {
                Answer::Times(times) if times.first().is_none_or(|first| *first >= last) => {
                    Ok("refused by us alone: never fires before 2101")
                }
                _ if has_weekday_beyond_month(&fields) => {
                    Ok("refused by us alone: never fires, W beyond the length of a month")
                }
                _ => Err("it never fires".to_owned()),
            }
        }
        (Some(_), Answer::Refused) => Ok("refused by both"),
        (None, Answer::Stuck) if has_weekday_beyond_month(&fields) => {
            Ok("Quartz searches without end: W beyond the length of a month")
        }
        (Some(_), _) if !is_documented(&fields) => {
            Ok("refused by us alone: Quartz overlooks what it does not know")
        }
        (Some(error), _) => Err(error.to_string()),
        (None, Answer::Refused) if fields[3] != "?" && fields[5] != "?" => {
            Ok("accepted by us alone: `*` in a day field for `?`")
        }
        (None, Answer::Refused | Answer::Failed | Answer::Stuck) => Err("accepted".to_owned()),
        (None, Answer::Times(theirs)) => {
            let schedule = Schedule::compile(&spec, Timestamp::default()).unwrap();
            let ours = std::iter::successors(schedule.next_after(*start), |time| {
                schedule.next_after(*time)
            });
            let ours: Vec<_> = ours.take(TIMES).collect();
            let theirs: Vec<_> = theirs.iter().copied().filter(|time| *time < last).collect();
            if ours == theirs {
                return Ok("the same times");
            }
            let difference = first_difference(&ours, &theirs);
            explain(question, &fields, difference).ok_or_else(|| format!("{ours:?}"))
        }
    }
}

/// The first times that differ.
fn first_difference(
    ours: &[Timestamp],
    theirs: &[Timestamp],
) -> (Option<Timestamp>, Option<Timestamp>) {
    let same = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
    (ours.get(same).copied(), theirs.get(same).copied())
}

/// Why two lists of times part, where that is known.
fn explain(
    question: &Question,
    fields: &[&str],
    (ours, theirs): (Option<Timestamp>, Option<Timestamp>),
) -> Option<&'static str> {
    if has_weekday_beyond_month(fields) {
        return Some("other times: W beyond the length of a month");
    }
    let zone = TimeZoneDatabase::bundled().get(question.zone).unwrap();
    let clocks_set_near = |time: Timestamp| {
        let day = 26 * 3_600;
        let second = time.as_millis().div_euclid(1_000);
        let from = jiff::Timestamp::from_second(second - day).unwrap();
        let mut settings = zone.following(from);
        settings.next().is_some_and(|set| set.timestamp().as_second() < second + day)
    };
    if question.zone != "UTC" && [ours, theirs].into_iter().flatten().any(clocks_set_near) {
        return Some("other times: on a day on which clocks are set");
    }
    None
}

/// Whether the expression has `nW` or `L-nW` for a day that not every month has. Quartz reckons on
/// into the next month or back into the former; we leave the month out.
fn has_weekday_beyond_month(fields: &[&str]) -> bool {
    let day = fields[3].to_ascii_uppercase();
    let Some(day) = day.strip_suffix('W') else { return false };
    let number = |text: &str| text.parse::<u32>().ok();
    match day.strip_prefix("L-") {
        Some(back) => number(back).is_some_and(|back| back >= 28),
        None => number(day).is_some_and(|day| day >= 29),
    }
}

/// Whether an expression is written as the documentation of Quartz describes it.
fn is_documented(fields: &[&str]) -> bool {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let bounds: [(u32, u32, &[&str]); 7] = [
        (0, 59, &[]),
        (0, 59, &[]),
        (0, 23, &[]),
        (1, 31, &[]),
        (1, 12, &MONTHS),
        (1, 7, &WEEKDAYS),
        (1970, 2100, &[]),
    ];
    let digits = |text: &str| -> Option<u32> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let field = |(at, text): (usize, &&str)| {
        let text = text.to_ascii_uppercase();
        let (least, greatest, names) = bounds[at];
        let number = |text: &str| digits(text).filter(|n| (least..=greatest).contains(n));
        let name = |text: &str| names.contains(&text);
        let step = |text: &str| digits(text).is_some_and(|n| n >= 1 && n <= greatest);
        let base = |text: &str| match text.split_once('-') {
            Some((first, last)) => {
                name(first) && name(last)
                    || number(first).zip(number(last)).is_some_and(|(a, b)| at < 6 || a <= b)
            }
            None => name(text) || number(text).is_some(),
        };
        let item = |item: &str| match item.split_once('/') {
            Some((first, by)) => (matches!(first, "" | "*") || base(first)) && step(by),
            None => item == "*" || base(item),
        };
        let special = match at {
            3 => {
                let last = text.strip_suffix('W').unwrap_or(&text);
                let back = last.strip_prefix("L-").and_then(digits);
                matches!(text.as_str(), "?" | "L" | "LW")
                    || back.is_some_and(|back| back <= 30)
                    || text.ends_with('W') && number(last).is_some()
            }
            5 => {
                let weekday = |text: &str| name(text) || number(text).is_some();
                let nth = |(day, n): (&str, &str)| {
                    weekday(day) && digits(n).is_some_and(|n| (1..=5).contains(&n))
                };
                matches!(text.as_str(), "?" | "L")
                    || text.strip_suffix('L').is_some_and(weekday)
                    || text.split_once('#').is_some_and(nth)
            }
            _ => false,
        };
        special || text.split(',').all(item)
    };
    matches!(fields.len(), 6 | 7) && fields.iter().enumerate().all(field)
}
