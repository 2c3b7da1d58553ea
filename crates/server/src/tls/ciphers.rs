//! The names of versions and ciphers, as OpenSSL writes them, which is how operators and logs know them; and OpenSSL's
//! notation for a choice of ciphers.

use rustls::{CipherSuite, ProtocolVersion, SupportedCipherSuite};

/// Every cipher that rustls can agree on.
pub(super) const NAMES: [(CipherSuite, &str); 9] = [
    (
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_AES_256_GCM_SHA384",
    ),
    (
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_128_GCM_SHA256",
    ),
    (
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_CHACHA20_POLY1305_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305",
    ),
];

/// The name of a cipher.
pub(super) fn name(suite: CipherSuite) -> &'static str {
    let found = NAMES.iter().find(|(known, _)| *known == suite);
    found.map_or("", |(_, name)| name)
}

/// The name of a version.
pub(super) fn version_name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "",
    }
}

/// The ciphers that a line in OpenSSL's notation names, in its order. Those of TLS 1.3 are not concerned and come
/// first. What does not exist here is passed over and told in the log.
///
/// # Errors
/// No cipher of TLS 1.2 is left; the reason is a clause.
pub(super) fn choose(
    line: &str,
    all: &[SupportedCipherSuite],
) -> Result<Vec<SupportedCipherSuite>, String> {
    let (mut chosen, older): (Vec<_>, Vec<_>) =
        (all.iter().copied()).partition(|suite| is_tls13(name(suite.suite())));
    let mut wanted: Vec<SupportedCipherSuite> = Vec::new();
    let mut unknown = Vec::new();
    for word in line.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        match word.split_at_checked(1) {
            // A level of strictness, or an order; rustls has its own.
            Some(("@", _)) => {}
            Some(("!" | "-", rest)) => {
                wanted.retain(|suite| !is_meant(rest, name(suite.suite())));
            }
            Some(("+", rest)) => wanted.sort_by_key(|suite| is_meant(rest, name(suite.suite()))),
            _ => {
                let known = NAMES.iter().any(|(_, name)| is_meant(word, name));
                if !known {
                    unknown.push(word);
                }
                let found = older
                    .iter()
                    .filter(|suite| is_meant(word, name(suite.suite())));
                for suite in found {
                    if !wanted.contains(suite) {
                        wanted.push(*suite);
                    }
                }
            }
        }
    }
    if wanted.is_empty() {
        let names: Vec<_> = older.iter().map(|suite| name(suite.suite())).collect();
        return Err(format!(
            "it leaves no cipher of TLS 1.2; there are {}",
            names.join(", ")
        ));
    }
    if !unknown.is_empty() {
        log::warn!("ciphers: there is no {}", unknown.join(", no "));
    }
    chosen.extend(wanted);
    Ok(chosen)
}

fn is_tls13(name: &str) -> bool {
    name.starts_with("TLS_")
}

/// Whether a word of the notation means a cipher: its name, or properties of it joined by `+`.
fn is_meant(word: &str, name: &str) -> bool {
    word == name || word.split('+').all(|property| has(property, name))
}

/// Whether a cipher has a property. All that there are have ephemeral keys and authenticated encryption.
fn has(property: &str, name: &str) -> bool {
    let is_older = !is_tls13(name);
    match property {
        "ALL" | "DEFAULT" | "HIGH" | "TLSv1.2" | "COMPLEMENTOFDEFAULT" => is_older,
        "ECDHE" | "EECDH" | "kECDHE" | "kEECDH" | "ECDH" => is_older,
        "AEAD" => is_older,
        "aRSA" | "RSA" => is_older && name.contains("-RSA-"),
        "aECDSA" | "ECDSA" => is_older && name.contains("-ECDSA-"),
        "AESGCM" | "AES" => is_older && name.contains("GCM"),
        "AES128" => is_older && name.contains("AES128"),
        "AES256" => is_older && name.contains("AES256"),
        "CHACHA20" => is_older && name.contains("CHACHA20"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;

    /// The ciphers of TLS 1.2 that a line leaves.
    fn older(line: &str) -> Vec<&'static str> {
        let chosen = choose(line, ALL_CIPHER_SUITES).expect("some are left");
        let names = chosen.iter().map(|suite| name(suite.suite()));
        let (newer, older): (Vec<_>, Vec<_>) = names.partition(|name| is_tls13(name));
        assert_eq!(newer.len(), 3, "those of TLS 1.3 are not concerned");
        older
    }

    #[test]
    fn every_cipher_has_a_name() {
        assert!(
            ALL_CIPHER_SUITES
                .iter()
                .all(|suite| !name(suite.suite()).is_empty())
        );
    }

    #[test]
    fn names_count_in_their_order() {
        let names = [
            "ECDHE-RSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ];
        assert_eq!(older(&names.join(":")), names);
        assert_eq!(older(&format!("{0}:{0}", names[0])), &names[..1]);
    }

    #[test]
    fn words_mean_all_ciphers_that_have_the_properties() {
        let check = |line: &str, count: usize| assert_eq!(older(line).len(), count, "{line}");
        check("HIGH:!aNULL:!MD5", 6);
        check("ECDHE+AESGCM:ECDHE+CHACHA20:!DSS", 6);
        check("ECDHE+AESGCM", 4);
        check("ECDHE+AESGCM:!AES256", 2);
        check("DEFAULT:!ECDSA:@SECLEVEL=2", 3);
        assert!(
            older("HIGH:+AES128")
                .last()
                .is_some_and(|last| last.contains("AES128"))
        );
    }

    #[test]
    fn what_does_not_exist_is_passed_over_if_anything_is_left() {
        let line = "DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA";
        assert_eq!(older(line), ["ECDHE-RSA-AES128-GCM-SHA256"]);
        for line in ["", "AES256-SHA", "HIGH:!ECDHE", "kRSA"] {
            let refused = choose(line, ALL_CIPHER_SUITES).expect_err("nothing is left");
            assert!(refused.contains("ECDHE-RSA-AES128-GCM-SHA256"), "{refused}");
        }
    }
}
