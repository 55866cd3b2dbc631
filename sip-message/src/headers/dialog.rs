//! Values that name a dialog: Replaces, Join, Target-Dialog.

use super::check::Check;
use super::lex::{self, Read, fault, slice};
use crate::error::ValueFault;
use crate::params::Params;
use crate::reads::CallId;
use crate::value::FieldValue;

/// `callid` at the start of `v`, and the parameters behind it.
fn call_id_and_params(v: &[u8]) -> Read<(&str, Params<'_>)> {
    // A `word` has no semicolon, so that the first one ends the Call-ID.
    let end = memchr::memchr(b';', v).unwrap_or(v.len());
    let id = crate::scan::trim_end(slice(v, 0, end));
    Ok((CallId::parse_value(id)?.0, lex::params(v, id.len())?))
}

/// The tag parameter `name`, which must be there.
fn tag<'a>(params: &Params<'a>, name: &str) -> Read<&'a str> {
    match params.token(name)? {
        Some(tag) => Ok(tag),
        None => fault(ValueFault::Incomplete, params.end()),
    }
}

macro_rules! names_dialog {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            call_id: &'a str,
            params: Params<'a>,
        }

        impl<'a> $name<'a> {
            /// The Call-ID of the dialog.
            pub fn call_id(&self) -> &'a str {
                self.call_id
            }

            /// The `to-tag` parameter: at the receiver, the local tag of the dialog.
            ///
            /// # Errors
            ///
            /// It is missing or not a token, or the parameters up to it are malformed.
            pub fn to_tag(&self) -> Read<&'a str> {
                tag(&self.params, "to-tag")
            }

            /// The `from-tag` parameter: at the receiver, the remote tag of the dialog.
            ///
            /// # Errors
            ///
            /// It is missing or not a token, or the parameters up to it are malformed.
            pub fn from_tag(&self) -> Read<&'a str> {
                tag(&self.params, "from-tag")
            }

            /// The parameters.
            pub fn params(&self) -> Params<'a> {
                self.params
            }
        }

        impl<'a> FieldValue<'a> for $name<'a> {
            fn parse_value(v: &'a [u8]) -> Read<Self> {
                let (call_id, params) = call_id_and_params(v)?;
                Ok($name { call_id, params })
            }

            /// Not a list; quotes and angle brackets are characters of a Call-ID.
            fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
                (v, None)
            }
        }

        impl Check for $name<'_> {
            fn check(&self) -> Read<()> {
                self.to_tag()?;
                self.from_tag()?;
                self.params.check()
            }
        }
    };
}

names_dialog! {
    /// The value of Replaces (RFC 3891 section 6.1): the dialog a new one is to replace.
    //= https://www.rfc-editor.org/rfc/rfc3891#section-6.1
    //# A Replaces header field MUST contain exactly one to-tag and exactly
    //# one from-tag, as they are required for unique dialog matching.
    Replaces
}

impl Replaces<'_> {
    /// Whether only an early dialog may be replaced: the `early-only` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn is_early_only(&self) -> Read<bool> {
        self.params.has("early-only")
    }
}

names_dialog! {
    /// The value of Join (RFC 3911): the dialog to join.
    Join
}

/// The value of Target-Dialog (RFC 4538 section 7): the dialog that authorizes a request.
#[derive(Clone, Copy, Debug)]
pub struct TargetDialog<'a> {
    call_id: &'a str,
    params: Params<'a>,
}

impl<'a> TargetDialog<'a> {
    /// The Call-ID of the dialog.
    pub fn call_id(&self) -> &'a str {
        self.call_id
    }

    /// The `remote-tag` parameter: at the receiver of Target-Dialog, the remote tag of the dialog.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    //= https://www.rfc-editor.org/rfc/rfc4538#section-4
    //# If the dialog identifiers don't match, or if they don't contain both
    //# a "remote-tag" and "local-tag" parameter, the header field MUST be
    //# ignored
    pub fn remote_tag(&self) -> Read<Option<&'a str>> {
        self.params.token("remote-tag")
    }

    /// The `local-tag` parameter: at the receiver of Target-Dialog, the local tag of the dialog.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    pub fn local_tag(&self) -> Read<Option<&'a str>> {
        self.params.token("local-tag")
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

impl<'a> FieldValue<'a> for TargetDialog<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (call_id, params) = call_id_and_params(v)?;
        Ok(TargetDialog { call_id, params })
    }

    /// Not a list; quotes and angle brackets are characters of a Call-ID.
    fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
        (v, None)
    }
}

impl Check for TargetDialog<'_> {
    fn check(&self) -> Read<()> {
        self.remote_tag()?;
        self.local_tag()?;
        self.params.check()
    }
}
