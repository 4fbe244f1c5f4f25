//! Bodies as they are sent: plain, or in pieces of zstd.
//!
//! An encoded body is a series of pieces: a length of four bytes, little-endian, and a zstd frame of that many. A piece
//! holds at most [`PIECE`] bytes, so that either side needs no more than that in memory, a piece can be sent as soon as it
//! is there, and no frame can swell to more. The whole body has a limit too ([`MAX_DECODED`]).
//!
//! `ruzstd` encodes and decodes: pure Rust, so that browsers can use the same crate. It compresses at one level, about
//! zstd's fastest.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::frame::Encoding;

/// The most bytes of one piece, decoded.
pub const PIECE: usize = 128 * 1024;
/// The most bytes of one piece, encoded: zstd adds a few to what it cannot compress.
const MAX_ENCODED_PIECE: usize = PIECE + 1024;
/// The most bytes of a compressed body, decoded.
pub const MAX_DECODED: u64 = 16 * 1024 * 1024;
/// The largest window a frame may ask for.
const MAX_WINDOW: u64 = 1024 * 1024;
const LENGTH: usize = 4;

/// A body that cannot be decoded, or is too long decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be decoded")]
pub struct BadBody;

/// Encodes a body by and by.
#[derive(Default)]
pub struct Encoder {
    encoding: Encoding,
    waiting: BytesMut,
}

impl Encoder {
    /// An encoder for a new body.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, waiting: BytesMut::new() }
    }

    /// Bytes that were taken in and wait for the rest of their piece.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes in the next bytes, and appends to `encoded` what is ready to be sent.
    pub fn write(&mut self, bytes: &[u8], encoded: &mut BytesMut) {
        if self.encoding == Encoding::Identity {
            return encoded.extend_from_slice(bytes);
        }
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() >= PIECE {
            let piece = self.waiting.split_to(PIECE);
            append_piece(&piece, encoded);
        }
    }

    /// Appends what waits, although its piece is not full.
    pub fn flush(&mut self, encoded: &mut BytesMut) {
        let piece = self.waiting.split();
        if !piece.is_empty() {
            append_piece(&piece, encoded);
        }
    }
}

fn append_piece(piece: &[u8], encoded: &mut BytesMut) {
    let frame = compress_to_vec(piece, CompressionLevel::Fastest);
    let len = u32::try_from(frame.len()).expect("zstd adds only a little to a piece");
    encoded.extend_from_slice(&len.to_le_bytes());
    encoded.extend_from_slice(&frame);
}

/// Decodes a body by and by.
#[derive(Default)]
pub struct Decoder {
    encoding: Encoding,
    /// Encoded bytes in their order.
    waiting: VecDeque<Bytes>,
    waiting_len: usize,
    decoded: u64,
}

impl Decoder {
    /// A decoder for a new body.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, ..Self::default() }
    }

    /// Bytes that came and wait for the rest of their piece.
    pub fn waiting(&self) -> usize {
        self.waiting_len
    }

    /// Whether a whole piece, or anything of a plain body, is there.
    pub fn is_ready(&self) -> bool {
        match self.encoding {
            Encoding::Identity => self.waiting_len > 0,
            // A length that is too large is an error to be read.
            Encoding::Zstd => self
                .piece_len()
                .is_some_and(|len| len > MAX_ENCODED_PIECE || self.waiting_len >= LENGTH + len),
        }
    }

    /// Takes in what comes next.
    pub fn push(&mut self, encoded: Bytes) {
        self.waiting_len += encoded.len();
        self.waiting.push_back(encoded);
    }

    /// The next decoded bytes, if they are there; at most [`PIECE`] of a compressed body.
    ///
    /// # Errors
    /// [`BadBody`]; the body is of no use then.
    pub fn read(&mut self) -> Result<Option<Bytes>, BadBody> {
        if self.encoding == Encoding::Identity {
            let next = self.waiting.pop_front();
            self.waiting_len -= next.as_ref().map_or(0, Bytes::len);
            return Ok(next);
        }
        let Some(len) = self.piece_len() else { return Ok(None) };
        if len > MAX_ENCODED_PIECE {
            return Err(BadBody);
        }
        if self.waiting_len < LENGTH + len {
            return Ok(None);
        }
        let piece = self.take(LENGTH + len);
        let frame = piece.get(LENGTH..).ok_or(BadBody)?;
        let left = usize::try_from(MAX_DECODED - self.decoded).map_or(PIECE, |left| left.min(PIECE));
        let decoded = decode_frame(frame, left)?;
        self.decoded += decoded.len() as u64;
        Ok(Some(decoded.into()))
    }

    /// The length of the next piece's frame.
    fn piece_len(&self) -> Option<usize> {
        let mut bytes = self.waiting.iter().flatten();
        let mut length = [0; LENGTH];
        for byte in &mut length {
            *byte = *bytes.next()?;
        }
        usize::try_from(u32::from_le_bytes(length)).ok()
    }

    /// Takes the next `len` bytes, which are there.
    fn take(&mut self, len: usize) -> Bytes {
        self.waiting_len -= len;
        let mut taken = BytesMut::with_capacity(len);
        while taken.len() < len
            && let Some(mut next) = self.waiting.pop_front()
        {
            let part = next.split_to(next.len().min(len - taken.len()));
            taken.extend_from_slice(&part);
            if !next.is_empty() {
                self.waiting.push_front(next);
            }
        }
        taken.freeze()
    }
}

