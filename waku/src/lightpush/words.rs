//! What services say in words, where the words are all there is to tell one failure from another.

/// Version 2, nwaku: the service asks for a pause.
pub(super) const TOO_MANY_REQUESTS: &str = "TOO_MANY_REQUESTS";
/// Version 2, go-waku: the service asks for a pause. It grants a peer one request a second.
const OVER_THE_RATE: &str = "exceeds the rate limit";
/// Version 2: the request cannot be read.
pub(super) const UNDECODABLE: &str = "decode_rpc_failure";
/// Version 2: what came is no request.
pub(super) const NO_REQUEST: &str = "empty_request_body_failure";
/// Version 2: the service has nobody to relay to.
pub(super) const NO_PEERS: &str = "not_published_to_any_peer";
/// Both versions: the network has the message. nwaku says "Dropping already-seen message".
pub(super) const SEEN: &str = "already-seen message";

/// Whether the service asks for a pause.
pub(super) fn is_pause(words: &str) -> bool {
    words.contains(TOO_MANY_REQUESTS) || words.contains(OVER_THE_RATE)
}

/// Whether the service has seen the message before.
pub(super) fn is_seen(words: &str) -> bool {
    words.contains(SEEN)
}
