//! The media type of a file, by its name.

/// A media type as Content-Type states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaType {
    name: &'static str,
    is_text: bool,
}

/// What a file is whose name says nothing.
const UNKNOWN: &str = "application/octet-stream";

/// Types that the general table lacks, or that browsers want under another name than it has.
const OWN: &[(&str, &str)] = &[
    ("js", "text/javascript"), // RFC 9239
    ("mjs", "text/javascript"),
    ("cjs", "text/javascript"),
    ("map", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("wasm", "application/wasm"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("avif", "image/avif"),
    ("webp", "image/webp"),
    ("ico", "image/x-icon"),
    ("xml", "text/xml"),
    ("md", "text/markdown"),
    ("ts", "video/mp2t"),
    ("m4a", "audio/mp4"),
    ("gz", "application/gzip"),
    ("br", UNKNOWN),
    ("zst", "application/zstd"),
    ("exe", UNKNOWN),
];

/// Types beside text/* that are text in UTF-8 without saying so in themselves.
const TEXTS: &[&str] = &["application/javascript", "application/xhtml+xml"];

impl MediaType {
    /// By the extension of a file's name.
    #[must_use]
    pub fn of(path: &[u8]) -> Self {
        let name = name_of(path);
        let is_text = name.starts_with("text/") || TEXTS.contains(&name);
        Self { name, is_text }
    }

    /// The type without parameters.
    #[must_use]
    pub fn essence(self) -> &'static str {
        self.name
    }

    /// The value of Content-Type; texts are said to be UTF-8.
    #[must_use]
    pub fn content_type(self) -> String {
        match self.is_text {
            true => format!("{}; charset=utf-8", self.name),
            false => self.name.to_owned(),
        }
    }
}

fn name_of(path: &[u8]) -> &'static str {
    let Some(extension) = extension(path) else {
        return UNKNOWN;
    };
    let own = OWN.iter().find(|(own, _)| *own == extension);
    if let Some((_, name)) = own {
        return name;
    }
    mime_guess::from_ext(&extension)
        .first_raw()
        .unwrap_or(UNKNOWN)
}

/// In lower case.
fn extension(path: &[u8]) -> Option<String> {
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    let extension = std::str::from_utf8(&name[dot + 1..]).ok()?;
    Some(extension.to_ascii_lowercase())
}

/// Whether a type, which may have parameters, is that of a font.
#[must_use]
pub fn is_font(content_type: &str) -> bool {
    content_type.starts_with("font/") || content_type == "application/vnd.ms-fontobject"
}

/// Types beside text/* that shrink when they are compressed.
const COMPRESSIBLE: &[&str] = &[
    "application/atom+xml",
    "application/geo+json",
    "application/graphql+json",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/ndjson",
    "application/problem+json",
    "application/rss+xml",
    "application/vnd.api+json",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xhtml+xml",
    "application/xml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/svg+xml",
    "image/x-icon",
];

/// Whether content of a type, which may have parameters, is worth compressing.
#[must_use]
pub fn is_compressible(content_type: &[u8]) -> bool {
    let end = content_type
        .iter()
        .position(|byte| matches!(byte, b';' | b' ' | b'\t'));
    let essence = &content_type[..end.unwrap_or(content_type.len())];
    let is_text = essence
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"text/"));
    is_text
        || COMPRESSIBLE
            .iter()
            .any(|known| essence.eq_ignore_ascii_case(known.as_bytes()))
}
