//! What RFC 6455, RFC 7118 and RFC 7692 ask of somebody else than this crate, with the reason. There is no code here.

// One connection at a time: the host opens transports, and knows their addresses.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host opens transports and knows their addresses; a Connection begins when one is open
//# If the client already has a WebSocket connection to the remote host (IP
//# address) identified by /host/ and port /port/ pair, even if the remote
//# host is known by another name, the client MUST wait until that
//# connection has been established or for that connection to have failed.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host opens transports and knows their addresses; a Connection begins when one is open
//# There MUST be no more than one connection in a CONNECTING state.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host opens transports and knows their addresses; a Connection begins when one is open
//# If multiple connections to the same IP address are attempted
//# simultaneously, the client MUST serialize them so that there is no more
//# than one connection at a time running through the following steps.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host opens transports and knows their addresses; a Connection begins when one is open
//# If the client cannot determine the IP address of the remote host (for
//# example, because all communication is being done through a proxy server
//# that performs DNS queries itself), then the client MUST assume for the
//# purposes of this step that each host name refers to a distinct remote
//# host,

// Proxies and TLS: below this crate.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host runs TLS and proxies; Url::is_secure and Url::host say what it needs to know
//# For the purpose of proxy autoconfiguration scripts, the URI to pass the
//# function MUST be constructed from /host/, /port/, /resource name/, and
//# the /secure/ flag using the definition of a WebSocket URI as given in
//# Section 3.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host runs TLS and proxies; Url::is_secure and Url::host say what it needs to know
//# If the connection could not be opened, either because a direct
//# connection failed or because any proxy used returned an error, then the
//# client MUST _Fail the WebSocket Connection_ and abort the connection
//# attempt.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host runs TLS and proxies; Url::is_secure and Url::host say what it needs to know
//# If /secure/ is true, the client MUST perform a TLS handshake over the
//# connection after opening the connection and before sending the handshake
//# data [RFC2818].
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host runs TLS and proxies; Url::is_secure and Url::host say what it needs to know
//# If this fails (e.g., the server's certificate could not be verified),
//# then the client MUST _Fail the WebSocket Connection_ and abort the
//# connection.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host runs TLS and proxies; Url::is_secure and Url::host say what it needs to know
//# Otherwise, all further communication on this channel MUST run through
//# the encrypted tunnel [RFC5246].
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=exception
//= reason=the host runs TLS and proxies; Url::is_secure and Url::host say what it needs to know
//# Clients MUST use the Server Name Indication extension in the TLS
//# handshake [RFC6066].
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=exception
//= reason=the host runs TLS and proxies; Url::is_secure and Url::host say what it needs to know
//# otherwise, all further communication for the connection (including the
//# server's handshake) MUST run through the encrypted tunnel [RFC5246].
//= https://www.rfc-editor.org/rfc/rfc6455#section-10.6
//= type=exception
//= reason=the host runs TLS and proxies; Url::is_secure and Url::host say what it needs to know
//# WebSocket implementations MUST support TLS and SHOULD employ it when
//# communicating with their peers.
//= https://www.rfc-editor.org/rfc/rfc7118#section-9.1
//= type=exception
//= reason=the host runs TLS and proxies; Url::is_secure and Url::host say what it needs to know
//# When establishing a connection using SIP over secure WebSocket
//# transport, the client MUST authenticate the server using the server's
//# certificate according to the WebSocket validation procedure in
//# [RFC6455].

// User interfaces.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
//= type=exception
//= reason=this crate shows nothing; CloseFrame says so to its host
//# As the data is not guaranteed to be human readable, clients MUST NOT
//# show it to end users.

