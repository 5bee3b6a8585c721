//! Bytes from several places, written at once: to bring them together first would be to copy them.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;

use super::packets::Apart;

/// Whether what stands in several places can be written at once.
pub(super) const CAN_GATHER: bool = cfg!(target_os = "linux");

/// Writes `bytes` from `at` on, with what is `apart` in its places.
pub(super) fn write_around(file: &File, bytes: &[u8], apart: &Apart, mut at: u64) -> io::Result<()> {
    if apart.is_empty() {
        return file.write_all_at(bytes, at);
    }
    let mut parts = Vec::with_capacity(2 * apart.len() + 1);
    let mut start = 0;
    for (place, long) in apart {
        parts.extend([IoSlice::new(&bytes[start..*place]), IoSlice::new(long)]);
        start = *place;
    }
    parts.push(IoSlice::new(&bytes[start..]));
    let mut rest = &mut parts[..];
    while !rest.is_empty() {
        match gather(file, &rest[..rest.len().min(MOST_PARTS)], at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The system takes no more at once (IOV_MAX).
const MOST_PARTS: usize = 1024;

#[cfg(target_os = "linux")]
fn gather(file: &File, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, parts, at)?)
}

#[cfg(not(target_os = "linux"))]
fn gather(file: &File, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
    file.write_at(parts.first().map_or(&[], |part| part), at)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn however_many_parts_there_are_each_comes_to_its_place() {
        for count in [0, 1, 2, MOST_PARTS / 2, 3 * MOST_PARTS] {
            let bytes: Vec<u8> = (0..4 * count + 3).map(|i| i as u8).collect();
            // two in one place, and one in the first
            let apart: Apart = (0..count).map(|i| (4 * (i / 2), vec![b'-'; i % 7].into())).collect();
            let mut expected = b"before".to_vec();
            let mut start = 0;
            for (place, long) in &apart {
                expected.extend_from_slice(&bytes[start..*place]);
                expected.extend_from_slice(long);
                start = *place;
            }
            expected.extend_from_slice(&bytes[start..]);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all_at(b"before", 0).unwrap();
            write_around(&file, &bytes, &apart, 6).unwrap();
            let mut written = Vec::new();
            file.read_to_end(&mut written).unwrap();
            assert!(written == expected, "{count}");
        }
    }
}
