//! Every way in which a request can break the rules of HTTP, each with the answer it gets. The sentences echo no input.

use crate::rules::rules;
use crate::status::reason_phrase;

rules! {
    /// A rule of HTTP, or of the packets that stand for its heads, that the peer has broken. The variant names the
    /// rule, not the input.
    pub enum Violation {
        /// The status code of the answer.
        status: "Answered with",
    }

    // The request line.
    LeadingEmptyLines, 400, "RFC 9112, section 2.2",
        "Too many empty lines stand before the request line.";
    RequestLineSyntax, 400, "RFC 9112, section 3",
        "A request line is a method, a target and a version, separated by single spaces.";
    RequestLineTooLong, 414, "RFC 9112, section 3",
        "The request line is longer than this server allows.";
    MethodTooLong, 501, "RFC 9112, section 3",
        "The method is longer than any that this server implements.";
    Method, 400, "RFC 9110, section 9.1",
        "The method is not a conventional method name.";
    Version, 400, "RFC 9112, section 2.3",
        "The version is not of the form HTTP/digit.digit.";
    VersionUnsupported, 505, "RFC 9110, section 15.6.6",
        "This server speaks HTTP/1.1 and HTTP/1.0 here.";
    TargetByte, 400, "RFC 9112, section 3.2",
        "The request target contains a control character or a byte outside ASCII.";
    TargetForm, 400, "RFC 9112, section 3.2",
        "The form of the request target does not fit the method.";
    TargetScheme, 400, "RFC 9112, section 3.2.2",
        "An absolute request target starts with http:// or https:// here.";
    TargetAuthority, 400, "RFC 9110, section 4.2",
        "The authority of the request target is not a host with an optional port.";

    // Lines and fields.
    BareLf, 400, "RFC 9112, section 2.2",
        "A line ends with LF alone; it has to end with CRLF.";
    BareCr, 400, "RFC 9112, section 2.2",
        "A CR is not followed by LF.";
    ObsoleteFolding, 400, "RFC 9112, section 5.2",
        "A field line starts with white space: folded lines are refused.";
    MissingColon, 400, "RFC 9112, section 5",
        "A field line has no colon.";
    SpaceBeforeColon, 400, "RFC 9112, section 5.1",
        "White space stands between a field name and its colon.";
    FieldName, 400, "RFC 9110, section 5.1",
        "A field name is empty or contains a character that no token has.";
    FieldValue, 400, "RFC 9110, section 5.5",
        "A field value contains a control character.";
    TooManyFields, 431, "RFC 6585, section 5",
        "The message has more fields than this server allows.";
    FieldTooLarge, 431, "RFC 6585, section 5",
        "A field line is longer than this server allows.";
    HeadTooLarge, 431, "RFC 6585, section 5",
        "The fields together are larger than this server allows.";
    UnderscoreInName, 400, "RFC 3875, section 4.1.18",
        "A field name contains an underscore, which this server is set to refuse.";

    // What the fields say.
    HostMissing, 400, "RFC 9112, section 3.2",
        "An HTTP/1.1 request needs a Host field.";
    HostDuplicate, 400, "RFC 9112, section 3.2",
        "A request has at most one Host field.";
    Host, 400, "RFC 9112, section 3.2",
        "The Host field is not a host with an optional port.";
    AuthorityMismatch, 400, "RFC 9113, section 8.3.1",
        "The Host field names another host than :authority.";
    ContentLength, 400, "RFC 9110, section 8.6",
        "Content-Length is not a decimal number that this server can count to.";
    ContentLengthDuplicate, 400, "RFC 9112, section 6.3",
        "A request has at most one Content-Length.";
    TransferEncodingWithLength, 400, "RFC 9112, section 6.3",
        "Transfer-Encoding and Content-Length exclude each other.";
    TransferEncodingVersion, 400, "RFC 9112, section 6.1",
        "Transfer-Encoding exists in HTTP/1.1 alone.";
    TransferEncoding, 400, "RFC 9112, section 6.1",
        "Transfer-Encoding is not a list of transfer codings.";
    TransferEncodingNotChunked, 400, "RFC 9112, section 6.3",
        "The last transfer coding of a request has to be chunked.";
    ChunkedTwice, 400, "RFC 9112, section 6.1",
        "The chunked coding is applied at most once.";
    TransferCodingUnknown, 501, "RFC 9112, section 6.1",
        "This server knows no transfer coding but chunked.";
    ContentTypeDuplicate, 400, "RFC 9110, section 8.3",
        "A request has at most one Content-Type.";
    Expectation, 417, "RFC 9110, section 10.1.1",
        "The only expectation that this server can meet is 100-continue.";
    SchemeConflict, 400, "RFC 7239, section 5.4",
        "The proxy's fields disagree about the scheme of the request.";

    // A packet of the uwsgi protocol in place of a head.
    UwsgiModifier, 501, "uwsgi protocol",
        "The first modifier of the uwsgi packet is not 0, which a request for this server has.";
    UwsgiVariable, 400, "uwsgi protocol",
        "A variable of the uwsgi packet is longer than the packet.";
    UwsgiVariables, 431, "uwsgi protocol",
        "The uwsgi packet has more than 1000 variables.";
    UwsgiName, 400, "uwsgi protocol",
        "The name of a uwsgi variable is empty, or not all visible ASCII.";

    // The body.
    ChunkSize, 400, "RFC 9112, section 7.1",
        "A chunk size is not a hexadecimal number of at most sixteen digits.";
    ChunkExtension, 400, "RFC 9112, section 7.1.1",
        "A chunk extension is malformed.";
    ChunkExtensionsTooLarge, 400, "RFC 9112, section 7.1.1",
        "The chunk extensions of one body are larger than this server allows.";
    ChunkDataEnd, 400, "RFC 9112, section 7.1",
        "The data of a chunk is not followed by CRLF where its size says so.";
    TrailerForbidden, 400, "RFC 9110, section 6.5.1",
        "A trailer field is one that frames, routes or authenticates a message, which has to stand in its head.";
    BodyTooLarge, 413, "RFC 9110, section 15.5.14",
        "The body is larger than this server allows.";
    Incomplete, 400, "RFC 9112, section 8",
        "The connection ended before the request was complete.";
}

impl Violation {
    /// The reason phrase of the answer.
    #[must_use]
    pub fn reason(self) -> &'static str {
        reason_phrase(self.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_answered_with_a_known_error() {
        for violation in Violation::ALL {
            assert!((400..600).contains(&violation.status()), "{violation:?}");
            assert_ne!(violation.reason(), "Unknown", "{violation:?}");
            assert!(violation.rule().ends_with('.'), "{violation:?}");
            let section = violation.section();
            let is_known = section.starts_with("RFC ") || section == "uwsgi protocol";
            assert!(is_known, "{violation:?}");
        }
    }
}
