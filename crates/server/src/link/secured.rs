//! What a [`Link`] does where its connection is encrypted: the handshake, and reading.

use std::io;
use std::os::fd::AsFd;

use socket2::Socket;

use super::outgoing::Outgoing;
use super::{Link, Received};
use crate::tls::{TlsFault, TlsInfo, TlsSession};

/// The part of the buffer that ciphertext is read into; what it says goes into the rest. It says no more than its own
/// length and that of a record of which the beginning was read before (16 KiB), so with a quarter of 64 KiB it fits.
const CIPHERTEXT_PART: usize = 4;
/// How often one look reads on where bytes arrive that say nothing to the application. Beyond it the client sends
/// nothing but empty records and messages of TLS itself.
const READS_IN_VAIN: usize = 16;

/// How a handshake stands after a look at the socket.
#[derive(Debug)]
pub(crate) enum Greeting {
    /// More of it has to come; it may have arrived already.
    Pending { has_more: bool },
    /// It is done, and so many bytes that followed it are in the buffer.
    Done(usize, TlsInfo),
    /// The client does not speak TLS but, as far as its first byte tells, HTTP. The connection is a plain one now.
    Plain,
    /// The client has been told why not, as far as TLS has words for it.
    Failed(TlsFault),
}

impl Link {
    /// A connection that begins with a handshake.
    pub(crate) fn secured(socket: Socket, session: TlsSession) -> Link {
        let out = Outgoing {
            tls: Some(Box::new(session)),
            ..Outgoing::default()
        };
        Link::with(socket, true, out)
    }

    /// Whether the connection is, or was meant to be, encrypted. Its state cannot travel to another process.
    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// What comes next is not encrypted: the client has said nothing that would be.
    pub(crate) fn forget_tls(&self) {
        if self.is_secure {
            self.out.lock().tls = None;
        }
    }

    /// Goes on with the handshake, as far as its bytes have arrived.
    ///
    /// # Errors
    /// The client has left, or nothing has arrived.
    pub(crate) fn shake_hands(&self, buffer: &mut [u8]) -> io::Result<Greeting> {
        let socket = self.socket.as_fd();
        let mut out = self.out.lock();
        let Outgoing {
            tls: Some(tls),
            blocked,
            ..
        } = &mut *out
        else {
            return Ok(Greeting::Plain);
        };
        let (plain, cipher) = split(buffer);
        let count = match sys::socket::receive(socket, cipher)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => count,
        };
        let has_more = count == cipher.len();
        if !tls.has_begun() && cipher[0].is_ascii_alphabetic() {
            out.tls = None;
            return Ok(Greeting::Plain);
        }
        match tls.decrypt(&cipher[..count], plain) {
            // What is left to be said of the handshake leaves with the answer to the request that has come with it.
            Ok(early) if early > 0 && !tls.is_handshaking() => {
                Ok(Greeting::Done(early, tls.info()))
            }
            Ok(early) => {
                *blocked = !tls.transmit(socket)?;
                match tls.is_handshaking() {
                    true => Ok(Greeting::Pending { has_more }),
                    false => Ok(Greeting::Done(early, tls.info())),
                }
            }
            Err(fault) => {
                // The alert; a socket that is full or gone needs none.
                let _ = tls.transmit(socket);
                out.tls = None;
                Ok(Greeting::Failed(fault))
            }
        }
    }

    /// Reads what the client has sent. Where the client did not speak TLS, its bytes are read as they are.
    pub(super) fn receive_secured(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let socket = self.socket.as_fd();
        let mut out = self.out.lock();
        let Outgoing {
            tls: Some(tls),
            blocked,
            ..
        } = &mut *out
        else {
            return self.receive_plain(buffer);
        };
        let (plain, cipher) = split(buffer);
        for _ in 0..READS_IN_VAIN {
            if tls.has_ended() {
                return Ok(Received::END);
            }
            let read = match sys::socket::receive(socket, cipher)? {
                0 => return tls.ended_ragged().map(|()| Received::END),
                read => read,
            };
            let decrypted = tls.decrypt(&cipher[..read], plain);
            if tls.wants_write() && !*blocked {
                *blocked = !tls.transmit(socket)?;
            }
            let count = match decrypted {
                Ok(count) => count,
                Err(fault) => {
                    out.tls = None;
                    return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
                }
            };
            let has_more = read == cipher.len() || tls.has_ended();
            if count > 0 {
                return Ok(Received { count, has_more });
            }
            if !has_more {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the client sends TLS records that say nothing",
        ))
    }

    /// Says to a client of TLS that nothing more comes.
    pub(super) fn say_goodbye(&self) {
        if self.is_secure {
            self.out.lock().say_goodbye(self.socket.as_fd());
        }
    }
}

impl Received {
    const END: Received = Received {
        count: 0,
        has_more: false,
    };
}

/// The parts of the buffer for plaintext and for ciphertext.
fn split(buffer: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    buffer.split_at_mut(buffer.len() - buffer.len() / CIPHERTEXT_PART)
}
