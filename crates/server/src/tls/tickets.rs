//! Session tickets: what a client brings back to resume a session without the costly half of a handshake (RFC 8446,
//! section 4.6.1; RFC 5077). They are encrypted with keys that all workers share, so that any of them can resume.

use std::fmt;
use std::io;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA512, digest};
use parking_lot::Mutex;
use rustls::server::ProducesTickets;
use sys::publication::Publication;

/// A new key encrypts new tickets so often. A session's secrets are as safe as the key of its ticket, so its time is
/// short; and AES-GCM with random nonces bears 2^32 tickets, which a day of resumptions does not reach.
const ROTATION: Duration = Duration::from_secs(6 * 3600);
/// The key that encrypts, and those before it, which still decrypt.
const KEPT: usize = 3;
/// For how long a ticket can be resumed at least: the time of the keys that only decrypt.
const LIFETIME_S: u32 = 12 * 3600;

const NAME_LENGTH: usize = 16;
const NONCE_LENGTH: usize = 12;
/// A key's name and the key.
const SECRET_LENGTH: usize = NAME_LENGTH + 32;
type Secret = [u8; SECRET_LENGTH];

/// The lines of a file of keys that are read at most.
const MOST_LINES: usize = 16;
/// The characters of a line: 32 random bytes in base64, or more.
const SHORTEST_LINE: usize = 43;

/// Keys that the server has made itself. The arbiter makes them and changes them; workers follow.
#[derive(Debug)]
pub struct TicketKeys {
    published: Publication,
    known: Mutex<Known>,
    /// When the next key is due, by the monotonic clock; not known before the first look at the clock.
    rotation_due: Mutex<Option<Duration>>,
}

#[derive(Debug)]
struct Known {
    version: u64,
    keys: KeyRing,
}

impl TicketKeys {
    /// Keys that go on where `inherited` ([`TicketKeys::secrets`] of another process) ended: its tickets are good here.
    ///
    /// # Errors
    /// The machine has no memory to share, or no randomness.
    pub fn new(inherited: &[u8]) -> io::Result<TicketKeys> {
        let keys = TicketKeys {
            published: Publication::new()?,
            known: Mutex::new(Known {
                version: 0,
                keys: KeyRing::default(),
            }),
            rotation_due: Mutex::new(None),
        };
        keys.published.publish(inherited)?;
        keys.rotate()?;
        Ok(keys)
    }

    /// The keys as bytes, for a process that takes over. They are as secret as the sessions.
    pub fn secrets(&self) -> Vec<u8> {
        let read = self.published.read();
        read.map(|(_, secrets)| secrets).unwrap_or_default()
    }

    /// When [`TicketKeys::upkeep`] has something to do next.
    pub(super) fn upkeep_due(&self) -> Duration {
        self.rotation_due.lock().unwrap_or_default()
    }

    /// Makes a new key, where its time has come.
    pub(super) fn upkeep(&self, now: Duration) {
        let mut due = self.rotation_due.lock();
        let is_first = due.is_none();
        if due.is_some_and(|due| now < due) {
            return;
        }
        *due = Some(now + ROTATION);
        if !is_first && let Err(error) = self.rotate() {
            log::error!("No new key for session tickets could be made: {error}");
        }
    }

    fn rotate(&self) -> io::Result<()> {
        let mut secret = [0; SECRET_LENGTH];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| io::Error::other("no randomness"))?;
        let before = self.secrets();
        let kept = before.chunks_exact(SECRET_LENGTH).take(KEPT - 1);
        let secrets: Vec<u8> = std::iter::once(&secret[..])
            .chain(kept)
            .flatten()
            .copied()
            .collect();
        self.published.publish(&secrets)
    }

    /// Does something with the keys in force.
    fn with<T>(&self, use_keys: impl FnOnce(&KeyRing) -> Option<T>) -> Option<T> {
        let mut known = self.known.lock();
        if known.version != self.published.version()
            && let Some((version, secrets)) = self.published.read()
        {
            let secrets = secrets.as_chunks().0;
            *known = Known {
                version,
                keys: KeyRing::new(secrets),
            };
        }
        use_keys(&known.keys)
    }
}

impl ProducesTickets for TicketKeys {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.with(|keys| keys.encrypt(plain))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.with(|keys| keys.decrypt(cipher))
    }
}

/// Keys out of a file that several servers share: the first encrypts, all of them decrypt.
#[derive(Debug)]
pub(super) struct FileKeys(KeyRing);

impl FileKeys {
    /// Reads the lines of a file. What is wrong with it is said as a clause.
    pub(super) fn parse(text: &[u8]) -> Result<FileKeys, String> {
        let text = str::from_utf8(text).map_err(|_| "the file is no text".to_owned())?;
        let lines = text.lines().map(str::trim);
        let lines: Vec<_> = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        if let Some(number) = lines.iter().position(|line| line.len() < SHORTEST_LINE) {
            return Err(format!(
                "key {} in the file has fewer than {SHORTEST_LINE} characters; \"openssl rand -base64 48\" makes one",
                number + 1
            ));
        }
        match lines.len() {
            0 => Err("the file has no key; \"openssl rand -base64 48\" makes one".to_owned()),
            count if count > MOST_LINES => Err(format!("the file has more than {MOST_LINES} keys")),
            _ => {
                let secrets: Vec<_> = lines.iter().map(|line| secret_of(line)).collect();
                Ok(FileKeys(KeyRing::new(&secrets)))
            }
        }
    }
}

