//! Who may use the server: the users of the command line and of an htdigest file. Owns secrets, never passwords.

use crate::config::Config;
use crate::log::log;
use sip_message::digest::{DigestAlgorithm, DigestSecret};
use std::collections::BTreeMap;
use std::path::Path;

/// All users, as digest authentication needs them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users {
    /// Realm, name, secret.
    pub(crate) list: Vec<(String, String, DigestSecret)>,
}

impl Users {
    /// Reads the users the configuration names.
    pub(crate) fn load(config: &Config) -> Result<Users, String> {
        let realm = config.realm();
        let mut list = Vec::new();
        for user in &config.users {
            for &algorithm in &config.digest {
                let secret =
                    DigestSecret::new(algorithm, user.name.as_bytes(), realm.as_bytes(), user.password.as_bytes());
                list.push((realm.to_owned(), user.name.clone(), secret));
            }
        }
        if let Some(file) = &config.users_file {
            let text = std::fs::read_to_string(file).map_err(|error| format!("--users {}: {error}", file.display()))?;
            let read = htdigest(&text, file)?;
            let strangers = read.iter().filter(|(theirs, ..)| theirs != realm).count();
            if strangers > 0 {
                let file = file.display();
                log!(Warn, "--users {file}: users of another realm than {realm} cannot log in: {strangers}");
            }
            let unasked = never_asked(&read, realm, &config.digest);
            if unasked > 0 {
                let file = file.display();
                let digest: Vec<_> = config.digest.iter().map(|algorithm| algorithm.as_str()).collect();
                let digest = digest.join(",");
                log!(Warn, "--users {file}: users without a secret for --digest {digest} cannot log in: {unasked}");
            }
            list.extend(read);
        }
        Ok(Users { list })
    }
}

/// How many users of the realm have secrets for none of the algorithms that are offered.
fn never_asked(list: &[(String, String, DigestSecret)], realm: &str, offered: &[DigestAlgorithm]) -> usize {
    // A secret serves the session form of its algorithm, too.
    let family = |algorithm: DigestAlgorithm| algorithm.as_str().trim_end_matches("-sess");
    let offered: Vec<_> = offered.iter().map(|algorithm| family(*algorithm)).collect();
    let mut users = BTreeMap::new();
    for (_, name, secret) in list.iter().filter(|(theirs, ..)| theirs == realm) {
        *users.entry(name).or_insert(false) |= offered.contains(&family(secret.algorithm()));
    }
    users.values().filter(|asked| !**asked).count()
}

/// Lines of `name:realm:secret`; the secret is the MD5 (32 digits) or SHA-256 (64 digits) of `name:realm:password`. Empty
/// lines and those that begin with `#` do not count.
fn htdigest(text: &str, file: &Path) -> Result<Vec<(String, String, DigestSecret)>, String> {
    let mut list = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line stays out of the message: it holds a secret.
        let wrong = || format!("--users {}: line {} is not name:realm:MD5", file.display(), number + 1);
        let mut parts = line.rsplitn(2, ':');
        let (hex, rest) = (parts.next().ok_or_else(wrong)?, parts.next().ok_or_else(wrong)?);
        let (name, realm) = rest.split_once(':').ok_or_else(wrong)?;
        let algorithm = match hex.len() {
            64 => DigestAlgorithm::Sha256,
            _ => DigestAlgorithm::Md5,
        };
        let hex = hex.to_ascii_lowercase();
        let secret = DigestSecret::from_hex(algorithm, hex.as_bytes()).ok_or_else(wrong)?;
        if name.is_empty() || realm.is_empty() {
            return Err(wrong());
        }
        list.push((realm.to_owned(), name.to_owned(), secret));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn htdigest_files_are_read() {
        let text = "# phones\n\nMufasa:testrealm@host.com:939e7578ed9e3c518a452acee763bce9\r\n";
        let users = htdigest(text, Path::new("users")).unwrap();
        let (realm, name, secret) = &users[0];
        assert_eq!((realm.as_str(), name.as_str()), ("testrealm@host.com", "Mufasa"));
        let computed = DigestSecret::new(DigestAlgorithm::Md5, b"Mufasa", b"testrealm@host.com", b"Circle Of Life");
        assert_eq!(secret.reveal().as_str(), computed.reveal().as_str());
    }

    #[test]
    fn users_whose_secrets_are_for_other_algorithms_are_counted() {
        let (md5, sha) = ("9".repeat(32), "a".repeat(64));
        let text = format!("both:r:{md5}\nboth:r:{sha}\nold:r:{md5}\nnew:r:{sha}\nstranger:s:{sha}\n");
        let users = htdigest(&text, Path::new("users")).unwrap();
        use DigestAlgorithm::{Md5, Md5Sess, Sha256, Sha512Trunc256};
        for (offered, unasked) in
            [(&[Md5][..], 1), (&[Md5Sess], 1), (&[Sha256], 1), (&[Sha256, Md5], 0), (&[Sha512Trunc256], 3)]
        {
            assert_eq!(never_asked(&users, "r", offered), unasked, "{offered:?}");
        }
    }

    #[test]
    fn a_wrong_line_is_named_but_not_shown() {
        for text in ["a:b:c0ffee", "ok", "a::939e7578ed9e3c518a452acee763bce9", ":r:939e7578ed9e3c518a452acee763bce9"] {
            let error = htdigest(&format!("#\n{text}"), Path::new("users")).unwrap_err();
            assert_eq!(error, "--users users: line 2 is not name:realm:MD5");
        }
    }
}
