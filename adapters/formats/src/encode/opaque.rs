//! DuckDB's own types that reach Arrow as bytes: wide integers, times with an offset, bit strings.

use super::calendar::{write_padded, write_time};
use arrow::datatypes::TimeUnit;

/// The offset that DuckDB counts down from, so that times sort by instant.
const MAX_OFFSET: i64 = 16 * 3_600 - 1;
/// Bytes of a `BIGNUM` before its digits: sign and length.
const BIGNUM_HEADER: usize = 3;
/// Longest `BIGNUM`, in bytes, that is converted to decimal: that takes the square of its length.
const BIGNUM_DECIMAL: usize = 2_048;

pub(super) fn write_hugeint(bytes: &[u8], signed: bool, out: &mut Vec<u8>) {
    let mut raw = [0; 16];
    raw.copy_from_slice(&bytes[..16]);
    let text = if signed { i128::from_le_bytes(raw).to_string() } else { u128::from_le_bytes(raw).to_string() };
    out.extend_from_slice(text.as_bytes());
}

/// `HH:MM:SS[.fraction]±HH[:MM[:SS]]`, as DuckDB writes it.
pub(super) fn write_timetz(bytes: &[u8], out: &mut Vec<u8>) {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[..8]);
    let packed = u64::from_le_bytes(raw);
    // 40 bits of microseconds over 24 bits of offset: both fit in an i64.
    write_time(i64::try_from(packed >> 24).unwrap_or_default(), TimeUnit::Microsecond, out);
    let offset = MAX_OFFSET - i64::try_from(packed & 0xFF_FFFF).unwrap_or_default();
    out.push(if offset < 0 { b'-' } else { b'+' });
    let seconds = offset.abs();
    write_padded(seconds / 3_600, 2, out);
    if seconds % 3_600 != 0 {
        out.push(b':');
        write_padded(seconds / 60 % 60, 2, out);
    }
    if seconds % 60 != 0 {
        out.push(b':');
        write_padded(seconds % 60, 2, out);
    }
}

/// A bit string as zeros and ones. Its first byte counts the padding bits at the front of the second.
pub(super) fn write_bits(bytes: &[u8], out: &mut Vec<u8>) {
    let Some((padding, bits)) = bytes.split_first() else { return };
    let each = bits.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1));
    out.extend(each.skip(usize::from(*padding)).map(|bit| b'0' + bit));
}

/// A `BIGNUM` in decimal, or in hexadecimal if it is very long.
pub(super) fn write_bignum(bytes: &[u8], out: &mut Vec<u8>) {
    let negative = bytes.first().is_none_or(|first| first & 0x80 == 0);
    let flip = if negative { 0xFF } else { 0 };
    let magnitude = bytes.iter().skip(BIGNUM_HEADER).map(|byte| byte ^ flip);
    if negative {
        out.push(b'-');
    }
    if bytes.len() > BIGNUM_DECIMAL {
        out.extend_from_slice(b"0x");
        out.extend(
            magnitude.flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| b"0123456789abcdef"[usize::from(nibble)]),
        );
        return;
    }
    // Limbs of nine decimal digits, least significant first.
    let mut limbs = vec![0_u32];
    for byte in magnitude {
        let mut carry = u64::from(byte);
        for limb in &mut limbs {
            let value = u64::from(*limb) * 256 + carry;
            *limb = u32::try_from(value % 1_000_000_000).unwrap_or_default();
            carry = value / 1_000_000_000;
        }
        if carry > 0 {
            limbs.push(u32::try_from(carry).unwrap_or_default());
        }
    }
    let mut limbs = limbs.into_iter().rev();
    out.extend_from_slice(limbs.next().unwrap_or_default().to_string().as_bytes());
    for limb in limbs {
        write_padded(limb.into(), 9, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    // The bytes are what DuckDB 1.5.5 gave for these values.
    #[test]
    fn what_duckdb_packs_is_unpacked() {
        assert_eq!(text(|out| write_hugeint(&[255; 16], true, out)), "-1");
        assert_eq!(text(|out| write_hugeint(&[255; 16], false, out)), u128::MAX.to_string());
        assert_eq!(text(|out| write_timetz(&[167, 147, 0, 0, 104, 196, 97, 8], out)), "10:00:00+05:30");
        assert_eq!(text(|out| write_timetz(&[254, 193, 1, 32, 9, 204, 97, 8], out)), "10:00:00.5-15:59:59");
        assert_eq!(text(|out| write_bits(&[4, 245], out)), "0101");
        assert_eq!(text(|out| write_bits(&[7, 254, 191], out)), "010111111");
        let bignum = [128, 0, 10, 2, 157, 66, 182, 78, 118, 113, 66, 68, 203];
        assert_eq!(text(|out| write_bignum(&bignum, out)), "12345678901234567890123");
        assert_eq!(text(|out| write_bignum(&[127, 255, 254, 250], out)), "-5");
    }

    #[test]
    fn damaged_bytes_do_not_panic() {
        for bytes in [&[][..], &[9], &[0x80, 0, 0], &[255, 1]] {
            text(|out| write_bits(bytes, out));
            text(|out| write_bignum(bytes, out));
        }
    }
}