// Intermediaries: a Connection is an endpoint.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=exception
//= reason=a Connection is an endpoint, never an intermediary
//# As control frames cannot be fragmented, an intermediary MUST NOT attempt
//# to change the fragmentation of a control frame.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=exception
//= reason=a Connection is an endpoint, never an intermediary
//# An intermediary MUST NOT change the fragmentation of a message if any
//# reserved bit values are used and the meaning of these values is not
//# known to the intermediary.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=exception
//= reason=a Connection is an endpoint, never an intermediary
//# An intermediary MUST NOT change the fragmentation of any message in the
//# context of a connection where extensions have been negotiated and the
//# intermediary is not aware of the semantics of the negotiated extensions.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=exception
//= reason=a Connection is an endpoint, never an intermediary
//# Similarly, an intermediary that didn't see the WebSocket handshake (and
//# wasn't notified about its content) that resulted in a WebSocket
//# connection MUST NOT change the fragmentation of any message of such
//# connection.

// Rules for those who write specifications.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//= type=exception
//= reason=a rule for specifications of extensions
//# Any extension MUST specify the length of the "Extension data", or how
//# that length may be calculated, and how the extension use MUST be
//# negotiated during the opening handshake.
//= https://www.rfc-editor.org/rfc/rfc7692#section-4
//= type=exception
//= reason=a rule for specifications of extensions
//# Each PMCE referring to this framework MUST define the following:
//= https://www.rfc-editor.org/rfc/rfc7692#section-4
//= type=exception
//= reason=a rule for specifications of extensions
//# any applicable extension parameters that MUST be included in the
//# "Sec-WebSocket-Extensions" header during the extension negotiation
//# offer/response.

// Conversion of Unicode: a Url takes URIs, which are ASCII, and refuses the rest.
//= https://www.rfc-editor.org/rfc/rfc6455#section-11.1.1
//= type=exception
//= reason=whoever turns what a person typed into a URI converts it; Url refuses what is not ASCII
//# Characters in the host component that are excluded by the syntax defined
//# above MUST be converted from Unicode to ASCII as specified in [RFC3987]
//# or its replacement.
//= https://www.rfc-editor.org/rfc/rfc6455#section-11.1.1
//= type=exception
//= reason=whoever turns what a person typed into a URI converts it; Url refuses what is not ASCII
//# Characters in other components that are excluded by the syntax defined
//# above MUST be converted from Unicode to ASCII by first encoding the
//# characters as UTF-8 and then replacing the corresponding bytes using
//# their percent-encoded form
//= https://www.rfc-editor.org/rfc/rfc6455#section-11.1.2
//= type=exception
//= reason=whoever turns what a person typed into a URI converts it; Url refuses what is not ASCII
//# Characters in the host component that are excluded by the syntax defined
//# above MUST be converted from Unicode to ASCII as specified in [RFC3987]
//# or its replacement.
//= https://www.rfc-editor.org/rfc/rfc6455#section-11.1.2
//= type=exception
//= reason=whoever turns what a person typed into a URI converts it; Url refuses what is not ASCII
//# Characters in other components that are excluded by the syntax defined
//# above MUST be converted from Unicode to ASCII by first encoding the
//# characters as UTF-8 and then replacing the corresponding bytes using
//# their percent-encoded form

// Compression.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
//= type=exception
//= reason=our compressor never sets BFINAL; the inflater reads blocks that have it
//# When any DEFLATE block with the "BFINAL" bit set to 1 doesn't end at a
//# byte boundary, an endpoint MUST add minimal padding bits of 0 to make it
//# end at a byte boundary.

// How to read.
//= https://www.rfc-editor.org/rfc/rfc6455#section-2
//= type=exception
//= reason=tells how to read the text
//# Requirements phrased in the imperative as part of algorithms (such as
//# "strip any leading space characters" or "return false and abort these
//# steps") are to be interpreted with the meaning of the key word
//# ("MUST", "SHOULD", "MAY", etc.) used in introducing the algorithm.
//= https://www.rfc-editor.org/rfc/rfc7692#section-2
//= type=exception
//= reason=tells how to read the text
//# Requirements phrased in the imperative as part of algorithms (such as
//# "strip any leading space characters" or "return false and abort these
//# steps") are to be interpreted with the meaning of the key word
//# ("MUST", "SHOULD", "MAY", etc.) used in introducing the algorithm.
