//! Fresh random bytes, for secrets and seeds.

use std::io;

/// That many bytes from the kernel.
pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
