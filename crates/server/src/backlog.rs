//! What waits for a client that takes it slowly: bytes in memory, ranges of files, and beyond a bound a temporary file
//! of ours, so that a slow reader holds neither a thread nor the memory of a whole response. It knows no socket.
//!
//! However small the parts are that are pushed, what they cost is linear in their bytes: they are joined into chunks,
//! and the totals are counted as they change.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sys::beneath::FileFacts;

use crate::disk::{Allowance, Disk, DiskError};
use crate::sink::FilePart;

/// More than this in memory goes to a temporary file, or where that may not be, makes the thread that streams wait.
pub(crate) const HIGH_WATER: usize = 1024 * 1024;
/// A thread that waits goes on below this, so that it does not wake for every segment that the client takes.
pub(crate) const LOW_WATER: usize = 256 * 1024;
/// More than this, and a task of an event loop waits: it holds no thread meanwhile, so nothing has to go to disk. The
/// limit of asyncio's own transports.
pub(crate) const LOOP_HIGH_WATER: usize = 64 * 1024;
/// A task that waits goes on below this.
pub(crate) const LOOP_LOW_WATER: usize = 16 * 1024;

/// Parts are joined up to this, and longer ones are cut: the memory of a chunk is given back when its last byte is
/// sent.
const CHUNK: usize = 64 * 1024;
/// The first part of a chunk takes at least this; the chunk then doubles. A client that waits for one event must not
/// cost a whole chunk.
const SMALLEST: usize = 256;
/// The most chunks that leave in one `sendmsg`: as many bytes as are sent on in one go.
pub(crate) const BUFFERS: usize = 16;
/// What a range of a file counts as memory. It needs next to none, but a descriptor, of which there are fewer than
/// bytes.
const FILE_COST: usize = 16 * 1024;
/// What a chunk counts beside its bytes: its place in the list and what the allocator adds.
const CHUNK_COST: usize = 64;

/// A temporary file does not become longer than this; what follows goes to another. The blocks of a file are given back
/// when its last byte is sent, so a stream without end that its client takes slowly holds at most this much more than
/// what waits.
const SEGMENT: u64 = 64 * 1024 * 1024;

/// Where a response that outgrows the memory may go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spool<'a> {
    pub(crate) disk: &'a Disk,
    /// The most bytes of one response that may wait there (`limit_response_spool`).
    pub(crate) limit: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    pieces: VecDeque<Piece>,
    /// Bytes that wait, those in files among them.
    left: u64,
    /// Memory that the pieces hold.
    memory: usize,
    /// The log has been told that the rest of the response has to stay in memory.
    told: bool,
}

#[derive(Debug)]
enum Piece {
    Bytes { data: Vec<u8>, sent: usize },
    File(Range),
}

/// A range of a file.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) left: u64,
    /// What a temporary file of ours may take, to which what comes next is added.
    allowance: Option<Allowance>,
    /// What the file is supposed to be, where another process may change it.
    facts: Option<FileFacts>,
}

impl Range {
    pub(crate) fn new(file: File, offset: u64, left: u64) -> Range {
        Range {
            file: Arc::new(file),
            offset,
            left,
            allowance: None,
            facts: None,
        }
    }

    /// A part of a file of the application's, or of the site's.
    pub(crate) fn of(part: FilePart) -> Range {
        Range {
            file: part.file,
            offset: part.offset,
            left: part.length,
            allowance: None,
            facts: part.facts,
        }
    }

    /// Whether the file is not the one any more that the client was told of.
    pub(crate) fn has_changed(&self) -> bool {
        let facts = self.facts;
        facts.is_some_and(|facts| {
            FileFacts::of_file(&self.file).is_ok_and(|now| !now.has_content_of(&facts))
        })
    }

    /// Whether more may be added.
    fn grows(&self) -> bool {
        self.allowance.is_some() && self.offset + self.left < SEGMENT
    }
}

/// What is to be sent next.
#[derive(Debug)]
pub(crate) enum Front<'a> {
    /// The first so many of the buffers.
    Bytes(usize),
    /// Part of a file.
    File(&'a Range),
}

impl Piece {
    fn left(&self) -> u64 {
        match self {
            Piece::Bytes { data, sent } => (data.len() - sent) as u64,
            Piece::File(range) => range.left,
        }
    }

    fn memory(&self) -> usize {
        match self {
            Piece::Bytes { data, .. } => data.capacity() + CHUNK_COST,
            Piece::File(_) => FILE_COST,
        }
    }
}

