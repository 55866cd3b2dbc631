//! URIs: read, compared, hashed, owned and rebuilt. The input is one URI per line.

use sip_message::uri::{Uri, UriBuf, UriConfig};
use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;

/// Runs the target.
pub fn run(data: &[u8]) {
    let uris: Vec<Uri<'_>> = data.split(|&b| b == b'\n').take(8).filter_map(one).collect();
    for a in &uris {
        for b in &uris {
            let equivalent = a.equivalent(b);
            assert_eq!(equivalent, b.equivalent(a), "not symmetric: {a:?} {b:?}");
            assert!(!equivalent || hash(a) == hash(b), "equivalent, but hashed apart: {a:?} {b:?}");
        }
    }
}

fn one(text: &[u8]) -> Option<Uri<'_>> {
    let strict = Uri::parse_with(text, &UriConfig::STRICT);
    let uri = match Uri::parse(text) {
        Ok(uri) => uri,
        Err(error) => {
            assert!(error.offset <= text.len());
            assert!(strict.is_err(), "a leniency made the parser refuse what it takes without");
            return None;
        }
    };
    assert_eq!(uri.as_bytes(), text, "not as it was written");
    assert_eq!(uri.as_str().as_bytes(), text, "not as it was written");
    assert!(uri.equivalent(&uri), "not reflexive: {uri:?}");
    black_box(format!("{uri:?}"));
    let owned = UriBuf::parse(text.to_vec()).expect("what can be borrowed can be owned");
    assert!(owned.as_uri().equivalent(&uri));
    if let Some(sip) = uri.as_sip() {
        black_box((
            sip.user().map(|user| user.decoded()),
            sip.port(),
            sip.transport(),
            sip.maddr().is_ok(),
            sip.ttl().is_ok(),
        ));
        black_box((sip.params().count(), sip.headers().count(), sip.address_of_record(), sip.telephone()));
        if let Ok(rebuilt) = sip.to_builder().build() {
            Uri::parse(rebuilt.as_bytes()).expect("what is built can be read");
            assert!(!rebuilt.as_bytes().contains(&b'#'), "built with an unescaped #");
            assert!(rebuilt.as_uri().equivalent(&uri), "rebuilt as another: {rebuilt:?} {uri:?}");
        }
    }
    Some(uri)
}

fn hash(uri: &Uri<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    uri.hash_canonical(&mut hasher);
    hasher.finish()
}
