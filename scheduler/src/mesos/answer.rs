//! Answers to calls, taken out of the bytes of a connection as they come.

use muster_api::limits;
use muster_session::link::Answer;

/// Headers of an answer; those of Mesos are a handful.
const HEADERS: usize = 64;
/// Bytes of the head of an answer.
const HEAD_BYTES: usize = 64 * 1024;

/// Why a connection cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidAnswer {
    /// It is no HTTP.
    #[error("its answer is no HTTP/1.1")]
    NotHttp,
    /// It is longer than anything that a master has to say.
    #[error("its answer is too long")]
    TooLong,
    /// Nobody can say where it ends.
    #[error("its answer does not say how long it is")]
    NoLength,
}

/// One answer, and whether others can follow it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) answer: Answer,
    /// The master closes the connection after it, and has looked at nothing behind the call.
    pub(super) last: bool,
    /// How many bytes it took.
    pub(super) bytes: usize,
}

/// The first answer in `bytes`; nothing while it is not whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Parsed>, InvalidAnswer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let begin = match head.parse(bytes) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(InvalidAnswer::TooLong),
        Err(_) => return Err(InvalidAnswer::NotHttp),
    };
    let status = head.code.ok_or(InvalidAnswer::NotHttp)?;
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length = match header("content-length") {
        Some(length) => length.trim().parse().map_err(|_| InvalidAnswer::NotHttp)?,
        None if header("transfer-encoding").is_some() => return Err(InvalidAnswer::NoLength),
        None if matches!(status, 100..=199 | 204 | 304) => 0,
        None => return Err(InvalidAnswer::NoLength),
    };
    if length > limits::MESOS_ANSWER_BYTES * 16 {
        return Err(InvalidAnswer::TooLong);
    }
    let Some(body) = bytes.get(begin..begin + length) else { return Ok(None) };
    let shown = &body[..length.min(limits::MESOS_ANSWER_BYTES)];
    let answer = Answer {
        status,
        location: header("location").map(ToOwned::to_owned),
        body: String::from_utf8_lossy(shown).into_owned(),
    };
    let close = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let last = close || head.version == Some(0);
    Ok(Some(Parsed { answer, last, bytes: begin + length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Parsed {
        parse(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn answers_follow_each_other() {
        let taken = "HTTP/1.1 202 Accepted\r\nDate: x\r\nContent-Length: 0\r\n\r\n";
        let refused =
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 27\r\n\r\nFramework is not subscribed";
        let both = format!("{taken}{refused}");
        let first = whole(&both);
        assert_eq!((first.answer.status, first.bytes, first.last), (202, taken.len(), false));
        let second = whole(&both[first.bytes..]);
        assert_eq!(second.answer.body, "Framework is not subscribed");
        for cut in 0..refused.len() {
            assert_eq!(parse(&refused.as_bytes()[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn what_ends_the_connection_says_so() {
        let close = "HTTP/1.1 202 Accepted\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n";
        assert!(whole(close).last);
        assert!(whole("HTTP/1.0 202 Accepted\r\nContent-Length: 0\r\n\r\n").last);
        let moved = "HTTP/1.1 307 T\r\nLocation: //m:1/x\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(whole(moved).answer.location.as_deref(), Some("//m:1/x"));
    }

    #[test]
    fn a_long_answer_is_cut() {
        let most = limits::MESOS_ANSWER_BYTES;
        let text = |length: usize| {
            format!("HTTP/1.1 400 B\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length))
        };
        assert_eq!(whole(&text(most)).answer.body.len(), most);
        let longer = whole(&text(most + 1));
        assert_eq!((longer.answer.body.len(), longer.bytes), (most, text(most + 1).len()));
        let huge = format!("HTTP/1.1 400 B\r\nContent-Length: {}\r\n\r\n", most * 16 + 1);
        assert_eq!(parse(huge.as_bytes()), Err(InvalidAnswer::TooLong));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for (text, error) in [
            ("SSH-2.0-x\r\n\r\n", InvalidAnswer::NotHttp),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", InvalidAnswer::NotHttp),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
                InvalidAnswer::NotHttp,
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", InvalidAnswer::NoLength),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", InvalidAnswer::NoLength),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(error), "{text}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_BYTES));
        assert_eq!(parse(endless.as_bytes()), Err(InvalidAnswer::TooLong));
    }
}
