//! The documents that cores write about what they know are XML: text in them is escaped here, and nowhere else.

use alloc::string::String;

/// Appends `text` so that it can stand in an element and in an attribute of an XML 1.0 document; what that cannot hold becomes U+FFFD.
///
/// ```
/// let mut out = String::new();
/// sip_transaction::cores::escape_xml(&mut out, "\"Bob\" <sip:bob@b?a=1&b=2>\u{1}");
/// assert_eq!(out, "&quot;Bob&quot; &lt;sip:bob@b?a=1&amp;b=2&gt;\u{fffd}");
/// ```
pub fn escape_xml(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
}
