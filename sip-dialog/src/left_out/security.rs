//! Of RFC 3261: the table of header fields, S/MIME and TLS.

//= https://www.rfc-editor.org/rfc/rfc3261#section-20
//= type=exception
//= reason=the table is kept by the builders of each message; what a peer adds to it in spite of that is left unread
//# "Not applicable" means that the header field MUST NOT be present in a
//# request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20
//= type=exception
//= reason=the table is kept by the builders of each message; what a peer adds to it in spite of that is left unread
//# Similarly, a header field labeled "not applicable" for a response means
//# that the UAS MUST NOT place the header field in the response, and the
//# UAC MUST ignore the header field in the response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.1
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# Each user agent that supports S/MIME MUST contain a keyring specifically
//# for end-users' certificates.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# Whenever the CMS SignedData message is used in S/MIME for SIP, it MUST
//# contain the certificate bearing the public key necessary to verify the
//# signature.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# If the certificate cannot be verified, because it is self-signed, or
//# signed by no known authority, or if it is verifiable but its subject
//# does not correspond to the From header field of request, the UAS MUST
//# notify its user of the status of the certificate (including the subject
//# of the certificate, its signer, and any key fingerprint information) and
//# request explicit permission before proceeding.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# If the certificate cannot be verified because it is self-signed, or
//# signed by no known authority, the UAC MUST notify its user of the status
//# of the certificate (including the subject of the certificate, its
//# signator, and any key fingerprint information) and request explicit
//# permission before proceeding.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# If there is a discrepancy, the UA MUST notify its user of a change of
//# the certificate (preferably in terms that indicate that this is a
//# potential security breach) and acquire the user's permission before
//# continuing to process the signaling.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# If a UA receives an S/MIME body that has been encrypted with a public
//# key unknown to the recipient, it MUST reject the request with a 493
//# (Undecipherable) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# Note that a user agent that receives a request containing an S/MIME body
//# that is not optional (with a Content-Disposition header "handling"
//# parameter of "required") MUST reject the request with a 415 Unsupported
//# Media Type response if the MIME type is not understood.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# Finally, if during the course of a dialog a UA receives a certificate in
//# a CMS SignedData message that does not correspond with the certificates
//# previously exchanged during a dialog, the UA MUST notify its user of the
//# change, preferably in terms that indicate that this is a potential
//# security breach.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.3
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# "multipart/signed" MUST be used only with CMS detached signatures.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.3
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# S/MIME implementations MUST at a minimum support SHA1 as a digital
//# signature algorithm, and 3DES as an encryption algorithm.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.4.1.1
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# Changes to any other header fields defined in this document constitute
//# an integrity violation; users MUST be notified of a discrepancy.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.4.1.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# If the From header field in an encrypted body differs from the value in
//# the "outer" message, the value within the encrypted body SHOULD be
//# displayed to the user, but MUST NOT be used in the "outer" header fields
//# of any future messages.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.4.1.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# If present, the Date header field MUST always be the same in the "inner"
//# and "outer" headers.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.4.1.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# If a SIP UA encounters an unknown header field with an integrity
//# violation, it MUST ignore the header field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.4.2
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# Any message bodies that require integrity protection MUST be attached to
//# the "inner" message.
//= https://www.rfc-editor.org/rfc/rfc3261#section-23.4.3
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# The message must first be decrypted, and the "inner" From header field
//# MUST be used as an index.
//= https://www.rfc-editor.org/rfc/rfc3261#section-26.3.1
//= type=exception
//= reason=connections and their certificates are the host's: the endpoint says which name the certificate must show, and sends nothing before the host says that the connection is open
//# Proxy servers, redirect servers, and registrars MUST implement TLS, and
//# MUST support both mutual and one-way authentication.
//= https://www.rfc-editor.org/rfc/rfc3261#section-26.3.1
//= type=exception
//= reason=connections and their certificates are the host's: the endpoint says which name the certificate must show, and sends nothing before the host says that the connection is open
//# All SIP elements that support TLS MUST have a mechanism for validating
//# certificates received during TLS negotiation; this entails possession of
//# one or more root certificates issued by certificate authorities
//# (preferably well-known distributors of site certificates comparable to
//# those that issue root certificates for web browsers).
//= https://www.rfc-editor.org/rfc/rfc3261#section-26.3.2.1
//= type=exception
//= reason=connections and their certificates are the host's: the endpoint says which name the certificate must show, and sends nothing before the host says that the connection is open
//# The registrar SHOULD offer a certificate to the UA, and the site
//# identified by the certificate MUST correspond with the domain in which
//# the UA intends to register; for example, if the UA intends to register
//# the address-of-record 'alice@atlanta.com', the site certificate must
//# identify a host within the atlanta.com domain (such as sip.atlanta.com).
//= https://www.rfc-editor.org/rfc/rfc3261#section-26.3.2.1
//= type=exception
//= reason=connections and their certificates are the host's: the endpoint says which name the certificate must show, and sends nothing before the host says that the connection is open
//# If the certificate is invalid, revoked, or if it does not identify the
//# appropriate party, the UA MUST NOT send the REGISTER message and
//# otherwise proceed with the registration.
