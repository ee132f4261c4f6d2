//! Lists, page by page.

use std::fmt::{Display, Write};

use muster_api::{limits, views::Page};
use serde::Deserialize;

use super::problem::Refusal;

/// Which page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    pub(super) limit: Option<usize>,
    pub(super) cursor: Option<String>,
}

/// Rows of a page, checked.
pub(super) fn page_rows(limit: Option<usize>, max: usize) -> Result<usize, Refusal> {
    match limit.unwrap_or(limits::PAGE_ROWS_DEFAULT) {
        rows if (1..=max).contains(&rows) => Ok(rows),
        rows => Err(Refusal::request(format!("`limit` is {rows}, and may be 1 to {max}"))),
    }
}

/// The cursor for the page behind a row, opaque to users.
pub(super) fn encode_cursor(place: impl Display) -> String {
    place.to_string().bytes().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String grows as needed");
        text
    })
}

/// The place that a cursor stands for, read by `parse`.
pub(super) fn decode_cursor<T>(
    cursor: Option<&str>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let Some(cursor) = cursor else { return Ok(None) };
    let text = decode_hex(cursor).and_then(|bytes| String::from_utf8(bytes).ok());
    match text.and_then(|text| parse(&text)) {
        Some(place) => Ok(Some(place)),
        None => Err(Refusal::request("`cursor` is not one that a list answered as `next`")),
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| match pair {
            [high, low] => {
                let digit = |byte: u8| (byte as char).to_digit(16);
                u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
            }
            _ => None,
        })
        .collect()
}

/// The page of the first `limit` of `rows`, which has one more when the list goes on.
pub(super) fn page_of<T>(
    mut rows: Vec<T>,
    limit: usize,
    place: impl FnOnce(&T) -> String,
) -> Page<T> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| encode_cursor(place(last)));
    Page { items: rows, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        for place in ["", "a", "reports-2.b", "\u{e4}:7"] {
            let cursor = encode_cursor(place);
            let found = decode_cursor(Some(&cursor), |text| Some(text.to_owned())).unwrap();
            assert_eq!(found.as_deref(), Some(place));
        }
        for bad in ["a", "zz", "ff", "\u{e4}\u{e4}", "+1"] {
            assert!(decode_cursor(Some(bad), |text| Some(text.to_owned())).is_err(), "{bad}");
        }
        assert!(decode_cursor(Some("61"), |text| text.parse::<u32>().ok()).is_err());
    }

    #[test]
    fn a_page_names_the_next_only_when_there_is_one() {
        let page = |rows: u32, limit| page_of((0..rows).collect(), limit, u32::to_string);
        assert_eq!(page(3, 3).next, None);
        assert_eq!(page(4, 3), Page { items: vec![0, 1, 2], next: Some(encode_cursor(2)) });
        assert_eq!(page(0, 3).next, None);
    }
}
