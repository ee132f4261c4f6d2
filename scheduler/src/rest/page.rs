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

/// Which page of a list that is at hand as a whole, checked before somebody is asked for the list.
#[derive(Debug)]
pub(super) struct Slice<K> {
    rows: usize,
    /// The row that it follows.
    after: Option<K>,
}

impl PageParams {
    pub(super) fn slice<K>(
        &self,
        parse: impl FnOnce(&str) -> Option<K>,
    ) -> Result<Slice<K>, Refusal> {
        let rows = page_rows(self.limit, limits::PAGE_ROWS)?;
        Ok(Slice { rows, after: decode_cursor(self.cursor.as_deref(), parse)? })
    }
}

impl<K: Ord + Display> Slice<K> {
    /// The page of all rows in the order of their keys.
    pub(super) fn of<T>(self, mut all: Vec<T>, key: impl Fn(&T) -> &K) -> Page<T> {
        all.retain(|row| self.after.as_ref().is_none_or(|after| key(row) > after));
        all.sort_by(|a, b| key(a).cmp(key(b)));
        all.truncate(self.rows + 1);
        page_of(all, self.rows, |row| key(row).to_string())
    }
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
    fn pages_of_a_list_follow_each_other_in_its_order() {
        let page = |cursor: Option<String>| {
            let params = PageParams { limit: Some(2), cursor };
            let slice = params.slice(|text| Some(text.to_owned())).unwrap();
            slice.of(["c", "a", "b"].map(str::to_owned).to_vec(), |row| row)
        };
        let first = page(None);
        assert_eq!(first.items, ["a", "b"]);
        let second = page(first.next);
        assert_eq!((second.items, second.next), (vec!["c".to_owned()], None));
    }

    #[test]
    fn a_page_names_the_next_only_when_there_is_one() {
        let page = |rows: u32, limit| page_of((0..rows).collect(), limit, u32::to_string);
        assert_eq!(page(3, 3).next, None);
        assert_eq!(page(4, 3), Page { items: vec![0, 1, 2], next: Some(encode_cursor(2)) });
        assert_eq!(page(0, 3).next, None);
    }
}
