//! Geometries from well-known binary to well-known text. Reads what DuckDB writes; judges nothing.

use std::io::Write as _;

/// Deepest nesting of collections.
const MAX_DEPTH: usize = 16;

/// Appends the geometry as text. `None` if the bytes aren't one; `out` may then hold part of it.
pub(crate) fn write_wkt(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut reader = Reader { rest: bytes, little: true };
    reader.geometry(true, 0, out)?;
    reader.rest.is_empty().then_some(())
}

struct Reader<'a> {
    rest: &'a [u8],
    little: bool,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        let raw = self.take()?;
        Some(if self.little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }

    fn f64(&mut self) -> Option<f64> {
        let raw = self.take()?;
        Some(if self.little { f64::from_le_bytes(raw) } else { f64::from_be_bytes(raw) })
    }

    /// A geometry with its header; its name is left out inside a multi-geometry.
    fn geometry(&mut self, named: bool, depth: usize, out: &mut Vec<u8>) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.little = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        let code = self.u32()?;
        let (base, dimension) = (code % 1_000, code / 1_000);
        let word =
            ["POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"]
                .get(usize::try_from(base).ok()?.checked_sub(1)?)?;
        let (suffix, axes) = [("", 2), (" Z", 3), (" M", 3), (" ZM", 4)].get(usize::try_from(dimension).ok()?)?;
        if named {
            // Writing to a vector can't fail.
            let _ = write!(out, "{word}{suffix} ");
        }
        match base {
            1 => self.point(*axes, out),
            2 => self.many(out, |reader, out| reader.coordinates(*axes, out)),
            3 => self.many(out, |reader, out| reader.many(out, |reader, out| reader.coordinates(*axes, out))),
            _ => self.many(out, |reader, out| reader.geometry(base == 7, depth + 1, out)),
        }
    }

    /// A point; one of NaN is how an empty one is stored.
    fn point(&mut self, axes: usize, out: &mut Vec<u8>) -> Option<()> {
        let start = out.len();
        out.push(b'(');
        let empty = self.rest.chunks_exact(8).take(axes).all(|raw| {
            raw.try_into()
                .is_ok_and(|raw| if self.little { f64::from_le_bytes(raw) } else { f64::from_be_bytes(raw) }.is_nan())
        });
        self.coordinates(axes, out)?;
        out.push(b')');
        if empty {
            out.truncate(start);
            out.extend_from_slice(b"EMPTY");
        }
        Some(())
    }

    fn coordinates(&mut self, axes: usize, out: &mut Vec<u8>) -> Option<()> {
        for axis in 0..axes {
            let space = if axis == 0 { "" } else { " " };
            // Writing to a vector can't fail.
            let _ = write!(out, "{space}{}", self.f64()?);
        }
        Some(())
    }

    fn many(&mut self, out: &mut Vec<u8>, each: impl Fn(&mut Self, &mut Vec<u8>) -> Option<()>) -> Option<()> {
        let count = self.u32()?;
        if count == 0 {
            out.extend_from_slice(b"EMPTY");
            return Some(());
        }
        out.push(b'(');
        for index in 0..count {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            each(self, out)?;
        }
        out.push(b')');
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        write_wkt(bytes, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    fn point(x: f64, y: f64) -> Vec<u8> {
        [&[1, 1, 0, 0, 0][..], &x.to_le_bytes(), &y.to_le_bytes()].concat()
    }

    #[test]
    fn geometries_are_written_as_text() {
        assert_eq!(text(&point(1.0, -2.5)).unwrap(), "POINT (1 -2.5)");
        assert_eq!(text(&point(f64::NAN, f64::NAN)).unwrap(), "POINT EMPTY");
        let multi = [&[1, 4, 0, 0, 0, 2, 0, 0, 0][..], &point(1.0, 2.0), &point(3.0, 4.0)].concat();
        assert_eq!(text(&multi).unwrap(), "MULTIPOINT ((1 2), (3 4))");
        let ring: Vec<u8> = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0_f64].iter().flat_map(|n| n.to_le_bytes()).collect();
        let polygon = [&[1, 3, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0][..], &ring].concat();
        assert_eq!(text(&polygon).unwrap(), "POLYGON ((0 0, 1 0, 0 0))");
        let collection = [&[1, 7, 0, 0, 0, 1, 0, 0, 0][..], &point(1.0, 2.0)].concat();
        assert_eq!(text(&collection).unwrap(), "GEOMETRYCOLLECTION (POINT (1 2))");
    }

    proptest! {
        #[test]
        fn random_bytes_do_not_panic(bytes: Vec<u8>) {
            text(&bytes);
        }
    }
}
