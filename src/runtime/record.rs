//! TFRecord, TensorFlow's file of messages (`record_writer.h`): the length as u64, its masked CRC-32C,
//! the message, its masked CRC-32C, all little-endian.

/// A TFRecord of some bytes.
pub(super) fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc(&length).to_le_bytes());
    record.extend_from_slice(data);
    record.extend_from_slice(&masked_crc(data).to_le_bytes());
    record
}

/// A checksum of data that may itself hold checksums (TensorFlow's `crc32c.h`).
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_checksum_is_tensorflows() {
        // From `tf.io.TFRecordWriter`: the record of the three bytes `abc`.
        let expected = [
            3, 0, 0, 0, 0, 0, 0, 0, 0xb0, 0x99, 0x49, 0x0e, 0x61, 0x62, 0x63, 0x6e, 0x57, 0xf1,
            0x21,
        ];
        assert_eq!(record(b"abc"), expected);
    }
}
