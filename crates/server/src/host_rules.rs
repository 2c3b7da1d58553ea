//! The rules of a site that need no application: which hosts it has, where they lead, and whether it is under
//! maintenance.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use proto::Request;
use proto::forwarded::Scheme;
use settings::Config;

use crate::own_answer::{Logged, OwnAnswer};
use crate::timers::Millis;

/// How often the file of the maintenance is looked for.
const LOOK: Millis = 1000;
/// The most that is sent of it, and of `security.txt`: these are pages for people.
const PAGE_BYTES: u64 = 1024 * 1024;
/// Where `security.txt` is (RFC 9116, section 3).
const SECURITY_TXT: &[u8] = b"/.well-known/security.txt";

/// The rules.
#[derive(Debug)]
pub(crate) struct HostRules {
    hosts: Vec<Vec<u8>>,
    canonical: Option<Vec<u8>>,
    maintenance: Option<Maintenance>,
    security: Option<Vec<u8>>,
    is_plain: bool,
}

/// A file whose existence is the maintenance.
#[derive(Debug)]
struct Maintenance {
    file: PathBuf,
    seen: Mutex<LastLook>,
}

#[derive(Debug, Default)]
struct LastLook {
    again_at: Millis,
    page: Option<Vec<u8>>,
}

impl HostRules {
    pub(crate) fn new(config: &Config) -> HostRules {
        let security = config
            .security_txt
            .as_deref()
            .and_then(|file| match read(file) {
                Ok(text) => Some(text),
                Err(error) => {
                    log::error!("security_txt: {} cannot be read: {error}", file.display());
                    None
                }
            });
        let lower = |host: &String| host.to_ascii_lowercase().into_bytes();
        let rules = HostRules {
            hosts: config.allowed_hosts.iter().map(lower).collect(),
            canonical: config.canonical_host.as_ref().map(lower),
            maintenance: config.maintenance_file.clone().map(|file| Maintenance {
                file,
                seen: Mutex::default(),
            }),
            security,
            is_plain: false,
        };
        let is_plain = rules.hosts.is_empty()
            && rules.canonical.is_none()
            && rules.maintenance.is_none()
            && rules.security.is_none();
        HostRules { is_plain, ..rules }
    }

    /// The answer to a request that the application does not get to see.
    pub(crate) fn answer(
        &self,
        request: &Request,
        scheme: Scheme,
        now: Millis,
    ) -> Option<OwnAnswer> {
        if self.is_plain {
            return None;
        }
        let host = request.host().to_ascii_lowercase();
        if !self.serves(name_of(&host)) {
            let body = b"The host of the request is none that is served here.\n";
            return Some(plain(b"400 Bad Request", body.to_vec()));
        }
        let is_read = matches!(request.method(), b"GET" | b"HEAD");
        if let Some(text) = self.security.as_ref().filter(|_| is_read)
            && request.path() == SECURITY_TXT
        {
            return Some(plain(b"200 OK", text.clone()));
        }
        if let Some(canonical) = &self.canonical
            && !host.is_empty()
            && host != *canonical
        {
            return Some(redirect(request, scheme, canonical));
        }
        self.maintenance.as_ref()?.answer(now)
    }

    fn serves(&self, name: &[u8]) -> bool {
        let fits = |host: &Vec<u8>| match host.strip_prefix(b".") {
            Some(domain) => name == domain || name.ends_with(host),
            None => host == b"*" || name == host,
        };
        self.hosts.is_empty() || self.hosts.iter().any(fits)
    }
}

/// A host without its port, and without the dot that ends a name that is complete.
fn name_of(host: &[u8]) -> &[u8] {
    let end = match host.iter().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if host[at] == b':' => at,
        _ => host.len(),
    };
    let name = &host[..end];
    name.strip_suffix(b".").unwrap_or(name)
}

fn plain(status: &'static [u8], body: Vec<u8>) -> OwnAnswer {
    OwnAnswer {
        status,
        fields: vec![(b"Content-Type", b"text/plain; charset=utf-8".to_vec())],
        body,
        log: Logged::Yes,
    }
}

/// To the same place on another host. The method is kept, which 301 promises for GET and HEAD alone.
fn redirect(request: &Request, scheme: Scheme, host: &[u8]) -> OwnAnswer {
    let mut place = [scheme.as_str().as_bytes(), b"://", host, request.path()].concat();
    if !request.query().is_empty() {
        place.push(b'?');
        place.extend_from_slice(request.query());
    }
    OwnAnswer {
        status: match request.method() {
            b"GET" | b"HEAD" => b"301 Moved Permanently",
            _ => b"308 Permanent Redirect",
        },
        fields: vec![(b"Location", place)],
        body: Vec::new(),
        log: Logged::Yes,
    }
}

impl Maintenance {
    fn answer(&self, now: Millis) -> Option<OwnAnswer> {
        let mut seen = self.seen.lock();
        if now >= seen.again_at {
            seen.again_at = now + LOOK;
            seen.page = read(&self.file).ok();
        }
        let page = seen.page.clone()?;
        let kind: &[u8] = match self.file.extension().is_some_and(|kind| kind == "html") {
            true => b"text/html; charset=utf-8",
            false => b"text/plain; charset=utf-8",
        };
        Some(OwnAnswer {
            status: b"503 Service Unavailable",
            fields: vec![
                (b"Content-Type", kind.to_vec()),
                (b"Cache-Control", b"no-store".to_vec()),
                (b"Retry-After", b"60".to_vec()),
            ],
            body: page,
            log: Logged::Yes,
        })
    }
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if !fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut page = Vec::new();
    File::open(file)?.take(PAGE_BYTES).read_to_end(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[&str]) -> HostRules {
        HostRules::new(&Config {
            allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..Config::default()
        })
    }

    #[test]
    fn hosts_are_compared_without_port_dot_and_case() {
        let check = |hosts: &[&str], host: &str, expected| {
            let host = host.to_ascii_lowercase();
            let served = rules(hosts).serves(name_of(host.as_bytes()));
            assert_eq!(served, expected, "{hosts:?} {host}");
        };
        check(&["Shop.example"], "SHOP.example:8000", true);
        check(&["shop.example"], "shop.example.", true);
        check(&["shop.example"], "a.shop.example", false);
        check(&[".shop.example"], "a.shop.example", true);
        check(&[".shop.example"], "shop.example", true);
        check(&[".shop.example"], "evilshop.example", false);
        check(&["[::1]"], "[::1]:80", true);
        check(&["*"], "anything", true);
        check(&[], "anything", true);
    }
}
