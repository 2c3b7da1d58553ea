//! The rules that a PROXY header can break.

use crate::rules::rules;

rules! {
    /// A rule of the PROXY protocol that a header breaks.
    pub enum ProxyViolation {
        /// The status of the answer.
        status: "Answered with",
    }
    Line, 400, "PROXY protocol, section 2.1",
        "The PROXY line is malformed.";
    LineTooLong, 400, "PROXY protocol, section 2.1",
        "The PROXY line is longer than 107 bytes.";
    Family, 400, "PROXY protocol, section 2.1",
        "The PROXY line names a protocol that is neither TCP4, TCP6 nor UNKNOWN.";
    Address, 400, "PROXY protocol, section 2.1",
        "The PROXY line has an address that is none of its protocol.";
    Port, 400, "PROXY protocol, section 2.1",
        "The PROXY line has a port that is no decimal number up to 65535 without leading zeros.";
    Version, 400, "PROXY protocol, section 2.2",
        "The PROXY header is of a version other than 2.";
    Command, 400, "PROXY protocol, section 2.2",
        "The PROXY header has a command that is neither LOCAL nor PROXY.";
    Transport, 400, "PROXY protocol, section 2.2",
        "The PROXY header has an unknown address family or transport.";
    AddressesTooShort, 400, "PROXY protocol, section 2.2",
        "The PROXY header is too short for its addresses.";
    HeaderTooLong, 400, "PROXY protocol, section 2.2",
        "The PROXY header is longer than 16 KiB.";
    Vector, 400, "PROXY protocol, section 2.2.7",
        "A vector of the PROXY header is longer than the header.";
    VectorText, 400, "PROXY protocol, section 2.2.7",
        "A vector of the PROXY header is no text of at most 1 KiB.";
    Checksum, 400, "PROXY protocol, section 2.2.3",
        "The checksum of the PROXY header is wrong.";
    OtherVersion, 400, "PROXY protocol, section 4",
        "The PROXY header is of a version that this server is set to refuse.";
    Incomplete, 400, "PROXY protocol, section 2",
        "The PROXY header is incomplete.";
    Late, 400, "PROXY protocol, section 2",
        "The PROXY header did not arrive in time.";
    Forbidden, 403, "PROXY protocol, section 2",
        "The peer is none of those that may send a PROXY header.";
}
