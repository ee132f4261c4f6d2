//! The bytes of a record to events.

use std::{borrow::Cow, str::FromStr};

use muster_api::{
    ExecutorId, RunId, TaskId, Timestamp,
    events::{EventKind, EventSource, TraceEvent},
};
use uuid::Uuid;

use super::{
    BEFORE, FIELDS, Field, InvalidEvents, NEW, NOTHING, VERSION, blank, kind_number, source_number,
};
use crate::trace::bytes::Taker;

/// A stored record of events, whose rows are read one by one.
#[derive(Debug)]
pub struct Record<'a> {
    rows: Taker<'a>,
    left: u64,
    count: u64,
    before: u64,
    texts: Vec<&'a str>,
    ids: Vec<Uuid>,
    row: TraceEvent,
}

impl<'a> Record<'a> {
    /// The record in some bytes that were stored under a sequence.
    pub fn open(sequence: u64, bytes: &'a [u8]) -> Result<Self, InvalidEvents> {
        let Some((&VERSION, rest)) = bytes.split_first() else {
            return Err(InvalidEvents::Version { found: bytes.first().copied() });
        };
        let mut rows = Taker(rest);
        let count = rows.number().ok_or(InvalidEvents::Damaged)?;
        let before = rows.number().ok_or(InvalidEvents::Damaged)?;
        let (texts, ids) = (Vec::new(), Vec::new());
        Ok(Self { rows, left: count, count, before, texts, ids, row: blank(sequence) })
    }

    /// How many events it holds.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many events were ever logged before those.
    pub fn before(&self) -> u64 {
        self.before
    }

    /// The next event, or nothing when that was all.
    pub fn next_row(&mut self) -> Result<Option<&TraceEvent>, InvalidEvents> {
        if self.left == 0 {
            return if self.rows.0.is_empty() { Ok(None) } else { Err(InvalidEvents::Damaged) };
        }
        self.left -= 1;
        match self.row() {
            Some(()) => Ok(Some(&self.row)),
            None => {
                self.left = 0;
                Err(InvalidEvents::Damaged)
            }
        }
    }

    fn row(&mut self) -> Option<()> {
        let mask = u32::try_from(self.rows.number()?).ok()?;
        let known = FIELDS.into_iter().fold(0, |known, field| known | field.bit());
        if mask & !known != 0 {
            return None;
        }
        for field in FIELDS.into_iter().filter(|field| mask & field.bit() != 0) {
            self.field(field)?;
        }
        Some(())
    }

    fn field(&mut self, field: Field) -> Option<()> {
        match field {
            Field::Task => self.row.task = self.id()?.map(TaskId::from_uuid),
            Field::Run => self.row.run = self.id()?.map(RunId::from_uuid),
            Field::Executor => self.row.executor = self.id()?.map(ExecutorId::from_uuid),
            Field::Replaces => self.row.replaces = self.id()?.map(TaskId::from_uuid),
            Field::Agent => self.row.agent = self.name()?,
            Field::Hostname => self.row.hostname = self.text()?.map(str::to_owned),
            Field::State => self.row.state = Cow::Owned(self.text()??.to_owned()),
            Field::Message => self.row.message = self.text()?.map(str::to_owned),
            Field::App => self.row.app = self.name()?,
            Field::Job => self.row.job = self.name()?,
            Field::Actor => self.row.actor = self.text()?.map(str::to_owned),
            Field::Item => self.row.item = self.small()?,
            Field::Attempt => self.row.attempt = self.small()?,
            Field::Count => self.row.count = self.rows.optional()?,
            Field::Version => self.row.version = self.rows.optional()?,
            Field::ExitCode => self.row.exit_code = self.small()?.map(u32::cast_signed),
            Field::At => {
                let at = self.row.at.as_millis().wrapping_add(self.rows.signed()?);
                self.row.at = Timestamp::from_millis(at);
            }
            Field::StartedAt => self.row.started_at = self.time()?,
            Field::PlannedAt => self.row.planned_at = self.time()?,
            Field::PlannedUntil => self.row.planned_until = self.time()?,
            Field::Kind => {
                let number = self.rows.byte()?;
                let named = |kind: &EventKind| kind_number(*kind) == number;
                let known = EventKind::ALL.into_iter().find(named);
                // A later version wrote it, and what else it says is still of use.
                self.row.kind = known.unwrap_or(EventKind::Other);
            }
            Field::Source => {
                let number = self.rows.byte()?;
                let named = |source: &EventSource| source_number(*source) == number;
                self.row.source = EventSource::ALL.into_iter().find(named)?;
            }
        }
        Some(())
    }

    fn id(&mut self) -> Option<Option<Uuid>> {
        Some(Some(match self.rows.number()? {
            NOTHING => return Some(None),
            NEW => {
                let id = Uuid::from_slice(self.rows.bytes(16)?).ok()?;
                self.ids.push(id);
                id
            }
            known => *self.ids.get(usize::try_from(known - BEFORE).ok()?)?,
        }))
    }

    fn text(&mut self) -> Option<Option<&'a str>> {
        Some(Some(match self.rows.number()? {
            NOTHING => return Some(None),
            NEW => {
                let length = usize::try_from(self.rows.number()?).ok()?;
                let text = str::from_utf8(self.rows.bytes(length)?).ok()?;
                self.texts.push(text);
                text
            }
            known => self.texts.get(usize::try_from(known - BEFORE).ok()?)?,
        }))
    }

    fn name<T: FromStr>(&mut self) -> Option<Option<T>> {
        match self.text()? {
            None => Some(None),
            Some(text) => text.parse().ok().map(Some),
        }
    }

    fn small(&mut self) -> Option<Option<u32>> {
        match self.rows.optional()? {
            None => Some(None),
            Some(number) => u32::try_from(number).ok().map(Some),
        }
    }

    fn time(&mut self) -> Option<Option<Timestamp>> {
        Some(match self.rows.byte()? {
            0 => None,
            1 => {
                let difference = self.rows.signed()?;
                Some(Timestamp::from_millis(self.row.at.as_millis().wrapping_add(difference)))
            }
            _ => return None,
        })
    }
}