/// Decodes one frame block by block, each at most 128 KiB, so that no more than one block is plain beyond the limit.
fn decode_frame(frame: &[u8], limit: usize) -> Result<Vec<u8>, BadBody> {
    let mut source = frame;
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(MAX_WINDOW);
    decoder.init(&mut source).map_err(|_| BadBody)?;
    let mut plain = Vec::new();
    while !decoder.is_finished() {
        decoder.decode_blocks(&mut source, BlockDecodingStrategy::UptoBlocks(1)).map_err(|_| BadBody)?;
        plain.extend(decoder.collect().unwrap_or_default());
        // While a frame is not finished its decoder keeps back what may still be referred to.
        if plain.len() > limit {
            return Err(BadBody);
        }
    }
    plain.extend(decoder.collect().unwrap_or_default());
    if plain.len() > limit || !source.is_empty() {
        return Err(BadBody);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    fn encode(body: &[u8]) -> BytesMut {
        let (mut writer, mut encoded) = (Encoder::new(Encoding::Zstd), BytesMut::new());
        writer.write(body, &mut encoded);
        writer.flush(&mut encoded);
        encoded
    }

    fn decode(encoded: &[u8], at_once: usize) -> Result<Vec<u8>, BadBody> {
        let (mut decoder, mut body) = (Decoder::new(Encoding::Zstd), Vec::new());
        for part in encoded.chunks(at_once) {
            decoder.push(Bytes::copy_from_slice(part));
            while decoder.is_ready() {
                body.extend(decoder.read()?.ok_or(BadBody)?);
            }
        }
        if decoder.waiting() == 0 { Ok(body) } else { Err(BadBody) }
    }

    fn text(len: usize) -> Vec<u8> {
        (0..).flat_map(|n: u32| format!("{{\"index\":\"{n}\"}},").into_bytes()).take(len).collect()
    }

    #[test]
    fn bodies_come_out_as_they_went_in() {
        let mut noise = vec![0; 300_000];
        ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut noise);
        let bodies = [Vec::new(), text(1), text(1000), text(PIECE), text(700_000), noise];
        for body in bodies {
            let encoded = encode(&body);
            assert_eq!(decode(&encoded, 7000).as_ref(), Ok(&body));
            assert_eq!(decode(&encoded, encoded.len().max(1)), Ok(body));
        }
        assert!(encode(&text(700_000)).len() < 150_000);
    }

    #[test]
    fn pieces_go_as_soon_as_they_are_told_to() {
        let (mut writer, mut encoded) = (Encoder::new(Encoding::Zstd), BytesMut::new());
        writer.write(b"first", &mut encoded);
        assert_eq!((encoded.len(), writer.waiting()), (0, 5));
        writer.flush(&mut encoded);
        assert_eq!(decode(&encoded, 3), Ok(b"first".to_vec()));
    }

    /// `blocks` blocks that each repeat one byte 128 KiB.
    fn bomb(blocks: usize) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
        for block in 1..=blocks {
            let header: u32 = (128 * 1024) << 3 | 1 << 1 | u32::from(block == blocks);
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(b'a');
        }
        [&u32::try_from(frame.len()).unwrap().to_le_bytes()[..], &frame].concat()
    }

    #[test]
    fn a_piece_cannot_swell_beyond_its_limit() {
        assert_eq!(decode(&bomb(1), usize::MAX).map(|body| body.len()), Ok(PIECE));
        assert_eq!(decode(&bomb(2), usize::MAX), Err(BadBody));
        assert_eq!(decode(&bomb(60_000), usize::MAX), Err(BadBody));
    }

    #[test]
    fn a_body_cannot_swell_beyond_16_mib() {
        let full = bomb(1).repeat(128);
        assert_eq!(decode(&full, usize::MAX).map(|body| body.len() as u64), Ok(MAX_DECODED));
        assert_eq!(decode(&bomb(1).repeat(129), usize::MAX), Err(BadBody));
    }

    #[test]
    fn a_piece_that_says_it_is_too_long_is_not_waited_for() {
        let mut decoder = Decoder::new(Encoding::Zstd);
        decoder.push(Bytes::from_static(&[0xff; 4]));
        assert!(decoder.is_ready());
        assert_eq!(decoder.read(), Err(BadBody));
    }

    #[test]
    fn damaged_bodies_are_refused_or_read_but_do_no_harm() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let encoded = encode(&text(5000));
        for _ in 0..5000 {
            let mut damaged = encoded.to_vec();
            for _ in 0..=rng.next_u32() % 3 {
                let at = rng.next_u32() as usize % damaged.len();
                damaged[at] = rng.next_u32().to_le_bytes()[0];
            }
            if let Ok(body) = decode(&damaged, usize::MAX) {
                assert!(body.len() <= PIECE);
            }
        }
        assert_eq!(decode(&encoded[..encoded.len() - 1], usize::MAX), Err(BadBody));
    }
}
