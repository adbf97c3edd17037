//! Cuts a JSON body into its rows' texts, without parsing them.
//!
//! Knows strings and nesting, nothing else: whether a piece is JSON at all is found out by whoever parses it.

use crate::cell::MAX_DEPTH;

/// What the body is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[row, row]` or `{"rows": [row, row]}`
    Document,
    /// A row a line.
    Lines,
}

/// Where in the document the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// In `{ "rows" : [`: how much of it is behind.
    Wrapper(Wrapper),
    /// After `[`.
    FirstRow,
    /// After a comma.
    NextRow,
    Row,
    AfterRow,
    /// After the array, before the wrapper's brace.
    WrapperEnd,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrapper {
    Key,
    InKey,
    Colon,
    Array,
}

/// Where the next byte stands as to string literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    /// After a backslash.
    Escape,
}

/// The splitter's state, and what it holds of a row that isn't complete.
#[derive(Debug)]
pub(super) struct Splitter {
    layout: Layout,
    place: Place,
    wrapped: bool,
    buffer: Vec<u8>,
    depth: usize,
    text: Text,
    /// Whether the row is a bare word or number, which ends before the byte that ends it.
    bare: bool,
    max_row: usize,
    rows: u64,
    /// Bytes of a byte order mark seen.
    mark: usize,
}

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl Splitter {
    pub(super) fn new(layout: Layout, max_row: usize) -> Self {
        let place = if layout == Layout::Lines { Place::NextRow } else { Place::Start };
        Self {
            layout,
            place,
            wrapped: false,
            buffer: Vec::new(),
            depth: 0,
            text: Text::Outside,
            bare: false,
            max_row,
            rows: 0,
            mark: 0,
        }
    }

    /// Takes bytes and gives each row that they complete to `each`.
    pub(super) fn push<E: From<String>>(
        &mut self,
        mut piece: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while self.mark < BYTE_ORDER_MARK.len() && piece.first() == Some(&BYTE_ORDER_MARK[self.mark]) {
            self.mark += 1;
            piece = &piece[1..];
        }
        if piece.is_empty() {
            return Ok(());
        }
        if !matches!(self.mark, 0 | 3) {
            return Err("it starts with half of a byte order mark".to_owned().into());
        }
        // A mark can only stand at the very start.
        self.mark = BYTE_ORDER_MARK.len();
        match self.layout {
            Layout::Document => self.document(piece, each),
            Layout::Lines => self.lines(piece, each),
        }
    }

    /// Told that there are no more bytes.
    pub(super) fn finish<E: From<String>>(&mut self, each: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self.layout {
            Layout::Lines => self.emit(each),
            Layout::Document if self.place == Place::End => Ok(()),
            Layout::Document if self.place == Place::Start => Err("it is empty".to_owned().into()),
            Layout::Document => Err(format!("it ends in the middle, after {} complete rows", self.rows).into()),
        }
    }

    fn document<E: From<String>>(
        &mut self,
        piece: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            if self.place == Place::Row {
                let (used, ended) = self.scan(&piece[at..])?;
                self.hold(&piece[at..at + used])?;
                at += used;
                if ended {
                    self.place = Place::AfterRow;
                    self.emit(each)?;
                }
                continue;
            }
            if self.place == Place::Wrapper(Wrapper::InKey) {
                self.wrapper_key(byte)?;
            } else if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') && !self.between(byte)? {
                // The first byte of a row is scanned with the row.
                continue;
            }
            at += 1;
        }
        Ok(())
    }

    /// A byte between rows. `false`: it belongs to a row.
    fn between(&mut self, byte: u8) -> Result<bool, String> {
        let (place, taken) = match (self.place, byte) {
            (Place::Start | Place::Wrapper(Wrapper::Array), b'[') => (Place::FirstRow, true),
            (Place::Start, b'{') => {
                self.wrapped = true;
                (Place::Wrapper(Wrapper::Key), true)
            }
            (Place::Start, _) => return Err("it must be an array of objects".to_owned()),
            (Place::Wrapper(Wrapper::Key), b'"') => (Place::Wrapper(Wrapper::InKey), true),
            (Place::Wrapper(Wrapper::Colon), b':') => (Place::Wrapper(Wrapper::Array), true),
            (Place::FirstRow | Place::AfterRow, b']') => {
                (if self.wrapped { Place::WrapperEnd } else { Place::End }, true)
            }
            (Place::AfterRow, b',') => (Place::NextRow, true),
            (Place::FirstRow | Place::NextRow, b',' | b']' | b'}' | b':') => {
                return Err(format!("expected row {}, found {:?}", self.rows + 1, char::from(byte)));
            }
            (Place::FirstRow | Place::NextRow, _) => {
                self.bare = !matches!(byte, b'{' | b'[' | b'"');
                (Place::Row, false)
            }
            (Place::AfterRow, _) => return Err(format!("expected a comma or the end after row {}", self.rows)),
            (Place::WrapperEnd, b'}') => (Place::End, true),
            (Place::Wrapper(_) | Place::WrapperEnd, _) => return Err(WRAPPER.to_owned()),
            (Place::End | Place::Row, _) => return Err("something follows its end".to_owned()),
        };
        self.place = place;
        Ok(taken)
    }

    fn wrapper_key(&mut self, byte: u8) -> Result<(), String> {
        const KEY: &[u8] = b"rows\"";
        if KEY.get(self.buffer.len()) != Some(&byte) {
            return Err(WRAPPER.to_owned());
        }
        self.buffer.push(byte);
        if self.buffer.len() == KEY.len() {
            self.buffer.clear();
            self.place = Place::Wrapper(Wrapper::Colon);
        }
        Ok(())
    }

    /// How many bytes belong to the row in work, and whether it ends with them.
    fn scan(&mut self, piece: &[u8]) -> Result<(usize, bool), String> {
        for (at, &byte) in piece.iter().enumerate() {
            if self.bare && matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r') {
                return Ok((at, true));
            }
            if self.step(byte)? && !self.bare {
                return Ok((at + 1, true));
            }
        }
        Ok((piece.len(), false))
    }

    /// Follows strings and nesting. `true` if a value is complete with this byte.
    fn step(&mut self, byte: u8) -> Result<bool, String> {
        match (self.text, byte) {
            (Text::Outside, _) => {}
            (Text::Inside, b'"') => {
                self.text = Text::Outside;
                return Ok(self.depth == 0);
            }
            (Text::Inside, b'\\') => {
                self.text = Text::Escape;
                return Ok(false);
            }
            (Text::Inside | Text::Escape, _) => {
                self.text = Text::Inside;
                return Ok(false);
            }
        }
        match byte {
            b'"' => self.text = Text::Inside,
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(format!("row {} is nested more than {MAX_DEPTH} levels deep", self.rows + 1));
                }
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return Ok(self.depth == 0);
            }
            _ => {}
        }
        Ok(false)
    }

    fn lines<E: From<String>>(
        &mut self,
        mut piece: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
            self.line_part(&piece[..end])?;
            self.emit(each)?;
            piece = &piece[end + 1..];
        }
        self.line_part(piece)?;
        Ok(())
    }

    fn line_part(&mut self, part: &[u8]) -> Result<(), String> {
        for &byte in part {
            self.step(byte)?;
        }
        self.hold(part)
    }

    fn hold(&mut self, part: &[u8]) -> Result<(), String> {
        if self.buffer.len() + part.len() > self.max_row {
            return Err(format!("row {} is longer than {} bytes", self.rows + 1, self.max_row));
        }
        self.buffer.extend_from_slice(part);
        Ok(())
    }

    fn emit<E: From<String>>(&mut self, each: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        (self.depth, self.text) = (0, Text::Outside);
        let row = self.buffer.trim_ascii();
        if !row.is_empty() {
            self.rows += 1;
            each(row)?;
        }
        self.buffer.clear();
        Ok(())
    }
}

const WRAPPER: &str = "an object must be {\"rows\": [\u{2026}]}; send one row as an array of one object";

#[cfg(test)]
#[path = "splitter_tests.rs"]
mod tests;
