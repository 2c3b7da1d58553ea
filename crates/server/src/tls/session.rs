//! The state of one encrypted connection: ciphertext in, plaintext out, and the other way. It belongs to the lock of
//! its link, and knows of the socket only where ciphertext leaves.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use sys::send::Follow;

use super::ciphers;
use super::clients::{ClientCertificate, ClientIdentity};
use super::info::TlsInfo;
use crate::backlog::Range;

/// The most plaintext that is encrypted before the socket has taken it: four records. A slow client holds no more
/// ciphertext than that.
const AHEAD: usize = 64 * 1024;
/// A file is read in parts of the length of a record.
const FILE_PART: usize = 16 * 1024;

/// What the settings say of each connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionTerms {
    /// Whether a connection that ends without a goodbye has ended all the same (`suppress_ragged_eofs`).
    pub(super) ragged_ends: bool,
    /// Whether clients are asked for a certificate (`cert_reqs`).
    pub(super) asks_clients: bool,
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct TlsSession {
    connection: ServerConnection,
    /// Something has been read.
    has_begun: bool,
    /// The client has said that it sends no more.
    has_ended: bool,
    ragged_ends: bool,
    asks_clients: bool,
}

/// What a client did wrong, or what the two sides could not agree on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TlsFault(rustls::Error);

impl fmt::Display for TlsFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl std::error::Error for TlsFault {}

impl TlsSession {
    pub(super) fn new(
        config: Arc<ServerConfig>,
        terms: SessionTerms,
    ) -> Result<TlsSession, rustls::Error> {
        let mut connection = ServerConnection::new(config)?;
        connection.set_buffer_limit(Some(AHEAD));
        Ok(TlsSession {
            connection,
            has_begun: false,
            has_ended: false,
            ragged_ends: terms.ragged_ends,
            asks_clients: terms.asks_clients,
        })
    }

    /// Whether anything of the client has been read.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the client has said that it sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether the handshake is not done yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether ciphertext waits for the socket.
    pub(crate) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// The socket has ended without a goodbye of the client.
    pub(crate) fn ended_ragged(&self) -> io::Result<()> {
        match self.ragged_ends {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Takes ciphertext in, and puts what it says to the application into `plain`, which has room for it. Says how much
    /// that is.
    pub(crate) fn decrypt(
        &mut self,
        mut cipher: &[u8],
        plain: &mut [u8],
    ) -> Result<usize, TlsFault> {
        self.has_begun = true;
        let mut count = 0;
        while !cipher.is_empty() {
            // A slice does not fail; rustls takes nothing of what follows the client's goodbye.
            let taken = self.connection.read_tls(&mut cipher).unwrap_or(0);
            let state = self.connection.process_new_packets().map_err(TlsFault)?;
            if state.plaintext_bytes_to_read() > 0 {
                count += self
                    .connection
                    .reader()
                    .read(&mut plain[count..])
                    .unwrap_or(0);
            }
            self.has_ended |= state.peer_has_closed();
            if taken == 0 {
                break;
            }
        }
        Ok(count)
    }

    /// Encrypts the beginning of the slices, and says how much that is: nothing where enough waits for the socket.
    pub(crate) fn encrypt(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.writer().write_vectored(slices)
    }

    /// Encrypts the beginning of a range of a file, of which there are no more than `most` bytes.
    pub(crate) fn encrypt_file(&mut self, range: &Range, most: u64) -> io::Result<u64> {
        let mut part = [0; FILE_PART];
        let mut count = 0;
        let most = range.left.min(most).min(AHEAD as u64);
        while count < most {
            let wanted = usize::try_from(most - count).unwrap_or(FILE_PART);
            let wanted = wanted.min(FILE_PART);
            let read = range
                .file
                .read_at(&mut part[..wanted], range.offset + count)?;
            if read == 0 {
                // The file is shorter than was promised: the framing is lost, so the connection goes.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let taken = self.connection.writer().write(&part[..read])?;
            count += taken as u64;
            if taken < read {
                break;
            }
        }
        Ok(count)
    }

    /// Ends this side of the connection with a goodbye (`close_notify`).
    pub(crate) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    /// Writes ciphertext that waits, once.
    pub(crate) fn write_to(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.connection.write_tls(&mut SocketWriter(socket))
    }

    /// Writes all ciphertext that waits. Says whether the socket took it.
    pub(crate) fn transmit(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        while self.wants_write() {
            match self.write_to(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// What is known of the connection once the handshake is done.
    pub(crate) fn info(&self) -> TlsInfo {
        let connection = &self.connection;
        let suite = connection.negotiated_cipher_suite();
        TlsInfo {
            version: connection
                .protocol_version()
                .map_or("", ciphers::version_name),
            version_number: connection.protocol_version().map_or(0, u16::from),
            cipher: suite.map_or("", |suite| ciphers::name(suite.suite())),
            cipher_number: suite.map_or(0, |suite| suite.suite().into()),
            is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            server_name: connection.server_name().map(str::to_owned),
            protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
            client: match connection.peer_certificates() {
                Some(chain) => ClientCertificate::Verified(ClientIdentity::of(chain)),
                None if self.asks_clients => ClientCertificate::Absent,
                None => ClientCertificate::Unasked,
            },
        }
    }
}

/// Where ciphertext leaves.
struct SocketWriter<'a>(BorrowedFd<'a>);

impl Write for SocketWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        sys::send::send_vectored(self.0, slices, Follow::Nothing)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
