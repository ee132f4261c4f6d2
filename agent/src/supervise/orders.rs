//! From the bytes of an agent's connection to what they ask of a supervisor.

use std::time::Duration;

use muster_api::Mono;

use super::{Event, protocol::ToSupervisor};

/// Bytes of one order at most.
const LINE_MAX: usize = 4096;

/// Takes orders out of what an agent writes, one to a line.
#[derive(Debug, Default)]
pub struct Orders {
    unread: Vec<u8>,
}

/// A line is longer than any order: what comes is no agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlong;

impl Orders {
    /// Takes bytes that were read, in pieces of any size, and appends what they ask for. What a newer
    /// agent may say beyond this is not understood, and not needed.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Overlong> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.unread.len() + piece.len() > LINE_MAX {
                return Err(Overlong);
            }
            self.unread.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                events.extend(serde_json::from_slice(&self.unread).map(ToSupervisor::into_event));
                self.unread.clear();
            }
        }
        Ok(())
    }
}

impl ToSupervisor {
    fn into_event(self) -> Event {
        match self {
            Self::Deadline { at_ms, said_ms } => {
                Event::Deadline { at: Mono::from_millis(at_ms), said: Mono::from_millis(said_ms) }
            }
            Self::End { grace_ms } => Event::End { grace: Duration::from_millis(grace_ms) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Result<Vec<Event>, Overlong> {
        let (mut orders, mut events) = (Orders::default(), Vec::new());
        for piece in pieces {
            orders.feed(piece, &mut events)?;
        }
        Ok(events)
    }

    #[test]
    fn orders_are_read_however_they_are_cut() {
        let text = concat!(
            "{\"deadline\":{\"at_ms\":5}}\n",
            "{\"polish\":{\"shoes\":2}}\nnonsense\n\n",
            "{\"end\":{\"grace_ms\":7}}\n{\"end\":",
        );
        let expected = vec![
            Event::Deadline { at: Mono::from_millis(5), said: Mono::from_millis(0) },
            Event::End { grace: Duration::from_millis(7) },
        ];
        for cut in 0..text.len() {
            let (one, other) = text.as_bytes().split_at(cut);
            assert_eq!(all(&[one, other]), Ok(expected.clone()), "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let long = vec![b' '; LINE_MAX];
        assert_eq!(all(&[&long]), Ok(vec![]));
        assert_eq!(all(&[&long, b" "]), Err(Overlong));
        assert_eq!(all(&[&long, b"\n"]), Err(Overlong));
    }
}
