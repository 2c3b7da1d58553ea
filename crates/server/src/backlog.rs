//! What waits for a client that takes it slowly: bytes in memory, ranges of files, and beyond a bound a temporary file of
//! ours, so that a slow reader holds neither a thread nor the memory of a whole response.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::sink::SinkError;

/// More than this in memory goes to a temporary file, or where that may not be, makes the thread that streams wait.
pub(crate) const HIGH_WATER: usize = 1024 * 1024;
/// A thread that waits goes on below this, so that it does not wake for every segment that the client takes.
pub(crate) const LOW_WATER: usize = 256 * 1024;

/// Where a response that outgrows the memory may go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spool<'a> {
    /// `tmp_upload_dir`; the system's directory where there is none.
    pub(crate) directory: Option<&'a Path>,
    /// The most bytes of one response that may wait there (`limit_response_spool`).
    pub(crate) limit: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    pub(crate) pieces: VecDeque<Piece>,
    /// Bytes of memory that wait (files do not count: they cost nothing while they wait).
    pub(crate) bytes: usize,
    pub(crate) broken: Option<SinkError>,
    /// How often something was sent: tells whether anything was since an earlier look.
    pub(crate) taken: u64,
    /// Somebody who streams without waiting wants to be told when there is room.
    pub(crate) awaits_room: bool,
    /// The thread that waits for room has something else to look at.
    pub(crate) interrupted: bool,
}

#[derive(Debug)]
pub(crate) enum Piece {
    Bytes {
        data: Vec<u8>,
        sent: usize,
    },
    /// A range of a file. One that `grows` is a temporary file of ours, and what comes next may be added to it.
    File {
        file: File,
        offset: u64,
        left: u64,
        grows: bool,
    },
}

impl Backlog {
    /// Everything that waits, in bytes.
    pub(crate) fn left(&self) -> u64 {
        let of = |piece: &Piece| match piece {
            Piece::Bytes { data, sent } => (data.len() - sent) as u64,
            Piece::File { left, .. } => *left,
        };
        self.pieces.iter().map(of).sum()
    }

    /// Copies what `sendmsg` left of the parts.
    pub(crate) fn push_rest(&mut self, parts: &[&[u8]], mut sent: usize) {
        let mut data = Vec::new();
        for part in parts {
            let skip = sent.min(part.len());
            sent -= skip;
            data.extend_from_slice(&part[skip..]);
        }
        self.bytes += data.len();
        self.pieces.push_back(Piece::Bytes { data, sent: 0 });
    }

    /// Moves what waits in memory at the end of the backlog to a temporary file, if it is too much. It stays in memory where
    /// the limit is reached or the file cannot be written.
    pub(crate) fn spill(&mut self, spool: Spool<'_>) {
        if self.bytes <= HIGH_WATER || self.left() > spool.limit {
            return;
        }
        if let Err(error) = self.try_spill(spool) {
            self.pieces
                .retain(|piece| !matches!(piece, Piece::File { left: 0, .. }));
            log::warn!("what waits for a slow client stays in memory: {error}");
        }
    }

    fn try_spill(&mut self, spool: Spool<'_>) -> io::Result<()> {
        let in_memory = |piece: &Piece| matches!(piece, Piece::Bytes { .. });
        let first = self
            .pieces
            .iter()
            .rposition(|piece| !in_memory(piece))
            .map_or(0, |last| last + 1);
        let grows = |piece: &Piece| matches!(piece, Piece::File { grows: true, .. });
        if first == 0 || !grows(&self.pieces[first - 1]) {
            let file = match spool.directory {
                Some(directory) => tempfile::tempfile_in(directory)?,
                None => tempfile::tempfile()?,
            };
            let piece = Piece::File {
                file,
                offset: 0,
                left: 0,
                grows: true,
            };
            self.pieces.insert(first, piece);
            return self.append(first);
        }
        self.append(first - 1)
    }

    /// Moves the pieces behind a growing file into it.
    fn append(&mut self, at: usize) -> io::Result<()> {
        while let Some(Piece::Bytes { data, sent }) = self.pieces.get(at + 1) {
            let more = (data.len() - sent) as u64;
            let (waiting, bytes) = (&data[*sent..], data.len() - sent);
            if let Some(Piece::File {
                file, offset, left, ..
            }) = self.pieces.get(at)
            {
                file.write_all_at(waiting, offset + left)?;
            }
            if let Some(Piece::File { left, .. }) = self.pieces.get_mut(at) {
                *left += more;
            }
            self.bytes = self.bytes.saturating_sub(bytes);
            self.pieces.remove(at + 1);
        }
        Ok(())
    }

    /// Notes that bytes of the first piece went out, and drops it when it is done.
    pub(crate) fn account(&mut self, sent: u64) {
        let (done, in_memory) = match self.pieces.front() {
            Some(Piece::Bytes { data, sent }) => (*sent == data.len(), true),
            Some(Piece::File { left, .. }) => (*left == 0, false),
            None => return,
        };
        if in_memory {
            self.bytes = self.bytes.saturating_sub(sent as usize);
        }
        if done {
            self.pieces.pop_front();
        }
    }

    pub(crate) fn give_up(&mut self, error: SinkError) {
        self.broken.get_or_insert(error);
        self.pieces.clear();
        self.bytes = 0;
    }
}
