//! Comma-separated header values: tokens (`Connection`, `Sec-WebSocket-Protocol`) and extensions with parameters.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

/// True if `text` is a token of RFC 2616: one or more visible ASCII characters that are no separators.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The non-empty elements of a list without quoted strings.
pub(crate) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(trim).filter(|element| !element.is_empty())
}

/// One element of `Sec-WebSocket-Extensions`: a name and its parameters in order (RFC 6455 section 9.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    /// The extension token.
    pub(crate) name: String,
    /// Parameters with their values; quoted strings are unescaped.
    pub(crate) parameters: Vec<(String, Option<String>)>,
}

/// Reads one `Sec-WebSocket-Extensions` value; `None` if it does not follow the grammar.
//= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
//# If a value is received by either the client or the
//# server during negotiation that does not conform to the ABNF below,
//# the recipient of such malformed data MUST immediately _Fail the
//# WebSocket Connection_.
pub(crate) fn extensions(value: &str) -> Option<Vec<Extension>> {
    let mut list = Vec::new();
    let mut rest = trim(value);
    loop {
        // Empty list elements are legal (RFC 2616 section 2.1).
        while let Some(after) = rest.strip_prefix(',') {
            rest = trim(after);
        }
        if rest.is_empty() {
            break;
        }
        let name = token(&mut rest)?;
        let mut parameters = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            rest = trim(after);
            let key = token(&mut rest)?;
            let value = match rest.strip_prefix('=') {
                None => None,
                Some(after) => {
                    rest = trim(after);
                    //= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
                    //# ;When using the quoted-string syntax variant, the value
                    //# ;after quoted-string unescaping MUST conform to the
                    //# ;'token' ABNF.
                    Some(if rest.starts_with('"') { quoted(&mut rest)? } else { token(&mut rest)?.to_owned() })
                }
            };
            parameters.push((key.to_owned(), value));
        }
        list.push(Extension { name: name.to_owned(), parameters });
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
    (!list.is_empty()).then_some(list)
}

fn token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let end = rest.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(rest.len());
    let (token, after) = rest.split_at_checked(end)?;
    *rest = trim(after);
    (!token.is_empty()).then_some(token)
}

fn quoted(rest: &mut &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                *rest = trim(rest.get(at + 1..)?);
                //= https://www.rfc-editor.org/rfc/rfc6455#section-4.3
                //# ; When using the quoted-string syntax variant, the value ; after
                //# quoted-string unescaping MUST conform to the ; 'token' ABNF.
                return is_token(&value).then_some(value);
            }
            '\\' => value.push(chars.next()?.1),
            char => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::extensions;

    //= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
    //= type=test
    //# If a value is received by either the client or the
    //# server during negotiation that does not conform to the ABNF below,
    //# the recipient of such malformed data MUST immediately _Fail the
    //# WebSocket Connection_.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
    //= type=test
    //# ;When using the quoted-string syntax variant, the value
    //# ;after quoted-string unescaping MUST conform to the
    //# ;'token' ABNF.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.3
    //= type=test
    //# ; When using the quoted-string syntax variant, the value ; after
    //# quoted-string unescaping MUST conform to the ; 'token' ABNF.
    #[test]
    fn the_grammar_is_kept() {
        for bad in
            ["", ",", "a b", ";x", "a;", "a;=1", "a;b=", "a;b=\"c d\"", "a;b=\"\"", "a;b=\"c", "a/b", "a;b=\"c\"d"]
        {
            assert_eq!(extensions(bad), None, "{bad:?}");
        }
        let list = extensions(" foo , bar; baz=2 ;x, ,quoted;y=\"1\\0\"").unwrap();
        let names: alloc::vec::Vec<_> = list.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["foo", "bar", "quoted"]);
        assert_eq!(list[1].parameters, [("baz".into(), Some("2".into())), ("x".into(), None)]);
        assert_eq!(list[2].parameters, [("y".into(), Some("10".into()))]);
    }
}
