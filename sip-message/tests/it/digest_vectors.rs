//! Digest responses against those of the RFCs, and against values computed with another implementation.

#![cfg(feature = "digest")]
#![allow(clippy::unwrap_used)]

use sip_message::digest::{DigestAlgorithm, DigestInput, DigestSecret, NonceCount, Qop, userhash};

#[test]
fn rfc_2617_section_3_5() {
    let input = DigestInput {
        method: b"GET",
        uri: b"/dir/index.html",
        nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
        qop: Some(Qop::Auth),
        nc: b"00000001",
        cnonce: b"0a4f113b",
        body: b"",
    };
    let secret = DigestSecret::new(DigestAlgorithm::Md5, b"Mufasa", b"testrealm@host.com", b"Circle Of Life");
    assert_eq!(secret.response(&input).as_str(), "6629fae49393a05397450978507c4ef1");
}

#[test]
fn rfc_7616_section_3_9_1() {
    let input = DigestInput {
        method: b"GET",
        uri: b"/dir/index.html",
        nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        qop: Some(Qop::Auth),
        nc: b"00000001",
        cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        body: b"",
    };
    let response = |algorithm| {
        DigestSecret::new(algorithm, b"Mufasa", b"http-auth@example.org", b"Circle of Life")
            .response(&input)
            .to_string()
    };
    assert_eq!(response(DigestAlgorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
    assert_eq!(response(DigestAlgorithm::Sha256), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

/// The RFC prints values made with the first half of SHA-512. The algorithm it names is SHA-512/256 of FIPS 180-4,
/// which starts from other constants: these are its values, computed with another implementation.
#[test]
fn rfc_7616_section_3_9_2() {
    let input = DigestInput {
        method: b"GET",
        uri: b"/doe.json",
        nonce: b"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        qop: Some(Qop::Auth),
        nc: b"00000001",
        cnonce: b"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        body: b"",
    };
    //= https://www.rfc-editor.org/rfc/rfc7616#section-4
    //= type=test
    //# For the username, recipients MUST support all characters defined in
    //# the "UsernameCasePreserved" profile defined in Section 3.3 of
    //# [RFC7613], with the exception of the colon (":") character.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-4
    //= type=test
    //# For the password, recipients MUST support all characters defined in
    //# the "OpaqueString" profile defined in Section 4.2 of [RFC7613].
    let username = "J\u{e4}s\u{f8}n Doe".as_bytes();
    let algorithm = DigestAlgorithm::Sha512Trunc256;
    let secret = DigestSecret::new(algorithm, username, b"api@example.org", b"Secret, or not?");
    assert_eq!(secret.response(&input).as_str(), "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5");
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4.4
    //= type=test
    //# If the client supports the userhash parameter, and the userhash
    //# parameter value in the WWW-Authentication header field is set to
    //# "true", then the client MUST calculate a hash of the username after
    //# any other hash calculation and include the userhash parameter with
    //# the value of "true" in the Authorization header field.
    assert_eq!(
        userhash(algorithm, username, b"api@example.org").as_str(),
        "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    );
}

/// Algorithm, qop, whether rspauth, digest.
#[rustfmt::skip]
const VALUES: [(DigestAlgorithm, Option<Qop>, bool, &str); 36] = {
    use DigestAlgorithm::{Md5, Md5Sess, Sha256, Sha256Sess, Sha512Trunc256, Sha512Trunc256Sess};
    const AUTH: Option<Qop> = Some(Qop::Auth);
    const INT: Option<Qop> = Some(Qop::AuthInt);
    [
        (Md5, None, false, "bf57e4e0d0bffc0fbaedce64d59add5e"),
        (Md5, None, true, "748e424548c73d52e3bde6eef2d03c69"),
        (Md5, AUTH, false, "da61920429f958b1fe4eb4f5eebbc2cf"),
        (Md5, AUTH, true, "4c93b3d63f1d1dce25a43e1f75af1f47"),
        (Md5, INT, false, "d04570a59593390af22d28d94a83a8c2"),
        (Md5, INT, true, "5453b82e832a4e5bb3cf8531915e3c6c"),
        (Md5Sess, None, false, "fff17611bcbbf00c9116a2c922dea8e1"),
        (Md5Sess, None, true, "abc6748a0713f9ecca9aa388629d9090"),
        (Md5Sess, AUTH, false, "c0a5870829c575198432ba651b8a41de"),
        (Md5Sess, AUTH, true, "6c2dbda2b843a8948d635cc681c2fb9a"),
        (Md5Sess, INT, false, "bbe24c9370a41dec455c63eb832d8ed5"),
        (Md5Sess, INT, true, "3be605cf66aa14282b076dac144909f0"),
        (Sha256, None, false, "38aad98c50c33abe72c5f88dd17246ffcfa6b1f68852c855719ff0659386c0ca"),
        (Sha256, None, true, "a1423b6e354160f82dc8b2d959d0929697882718f960d1d2bd83077962d593c3"),
        (Sha256, AUTH, false, "a0e65c11fd66ca05992cce3870640a3bf3b9cbec4819ab4d69d0065c2133db16"),
        (Sha256, AUTH, true, "823e1ca6e0926241bcea59202bd9799398c0a20eb48296aa287dcba724fbd9dd"),
        (Sha256, INT, false, "5587aad59780ee6cf712182931071b467a8e2ca172cc7728e838629d5def653e"),
        (Sha256, INT, true, "8a150108dbe574e6ff9c522076c70a6c140289dfdd7d714a3f9899b6beb6c1c0"),
        (Sha256Sess, None, false, "2ceb74b5bf787a27f00a80b94f397228de1a9bab1c3c56b7c6f984cf9f3ffdf7"),
        (Sha256Sess, None, true, "7f0365645a5ce13eda20adc5794bf94bc42750a7dd94f8c94b5b5e23deba29af"),
        (Sha256Sess, AUTH, false, "8a60b78646a6e353ae8f4bfb727dca7b5f00f7f94f9ff2fc2aff7e192999cc04"),
        (Sha256Sess, AUTH, true, "0eb49069418f4a346fe160449eca24b57335581f21659a1ecff6a5dd4b8a3214"),
        (Sha256Sess, INT, false, "73bb634a2cf50e0ab12a8ebce4a3653dcecef08d597164c9ddfd47fb2695f153"),
        (Sha256Sess, INT, true, "b525ac77742cbdb1474c6f125a684a3991e6c6c4876d1d330445f957e25a20da"),
        (Sha512Trunc256, None, false, "9e960b3a01beb63f1ea5d45d43bd8a2178879d3c9ddbbdb0624187ca823c6eca"),
        (Sha512Trunc256, None, true, "ce95c1d398864ebbee4c4707f825f61e7ea7be76960b3f6b0ad268173420ea8f"),
        (Sha512Trunc256, AUTH, false, "34537ce18a10282477c41f27afb9e7e07ae92c80308a4064b5e2acdb5fed50f4"),
        (Sha512Trunc256, AUTH, true, "18bbbb4c82b2f1c4aa3521a7f71663cb6c8abec1e8d9d371274628e5b80a88dd"),
        (Sha512Trunc256, INT, false, "c84f29e715a30e4a8bffaf42b07e87ef3e9dcaa84b6fde4900a997a5a231fde1"),
        (Sha512Trunc256, INT, true, "1f415688fc3a915a8e9d9108d310bf0d9d9807255ef6ae931815932e724d78db"),
        (Sha512Trunc256Sess, None, false, "10f52db7e2818a98871fd94294a2593a22eeaf07e23dad0b2bb52694442db5dd"),
        (Sha512Trunc256Sess, None, true, "0ca773af9dbc7a6d0c7d04a7469db4bdec6d14f84308b2078fbd8d119bc74268"),
        (Sha512Trunc256Sess, AUTH, false, "5c0c917e253d4a780e6d74d73289871f2f438a8e4c4282dd44c3c08912c59022"),
        (Sha512Trunc256Sess, AUTH, true, "bc25923c2766feebd0b1213fa042db64ccb3ea6e60280e45dade87021b41da02"),
        (Sha512Trunc256Sess, INT, false, "5de4669b5b9893602433cd2697ef4dd48f360eba4d615f36f50ce98e4df9770a"),
        (Sha512Trunc256Sess, INT, true, "f638f9c3dbacbd6d80af39493d633df894be87e142a564481d1ccec56c972037"),
    ]
};

#[test]
fn every_algorithm_and_protection() {
    for (algorithm, qop, rspauth, digest) in VALUES {
        let input = DigestInput {
            method: b"INVITE",
            uri: b"sip:bob@biloxi.com",
            nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            qop,
            nc: b"0000000a",
            cnonce: b"0a4f113b",
            body: b"v=0",
        };
        let secret = DigestSecret::new(algorithm, b"bob", b"biloxi.com", b"zanzibar");
        let name = format!("{algorithm} {qop:?} {rspauth}");
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
        //= type=test
        //# The cnonce value and nc value MUST be the ones for the client
        //# request to which this message is the response.
        let made = if rspauth { secret.rspauth(&input) } else { secret.response(&input) };
        assert_eq!(made.as_str(), digest, "{name}");
        assert_eq!(made.as_str().len(), algorithm.hex_len());

        // The stored form of the secret does as well, in either case.
        for hex in [secret.reveal().to_string(), secret.reveal().to_string().to_uppercase()] {
            let stored = DigestSecret::from_hex(algorithm, hex.as_bytes()).unwrap();
            //= https://www.rfc-editor.org/rfc/rfc7616#section-3.6
            //= type=test
            //# Then, the server MUST perform the same digest
            //# operation (e.g., MD5, SHA-256) performed by the client and compare
            //# the result to the given response value.
            assert_eq!(stored.verify(&input, digest.as_bytes()), !rspauth, "{name}");
        }
        // Without qop, neither count nor body counts.
        let other = DigestInput { nc: b"0000000b", body: b"v=1", ..input };
        assert_eq!(secret.response(&other) == secret.response(&input), qop.is_none(), "{name}");
    }
}

#[test]
fn a_body_that_is_not_there_hashes_as_empty() {
    let input = DigestInput { qop: Some(Qop::AuthInt), ..DigestInput::default() };
    let secret = DigestSecret::new(DigestAlgorithm::Sha256, b"a", b"b", b"c");
    let spelt_out = DigestInput {
        qop: None,
        uri: b":e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        nonce: b":::auth-int",
        ..input
    };
    assert_eq!(secret.response(&input), secret.response(&spelt_out));
}

#[test]
fn a_session_keeps_its_first_nonces() {
    let secret = DigestSecret::new(DigestAlgorithm::Sha256Sess, b"bob", b"biloxi.com", b"zanzibar");
    let first =
        DigestInput { nonce: b"n1", cnonce: b"c1", nc: b"00000001", qop: Some(Qop::Auth), ..DigestInput::default() };
    let session = secret.in_session(b"n1", b"c1");
    assert_eq!(secret.response(&first), session.response(&first));
    let second = DigestInput { cnonce: b"c2", nc: b"00000002", ..first };
    assert_ne!(secret.response(&second), session.response(&second));
    assert_eq!(session.in_session(b"n3", b"c3").response(&second), session.response(&second));
    let plain = DigestSecret::new(DigestAlgorithm::Sha256, b"bob", b"biloxi.com", b"zanzibar");
    assert_eq!(plain.in_session(b"n1", b"c1").response(&first), plain.response(&first));
}

#[test]
fn tokens() {
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.2
    //= type=test
    //# To maintain backwards
    //# compatibility with [RFC2617], the MD5 algorithm is still supported
    //# but NOT RECOMMENDED.
    for (token, algorithm) in [
        ("MD5", DigestAlgorithm::Md5),
        ("MD5-sess", DigestAlgorithm::Md5Sess),
        ("SHA-256", DigestAlgorithm::Sha256),
        ("SHA-256-sess", DigestAlgorithm::Sha256Sess),
        ("SHA-512-256", DigestAlgorithm::Sha512Trunc256),
        ("SHA-512-256-sess", DigestAlgorithm::Sha512Trunc256Sess),
    ] {
        assert_eq!(algorithm.to_string(), token);
        for token in [token.to_owned(), token.to_lowercase(), token.to_uppercase()] {
            assert_eq!(DigestAlgorithm::parse(&token), Some(algorithm));
        }
    }
    for token in ["", "SHA256", "SHA-512", "SHA-512-256-", "MD5 ", "AKAv1-MD5"] {
        assert_eq!(DigestAlgorithm::parse(token), None, "{token}");
    }
    assert_eq!(
        (Qop::parse("AUTH"), Qop::parse("auth-int"), Qop::parse("auth,auth-int")),
        (Some(Qop::Auth), Some(Qop::AuthInt), None)
    );
}

#[test]
fn nonce_counts_have_eight_digits() {
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
    //= type=test
    //# For historical reasons, the nc value MUST be exactly 8 hexadecimal
    //# digits.
    assert_eq!(NonceCount::new(1).as_str(), "00000001");
    assert_eq!(NonceCount::new(0xfedc_ba98).as_str(), "fedcba98");
    assert_eq!(NonceCount::parse(b"0000000A"), Some(10));
    for nc in [&b""[..], b"1", b"000000001", b"+0000001", b"0000000g"] {
        assert_eq!(NonceCount::parse(nc), None);
    }
}

#[test]
fn comparison_is_exact_and_secrets_stay_hidden() {
    let digest = userhash(DigestAlgorithm::Md5, b"a", b"b");
    assert!(digest.matches(digest.as_str().as_bytes()));
    assert!(!digest.matches(&digest.as_bytes()[1..]));
    assert!(!digest.matches(b""));
    for i in 0..32 {
        let mut other = digest.as_bytes().to_vec();
        other[i] ^= 1;
        assert!(!digest.matches(&other), "byte {i}");
    }
    let secret = DigestSecret::new(DigestAlgorithm::Md5, b"a", b"b", b"c");
    assert!(!format!("{secret:?}").contains(secret.reveal().as_str()));
    assert!(DigestSecret::from_hex(DigestAlgorithm::Sha256, secret.reveal().as_bytes()).is_none());
    assert!(DigestSecret::from_hex(DigestAlgorithm::Md5, b"6629fae49393a05397450978507c4efg").is_none());
}
