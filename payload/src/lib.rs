//! 26/WAKU2-PAYLOAD version 1: encrypted and signed message payloads.
