//! The state of a library that isn't written in Rust: blocks of bytes, each under a name.
//!
//! The host makes and frees them, and can copy and compare them without asking the library: so nothing of a version's
//! code is needed for a snapshot, and nothing of the state is lost with a version. What the bytes mean, only the library
//! knows; which schema they are of, the host does.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;

use liveswap_state::{CodecError, Decoder, Encoder, Fingerprint, State};

/// How large a block may be, in bytes.
const BLOCK_MAX: usize = isize::MAX as usize / 2;

/// All blocks.
#[derive(Clone, Debug, State)]
pub(super) struct Blocks {
    /// The schema that they are of.
    pub(super) schema: u32,
    pub(super) blocks: BTreeMap<String, Block>,
}

/// Bytes that begin at a multiple of 16, as `malloc`'s do.
#[derive(Clone)]
pub(super) struct Block {
    length: usize,
    /// All bytes behind the length are 0.
    words: Vec<u128>,
}

// SAFETY: it holds numbers only, behind one allocation. The fingerprint is that of such a vector, and names what it is
// used for.
unsafe impl State for Block {
    const FINGERPRINT: Fingerprint =
        Fingerprint::of("liveswap: bytes at a multiple of 16").with(<Vec<u128>>::FINGERPRINT);
    const NAME: &'static str = "Block";

    fn encode(&self, encoder: &mut Encoder) {
        encoder.length(self.length);
        encoder.raw(self.bytes());
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, CodecError> {
        let length = decoder.length()?;
        let bytes = decoder.raw(length)?;
        let mut block = Self::new();
        block.resize(length).map_err(|()| CodecError::Bad { expected: "length of a block" })?;
        block.bytes_mut().copy_from_slice(bytes);
        Ok(block)
    }
}

impl Block {
    pub(super) fn new() -> Self {
        Self { length: 0, words: Vec::new() }
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Where they begin. For a library, which may keep the address for as long as its call takes: so the bytes aren't
    /// borrowed here.
    pub(super) fn address(&self) -> *const c_void {
        self.words.as_ptr().cast()
    }

    /// The same, for one that may change them.
    pub(super) fn address_mut(&mut self) -> *mut c_void {
        self.words.as_mut_ptr().cast()
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: there are as many bytes behind the pointer, all initialized, borrowed as `self` is; numbers have no
        // padding.
        unsafe { std::slice::from_raw_parts(self.address().cast(), self.length) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; and any bytes are a number.
        unsafe { std::slice::from_raw_parts_mut(self.address_mut().cast(), self.length) }
    }

    /// Makes it this long. What it gains is 0. On an error there is no memory for it, and it is as it was.
    pub(super) fn resize(&mut self, length: usize) -> Result<(), ()> {
        if length > BLOCK_MAX {
            return Err(());
        }
        if length < self.length {
            self.bytes_mut()[length..].fill(0);
        }
        let words = length.div_ceil(size_of::<u128>());
        self.words.try_reserve_exact(words.saturating_sub(self.words.len())).map_err(drop)?;
        self.words.resize(words, 0);
        self.length = length;
        Ok(())
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Block").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_what_it_holds_and_gains_zeros() {
        let mut block = Block::new();
        block.resize(20).unwrap();
        block.bytes_mut().fill(7);
        block.resize(17).unwrap();
        block.resize(40).unwrap();
        assert_eq!(block.bytes()[..17], [7; 17]);
        assert_eq!(block.bytes()[17..], [0; 23]);
        assert_eq!(block.bytes().as_ptr().addr() % 16, 0);
        assert_eq!(block.resize(usize::MAX), Err(()));
        assert_eq!(block.bytes().len(), 40);
    }

    #[test]
    fn its_bytes_come_back() {
        let mut blocks = Blocks { schema: 3, blocks: BTreeMap::new() };
        for length in [0, 1, 16, 300] {
            let mut block = Block::new();
            block.resize(length).unwrap();
            block.bytes_mut().fill(length as u8);
            blocks.blocks.insert(length.to_string(), block);
        }
        let mut encoder = Encoder::new();
        blocks.encode(&mut encoder);
        let bytes = encoder.finish().unwrap();
        let mut decoder = Decoder::new(&bytes);
        let again = Blocks::decode(&mut decoder).unwrap();
        decoder.finish().unwrap();
        assert_eq!(again.schema, 3);
        assert_eq!(again.blocks.len(), 4);
        for (name, block) in &again.blocks {
            assert_eq!(block.bytes(), blocks.blocks[name].bytes(), "{name}");
        }
        for length in 0..bytes.len() {
            assert!(Blocks::decode(&mut Decoder::new(&bytes[..length])).is_err(), "cut to {length}");
        }
    }
}
