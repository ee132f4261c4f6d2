//! Server-sent events (the HTML standard, section 9.2), read from bytes as they arrive.

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// What it is; `message` when the server does not say.
    pub(crate) kind: String,
    /// What it says.
    pub(crate) data: String,
}

/// Bytes of one line: an event of ours is far smaller.
const LINE_BYTES: usize = 1024 * 1024;

/// A line without end: no stream of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream of events has a line of over {LINE_BYTES} bytes")]
pub(crate) struct LineTooLong;

/// Takes bytes as they arrive and gives events. Of what was cut off nothing is given.
#[derive(Debug, Default)]
pub(crate) struct ServerEvents {
    line: Vec<u8>,
    kind: String,
    data: String,
    id: Option<String>,
    last_id: Option<String>,
}

impl ServerEvents {
    /// The events that are complete now, each with what to resume behind it by.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
    ) -> Result<Vec<(ServerEvent, Option<String>)>, LineTooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > LINE_BYTES {
                    return Err(LineTooLong);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line).into_owned();
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                events.extend(self.complete().map(|event| (event, self.last_id.clone())));
            } else {
                self.field(line);
            }
        }
        Ok(events)
    }

    /// The id of the last thing that was complete, event or not.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" => self.id = Some(value.to_owned()),
            // A comment, or something newer.
            _ => {}
        }
    }

    fn complete(&mut self) -> Option<ServerEvent> {
        if let Some(id) = self.id.take() {
            self.last_id = Some(id);
        }
        let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        (!data.is_empty()).then_some(ServerEvent { kind, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = ": events\nid: 1-0\n\nid: 1-1\nevent: task\ndata: {\"a\":1}\n\n\
                    : keep-alive\nid: 3-7\n\ndata:x\r\ndata: y\r\n\r\nid: 4-0\nevent: run\ndata: z\n";
        let event = |kind: &str, data: &str| ServerEvent { kind: kind.into(), data: data.into() };
        let wanted = [
            (event("task", "{\"a\":1}"), Some("1-1".to_owned())),
            (event("message", "x\ny"), Some("3-7".to_owned())),
        ];
        for size in 1..text.len() {
            let mut events = ServerEvents::default();
            let parts = text.as_bytes().chunks(size);
            let found: Vec<_> = parts.flat_map(|part| events.take(part).unwrap()).collect();
            assert_eq!(found, wanted, "{size}");
            // The last one is not complete, so nobody resumes behind it.
            assert_eq!(events.last_id(), Some("3-7"), "{size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut events = ServerEvents::default();
        assert!(events.take(&vec![b'x'; LINE_BYTES]).is_ok());
        assert_eq!(events.take(b"x"), Err(LineTooLong));
    }
}
