//! What users see: lines, tables, JSON.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use comfy_table::{Table, presets};
use muster_api::views::Page;
use serde_json::Value;

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// What the server answered.
    Json,
}

/// Where answers are shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Screen {
    format: Format,
}

impl Screen {
    /// A screen that shows answers in one format.
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Shows an answer: as JSON, or as the text that `render` makes of it.
    pub(crate) fn answer<E>(
        self,
        answer: &Value,
        render: impl FnOnce() -> Result<String, E>,
    ) -> anyhow::Result<()>
    where
        E: Into<anyhow::Error>,
    {
        match self.shown(answer, render).map_err(Into::into)? {
            Some(text) => Ok(self.line(text)?),
            None => Ok(()),
        }
    }

    /// What is shown; programs see nothing of an answer without a body, as after a `DELETE`.
    fn shown<E>(
        self,
        answer: &Value,
        render: impl FnOnce() -> Result<String, E>,
    ) -> Result<Option<String>, E> {
        match self.format {
            Format::Json => Ok((!answer.is_null()).then(|| format!("{answer:#}"))),
            Format::Table => render().map(Some),
        }
    }

    /// A line for people; programs do not see it.
    pub(crate) fn say(self, text: impl Display) -> io::Result<()> {
        match self.format {
            Format::Json => Ok(()),
            Format::Table => self.line(text),
        }
    }

    /// Whether answers are shown as JSON.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Says beside a list for people that there is more of it, and how to see that. Programs see it in
    /// `next`.
    pub(crate) fn cut(self, page: &Page<Value>, how: &str) -> io::Result<()> {
        match cut_words(page, how).filter(|_| !self.is_json()) {
            Some(words) => self.note(words),
            None => Ok(()),
        }
    }

    /// A line on standard output.
    pub(crate) fn line(self, text: impl Display) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// A line on standard error, beside the answer.
    pub(crate) fn note(self, text: impl Display) -> io::Result<()> {
        writeln!(io::stderr().lock(), "{text}")
    }
}

/// What is said beside a list of which not all is shown.
fn cut_words(page: &Page<Value>, how: &str) -> Option<String> {
    let shown = page.items.len();
    page.next.as_ref().map(|_| format!("... and more: these are the first {shown}; {how}"))
}

/// A table under a header, without lines.
pub(crate) struct Rows(Table);

impl Rows {
    /// A table with these columns.
    pub(crate) fn new<const N: usize>(columns: [&str; N]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(columns);
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
        Self(table)
    }

    /// Adds a row.
    pub(crate) fn add<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells.map(|cell| printable(&cell)));
    }

    /// The table as text, or what to say when it is empty.
    pub(crate) fn render(self, empty: &str) -> String {
        if self.0.is_empty() { empty.to_owned() } else { self.0.trim_fmt() }
    }
}

/// A text without line ends and without what could command a terminal.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.trim_end().chars().map(shown).collect()
}

/// A value, or a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A word of the API, as it is written there.
pub(crate) fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        other => or_dash(other.ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_no_lines() {
        let mut rows = Rows::new(["NAME", "STATE"]);
        assert_eq!(Rows::new(["NAME"]).render("no apps"), "no apps");
        rows.add(["a".into(), "on\nfire\u{1b}[0m\n".into()]);
        rows.add(["longer".into(), or_dash(None::<u8>)]);
        assert_eq!(rows.render(""), "NAME    STATE\na       on fire [0m\nlonger  -");
    }

    #[test]
    fn a_list_that_goes_on_says_so() {
        let mut page = Page { items: vec![Value::Null, Value::Null], next: None };
        assert_eq!(cut_words(&page, "`--limit N` shows more"), None);
        page.next = Some("x".to_owned());
        assert_eq!(
            cut_words(&page, "`--limit N` shows more").unwrap(),
            "... and more: these are the first 2; `--limit N` shows more"
        );
    }

    #[test]
    fn of_an_answer_without_a_body_programs_see_nothing() {
        let done = || Ok::<_, io::Error>("done".to_owned());
        let shown = |format, answer| Screen::new(format).shown(&answer, done).unwrap();
        assert_eq!(shown(Format::Json, Value::Null), None);
        assert_eq!(shown(Format::Json, 7.into()).unwrap(), "7");
        assert_eq!(shown(Format::Table, Value::Null).unwrap(), "done");
    }

    #[test]
    fn words_are_those_of_the_api() {
        assert_eq!(word(muster_api::views::RunState::TimedOut), "timed_out");
    }
}
