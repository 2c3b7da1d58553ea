//! The operator's pages in place of those that the server makes of its refusals. They are read when a worker starts: at
//! the time of an error there may be no descriptor left.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use proto::h1::ResponseHead;
use proto::reason_phrase;
use proto::resource::MediaType;
use settings::Config;

/// The most that is sent of one: these are pages for people.
const PAGE_BYTES: u64 = 1024 * 1024;

/// The pages by status.
#[derive(Debug, Default)]
pub(crate) struct ErrorPages {
    pages: Vec<CustomPage>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct CustomPage {
    status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl ErrorPages {
    pub(crate) fn new(config: &Config) -> ErrorPages {
        use std::os::unix::ffi::OsStrExt;
        let pages = config.error_page.iter().filter_map(|page| {
            let body = read(&page.file).inspect_err(|error| {
                log::error!(
                    "error_page: {} cannot be read: {error}",
                    page.file.display()
                );
            });
            Some(CustomPage {
                status: page.status,
                content_type: MediaType::of(page.file.as_os_str().as_bytes()).content_type(),
                body: body.ok()?,
            })
        });
        ErrorPages {
            pages: pages.collect(),
        }
    }

    /// The page for a status, if there is one. Of two the later one counts.
    pub(crate) fn find(&self, status: u16) -> Option<&CustomPage> {
        self.pages.iter().rev().find(|page| page.status == status)
    }
}

impl CustomPage {
    /// The head of a response with nothing else to say.
    pub(crate) fn head(&self) -> ResponseHead {
        let mut head = ResponseHead::new();
        let status = format!("{} {}", self.status, reason_phrase(self.status));
        // All of this is well-formed.
        let _ = head.set_status(status.as_bytes());
        let _ = head.push(b"Content-Type", self.content_type.as_bytes());
        if self.status == 503 {
            let _ = head.push(b"Retry-After", b"1");
        }
        head
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    File::open(file)?.take(PAGE_BYTES).read_to_end(&mut body)?;
    Ok(body)
}
