//! The kernels for compute capability 8.0, which the driver compiles for its device. build.rs compresses them.

use std::io::{Error, Read};

use lzma_rust2::LzmaReader;

const COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernels.ptx.lzma"));

/// `kernels/kernels.ptx`.
pub(crate) fn ptx() -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    LzmaReader::new_mem_limit(COMPRESSED, u32::MAX, None)?.read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernels_come_out_as_they_are_committed() -> Result<(), std::io::Error> {
        assert!(super::ptx()? == include_bytes!("../kernels/kernels.ptx"));
        Ok(())
    }
}