/// The secret that a line stands for. A line has enough entropy, so a hash is all that is needed to derive it.
fn secret_of(line: &str) -> Secret {
    let mut secret = [0; SECRET_LENGTH];
    let hash = digest(
        &SHA512,
        &[b"oxicorn session tickets ", line.as_bytes()].concat(),
    );
    for (to, from) in secret.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    secret
}

impl ProducesTickets for FileKeys {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(cipher)
    }
}

/// The keys in force, the one that encrypts first. A ticket is the name of its key, a nonce, and the ciphertext.
#[derive(Default)]
struct KeyRing(Vec<(Name, RandomizedNonceKey)>);

type Name = [u8; NAME_LENGTH];

impl KeyRing {
    fn new(secrets: &[Secret]) -> KeyRing {
        let key = |secret: &Secret| {
            let (name, key) = secret.split_first_chunk()?;
            Some((*name, RandomizedNonceKey::new(&AES_256_GCM, key).ok()?))
        };
        KeyRing(secrets.iter().filter_map(key).collect())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let (name, key) = self.0.first()?;
        let mut sealed = plain.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(name), &mut sealed)
            .ok()?;
        Some([&name[..], nonce.as_ref(), &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LENGTH>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>()?;
        // The name is no secret: it stands in every ticket.
        let (_, key) = self.0.iter().find(|(known, _)| known == name)?;
        let mut sealed = sealed.to_vec();
        let plain = key
            .open_in_place(Nonce::from(nonce), Aad::from(name), &mut sealed)
            .ok()?;
        Some(plain.to_vec())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeyRing({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"what a session has agreed on";
    const LINE: &str = "RkZC7D0iP7cQj2wYV8ckz9fJ3Wl0S1jq8b9zV5m1Q4mQ8GZ1hQz8kqg1w4c3wX9a";

    fn keys() -> TicketKeys {
        TicketKeys::new(&[]).expect("memory and randomness")
    }

    #[test]
    fn a_ticket_comes_back_as_it_was() {
        let keys = keys();
        let ticket = keys.encrypt(TEXT).expect("a key");
        assert_eq!(keys.decrypt(&ticket).as_deref(), Some(TEXT));
        assert_ne!(keys.encrypt(TEXT), Some(ticket), "the nonce is random");
    }

    #[test]
    fn a_damaged_ticket_is_none() {
        let keys = keys();
        let ticket = keys.encrypt(TEXT).expect("a key");
        for index in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[index] ^= 1;
            assert_eq!(keys.decrypt(&damaged), None, "byte {index}");
            assert_eq!(keys.decrypt(&ticket[..index]), None, "{index} bytes");
        }
        assert_eq!(keys.decrypt(&[&ticket[..], b"x"].concat()), None);
    }

    #[test]
    fn a_ticket_lives_for_two_rotations() {
        let keys = keys();
        let mut now = Duration::from_secs(1000);
        keys.upkeep(now);
        let ticket = keys.encrypt(TEXT).expect("a key");
        for _ in 0..2 {
            now += ROTATION;
            keys.upkeep(now);
            assert_eq!(keys.decrypt(&ticket).as_deref(), Some(TEXT));
        }
        keys.upkeep(now + ROTATION / 2);
        assert!(keys.decrypt(&ticket).is_some(), "no rotation is due");
        assert_eq!(keys.upkeep_due(), now + ROTATION);
        keys.upkeep(now + ROTATION);
        assert_eq!(keys.decrypt(&ticket), None);
        assert!(u64::from(LIFETIME_S) <= 2 * ROTATION.as_secs());
    }

    #[test]
    fn a_process_that_takes_over_knows_the_tickets_of_the_one_before() {
        let before = keys();
        let ticket = before.encrypt(TEXT).expect("a key");
        let after = TicketKeys::new(&before.secrets()).expect("memory");
        assert_eq!(after.decrypt(&ticket).as_deref(), Some(TEXT));
        let own = after.encrypt(TEXT).expect("a key");
        assert_eq!(before.decrypt(&own), None, "it has made a key of its own");
    }

    #[test]
    fn the_first_line_of_a_file_encrypts_and_all_decrypt() {
        let other = LINE.to_lowercase();
        let one = FileKeys::parse(format!("# old\n{LINE}\n").as_bytes()).expect("a key");
        let both = FileKeys::parse(format!("{other}\n\n{LINE}").as_bytes()).expect("keys");
        let (old, new) = (one.encrypt(TEXT), both.encrypt(TEXT));
        assert_eq!(both.decrypt(&old.expect("a key")).as_deref(), Some(TEXT));
        assert_eq!(one.decrypt(&new.expect("a key")), None);
    }

    #[test]
    fn a_file_without_good_keys_is_refused() {
        let check = |text: &str, said: &str| {
            let refused = FileKeys::parse(text.as_bytes()).expect_err("no good keys");
            assert!(refused.contains(said), "{refused}");
        };
        check("# nothing\n", "has no key");
        check("secret\n", "key 1 in the file has fewer than 43");
        check(&format!("{LINE}\nshort\n"), "key 2 in the file");
        check(&format!("{LINE}\n").repeat(17), "more than 16 keys");
    }
}
