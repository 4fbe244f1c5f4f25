//! Frames of the request and response protocols: an unsigned-varint length, then that many bytes.

use bytes::{Buf as _, Bytes, BytesMut};
use prost::encoding::{encode_varint, encoded_len_varint};
use thiserror::Error;

/// Most bytes the length of a frame takes: 63 bits, as multiformats' unsigned-varint has it.
const MAX_PREFIX_LEN: usize = 9;

/// One frame around `message`.
pub fn encode(message: &[u8]) -> Bytes {
    let len = message.len() as u64;
    let mut frame = BytesMut::with_capacity(encoded_len_varint(len) + message.len());
    encode_varint(len, &mut frame);
    frame.extend_from_slice(message);
    frame.freeze()
}

/// Cuts a stream of bytes into messages, whatever pieces it arrives in.
///
/// A frame over the limit is refused as soon as its length is known. Buffers at most one frame of the limit
/// and the piece fed last.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: BytesMut,
}

impl Decoder {
    /// A decoder that refuses messages of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, buffer: BytesMut::new() }
    }

    /// Adds bytes as they came. Call [`Decoder::next_message`] before feeding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the length is over the limit or no unsigned varint. The stream is then lost.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some((prefix_len, len)) = decode_length(&self.buffer)? else {
            return Ok(None);
        };
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= self.limit)
            .ok_or(FrameError::TooLarge { len, limit: self.limit })?;
        if self.buffer.len() - prefix_len < len {
            return Ok(None);
        }
        self.buffer.advance(prefix_len);
        Ok(Some(self.buffer.split_to(len).freeze()))
    }

    /// True when no begun frame waits for its rest: the place where a stream may end.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// The length prefix at the start of `bytes`: its own size, and the length it tells.
fn decode_length(bytes: &[u8]) -> Result<Option<(usize, u64)>, FrameError> {
    let mut value = 0;
    for (position, byte) in bytes.iter().take(MAX_PREFIX_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            // A longer spelling of a number than needed is not an unsigned varint.
            return if position > 0 && *byte == 0 {
                Err(FrameError::BadLength)
            } else {
                Ok(Some((position + 1, value)))
            };
        }
    }
    if bytes.len() < MAX_PREFIX_LEN { Ok(None) } else { Err(FrameError::BadLength) }
}

/// Bytes that are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The frame announces more than is allowed.
    #[error("a frame of {len} bytes was announced, at most {limit} are allowed")]
    TooLarge {
        /// Announced length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The length is not an unsigned varint of at most nine bytes.
    #[error("the length of a frame is not an unsigned varint")]
    BadLength,
}