impl Backlog {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Everything that waits, in bytes.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// The memory that is held for it.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Copies the parts without their first `sent` bytes, which have been sent.
    pub(crate) fn push(&mut self, parts: &[&[u8]], mut sent: usize) {
        for part in parts {
            let skip = sent.min(part.len());
            sent -= skip;
            self.append(&part[skip..]);
        }
    }

    /// Fills the last chunk, and makes others for the rest.
    fn append(&mut self, mut bytes: &[u8]) {
        self.left += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = match self.pieces.back() {
                Some(Piece::Bytes { data, .. }) => CHUNK.saturating_sub(data.len()),
                _ => 0,
            };
            if room == 0 {
                let data = Vec::new();
                self.memory += CHUNK_COST;
                self.pieces.push_back(Piece::Bytes { data, sent: 0 });
                continue;
            }
            let Some(Piece::Bytes { data, .. }) = self.pieces.back_mut() else {
                return;
            };
            let (now, rest) = bytes.split_at(bytes.len().min(room));
            let before = data.capacity();
            let needed = data.len() + now.len();
            if needed > before {
                let wanted = needed.next_power_of_two().clamp(SMALLEST, CHUNK);
                data.reserve_exact(wanted - data.len());
            }
            data.extend_from_slice(now);
            self.memory += data.capacity() - before;
            bytes = rest;
        }
    }

    /// Adds a range of a file.
    pub(crate) fn push_file(&mut self, range: Range) {
        if range.left == 0 {
            return;
        }
        let piece = Piece::File(range);
        self.left += piece.left();
        self.memory += piece.memory();
        self.pieces.push_back(piece);
    }

    /// What is to be sent next: the chunks up to the next file, at most as many as there are buffers, or a file.
    pub(crate) fn front<'a>(&'a self, buffers: &mut [IoSlice<'a>; BUFFERS]) -> Option<Front<'a>> {
        if let Piece::File(range) = self.pieces.front()? {
            return Some(Front::File(range));
        }
        let mut count = 0;
        for (buffer, piece) in buffers.iter_mut().zip(&self.pieces) {
            let Piece::Bytes { data, sent } = piece else {
                break;
            };
            *buffer = IoSlice::new(&data[*sent..]);
            count += 1;
        }
        Some(Front::Bytes(count))
    }

    /// Notes that so many bytes were sent, and drops what is done.
    pub(crate) fn advance(&mut self, mut count: u64) {
        while let Some(piece) = self.pieces.front_mut() {
            let now = count.min(piece.left());
            match piece {
                Piece::Bytes { sent, .. } => *sent += now as usize,
                Piece::File(range) => {
                    range.offset += now;
                    range.left -= now;
                }
            }
            count -= now;
            self.left -= now;
            if piece.left() > 0 {
                return;
            }
            self.memory -= piece.memory();
            self.pieces.pop_front();
        }
    }

    /// Takes up to `most` bytes of what comes first, for a sender that needs them in memory.
    ///
    /// # Errors
    /// A file cannot be read, or is not what was promised.
    pub(crate) fn take(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let taken = match self.pieces.front_mut() {
            None => return Ok(Vec::new()),
            Some(Piece::Bytes { data, sent }) => {
                let waiting = &data[*sent..];
                waiting[..waiting.len().min(most)].to_vec()
            }
            Some(Piece::File(range)) => {
                let length = range.left.min(most as u64) as usize;
                let mut block = vec![0; length];
                range.file.read_exact_at(&mut block, range.offset)?;
                // After it was read: what passes is of the file that was promised.
                match range.has_changed() {
                    true => return Err(io::ErrorKind::InvalidData.into()),
                    false => block,
                }
            }
        };
        self.advance(taken.len() as u64);
        Ok(taken)
    }

    /// Moves what waits in memory at the end to a temporary file, if more than `beyond` is held. It stays in memory
    /// where the limit is reached or the file cannot be written.
    pub(crate) fn spill(&mut self, spool: Spool<'_>, beyond: usize) {
        if self.memory <= beyond || self.left > spool.limit {
            return;
        }
        if let Err(error) = self.try_spill(spool)
            && !self.told
        {
            self.told = true;
            log::warn!(
                "what waits for a slow client stays in memory, and its thread waits: {error}"
            );
        }
    }

    fn try_spill(&mut self, spool: Spool<'_>) -> Result<(), DiskError> {
        let is_file = |piece: &Piece| matches!(piece, Piece::File(_));
        let last_file = self.pieces.iter().rposition(is_file);
        let mut tail = self.pieces.split_off(last_file.map_or(0, |last| last + 1));
        let mut result = Ok(());
        while result.is_ok() && !tail.is_empty() {
            result = self.spool_file(spool).and_then(|mut range| {
                let written = move_into(&mut range, &mut tail);
                if range.left > 0 {
                    self.pieces.push_back(Piece::File(range));
                }
                written
            });
        }
        self.pieces.append(&mut tail);
        // Once for each megabyte, and there are few pieces then.
        self.memory = self.pieces.iter().map(Piece::memory).sum();
        result
    }

    /// The temporary file at the end, or a new one.
    fn spool_file(&mut self, spool: Spool<'_>) -> Result<Range, DiskError> {
        match self.pieces.pop_back() {
            Some(Piece::File(range)) if range.grows() => return Ok(range),
            Some(other) => self.pieces.push_back(other),
            None => {}
        }
        let (file, allowance) = spool.disk.create()?;
        Ok(Range {
            allowance: Some(allowance),
            ..Range::new(file, 0, 0)
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Backlog::default();
    }
}

/// Moves the chunks to the end of a file, as far as it can be written and may grow.
fn move_into(range: &mut Range, chunks: &mut VecDeque<Piece>) -> Result<(), DiskError> {
    while let Some(Piece::Bytes { data, sent }) = chunks.front() {
        if !range.grows() {
            break;
        }
        let waiting = &data[*sent..];
        let end = range.offset + range.left;
        if let Some(allowance) = &mut range.allowance {
            allowance.grow_to(end + waiting.len() as u64)?;
        }
        range.file.write_all_at(waiting, end)?;
        range.left += waiting.len() as u64;
        chunks.pop_front();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::disk::tests::disk;

    /// All bytes in order, as a socket that takes at most `step` at once would get them.
    fn drain(backlog: &mut Backlog, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut buffers = [IoSlice::new(&[]); BUFFERS];
            let taken = match backlog.front(&mut buffers) {
                None => return all,
                Some(Front::Bytes(count)) => {
                    let joined: Vec<u8> = buffers[..count]
                        .iter()
                        .flat_map(|buffer| buffer.to_vec())
                        .collect();
                    let taken = joined.len().min(step);
                    all.extend_from_slice(&joined[..taken]);
                    taken
                }
                Some(Front::File(range)) => {
                    let mut block = vec![0; step.min(range.left as usize)];
                    range.file.read_exact_at(&mut block, range.offset).unwrap();
                    all.extend_from_slice(&block);
                    block.len()
                }
            };
            backlog.advance(taken as u64);
            check_totals(backlog);
        }
    }

    fn check_totals(backlog: &Backlog) {
        let pieces = &backlog.pieces;
        assert_eq!(backlog.left, pieces.iter().map(Piece::left).sum::<u64>());
        let memory = pieces.iter().map(Piece::memory).sum::<usize>();
        assert_eq!(backlog.memory, memory);
    }

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn spool(disk: &Disk) -> Spool<'_> {
        Spool {
            disk,
            limit: u64::MAX,
        }
    }

    #[test]
    fn a_million_small_pieces_are_a_few_chunks() {
        let mut backlog = Backlog::default();
        for _ in 0..1_000_000 {
            backlog.push(&[b"1\r\n", b"x", b"\r\n"], 0);
        }
        check_totals(&backlog);
        assert_eq!(backlog.left, 6_000_000);
        assert_eq!(backlog.pieces.len(), 6_000_000_usize.div_ceil(CHUNK));
        assert!(backlog.memory() < 6_100_000);
    }

    #[test]
    fn the_memory_of_a_few_bytes_is_small_and_counted() {
        let mut backlog = Backlog::default();
        backlog.push(&[b"data: 1\n\n"], 0);
        assert_eq!(backlog.memory(), SMALLEST + CHUNK_COST);
    }

    #[test]
    fn the_memory_of_a_long_part_is_given_back_while_it_is_sent() {
        let mut backlog = Backlog::default();
        backlog.push(&[&vec![7; 10 * CHUNK]], CHUNK);
        let before = backlog.memory();
        backlog.advance(8 * CHUNK as u64 + 1);
        check_totals(&backlog);
        assert_eq!(backlog.memory(), before - 8 * (CHUNK + CHUNK_COST));
    }

    #[test]
    fn one_call_gets_a_bounded_number_of_buffers() {
        let mut backlog = Backlog::default();
        backlog.push(&[&vec![7; 100 * CHUNK]], 0);
        let mut buffers = [IoSlice::new(&[]); BUFFERS];
        let front = backlog.front(&mut buffers);
        assert!(matches!(front, Some(Front::Bytes(BUFFERS))));
    }

    #[test]
    fn a_file_counts_for_more_than_its_bytes() {
        let mut backlog = Backlog::default();
        for _ in 0..=HIGH_WATER / FILE_COST {
            backlog.push_file(Range::new(file(b"x"), 0, 1));
        }
        assert!(backlog.memory() > HIGH_WATER, "descriptors are bounded too");
    }

    #[test]
    fn everything_leaves_in_order_whatever_it_was_pushed_as() {
        let disk = disk(0);
        // A linear congruential generator: the same sizes in every run.
        let mut seed = 1u64;
        let mut next = |bound: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            (seed >> 33) as usize % bound
        };
        for round in 0..20 {
            let (mut backlog, mut expected) = (Backlog::default(), Vec::new());
            for number in 0..300 {
                let data = vec![number as u8; next(if number % 20 == 0 { 200_000 } else { 2000 })];
                match next(12) {
                    0 => {
                        let length = data.len() as u64;
                        backlog.push_file(Range::new(file(&data), 0, length));
                        expected.extend_from_slice(&data);
                    }
                    1 => {
                        let sent = next(data.len() + 1);
                        backlog.push(&[&data[..data.len() / 2], &data[data.len() / 2..]], sent);
                        expected.extend_from_slice(&data[sent..]);
                    }
                    2 => backlog.spill(spool(&disk), HIGH_WATER),
                    _ => {
                        backlog.push(&[&data], 0);
                        expected.extend_from_slice(&data);
                    }
                }
                check_totals(&backlog);
            }
            let step = 1 + next(300_000);
            assert!(drain(&mut backlog, step) == expected, "round {round}");
            assert_eq!((backlog.left, backlog.memory()), (0, 0));
        }
    }

    #[test]
    fn what_is_taken_comes_in_order_from_memory_and_files() {
        let mut backlog = Backlog::default();
        backlog.push(&[b"one"], 0);
        backlog.push_file(Range::new(file(b".two."), 1, 3));
        backlog.push(&[b"three"], 0);
        let mut all = Vec::new();
        while !backlog.is_empty() {
            let taken = backlog.take(2).unwrap();
            assert!((1..=2).contains(&taken.len()));
            all.extend(taken);
            check_totals(&backlog);
        }
        assert_eq!(all, b"onetwothree");
        backlog.push_file(Range::new(file(b"x"), 0, 2));
        assert!(backlog.take(2).is_err(), "the file is too short");
    }

    #[test]
    fn what_spills_is_held_on_disk_in_one_file() {
        let disk = disk(0);
        let (mut backlog, mut expected) = (Backlog::default(), Vec::new());
        backlog.push(&[b"head"], 0);
        backlog.push_file(Range::new(file(b"middle"), 0, 6));
        expected.extend_from_slice(b"headmiddle");
        for number in 0..5_000_000u32 {
            backlog.push(&[&[number as u8]], 0);
            expected.push(number as u8);
            if backlog.memory() > HIGH_WATER {
                backlog.spill(spool(&disk), HIGH_WATER);
                check_totals(&backlog);
                assert!(backlog.memory() < HIGH_WATER && backlog.pieces.len() == 3);
            }
        }
        assert!(drain(&mut backlog, 1 << 20) == expected);
    }

    #[test]
    fn what_may_not_spill_stays_in_memory() {
        let mut backlog = Backlog::default();
        backlog.push(&[&vec![1; 2 * HIGH_WATER]], 0);
        let before = backlog.memory();
        let (free, full) = (disk(0), disk(1));
        let short = Spool {
            limit: 1,
            ..spool(&free)
        };
        backlog.spill(short, HIGH_WATER);
        let nowhere = Disk {
            directory: Some("/nonexistent".into()),
            ..disk(0)
        };
        for disk in [&nowhere, &full] {
            backlog.spill(spool(disk), HIGH_WATER);
            check_totals(&backlog);
        }
        assert_eq!(backlog.memory(), before);
    }

    #[test]
    fn the_disk_is_given_back_with_what_waits_there() {
        let disk = disk(0);
        let mut backlog = Backlog::default();
        let block = vec![7; 2 * HIGH_WATER];
        for _ in 0..2 * SEGMENT / block.len() as u64 {
            backlog.push(&[&block], 0);
            backlog.spill(spool(&disk), HIGH_WATER);
        }
        assert!(disk.slot.spooled() >= 2 * SEGMENT - HIGH_WATER as u64);
        backlog.advance(SEGMENT + SEGMENT / 2);
        assert!(
            disk.slot.spooled() <= SEGMENT + HIGH_WATER as u64,
            "the first file is gone"
        );
        backlog.clear();
        assert_eq!(disk.slot.spooled(), 0);
    }
}
