//! A position in a file's bytes that never goes past their end.

/// The bytes not yet read, and where in the file they begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first of `bytes`, which lies at `offset` in the file.
    pub(crate) const fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self {
            rest: bytes,
            offset,
        }
    }

    /// Where in the file the next byte is.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }

    /// Number of bytes not yet read.
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `length` bytes, or `None` (and nothing read) if there are fewer.
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.advance(rest);
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next N bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.advance(rest);
        Some(*head)
    }

    fn advance(&mut self, rest: &'a [u8]) {
        let read = self.rest.len().saturating_sub(rest.len());
        self.offset = self.offset.saturating_add(read);
        self.rest = rest;
    }
}
