//! Cuts CSV into records and fields: RFC 4180 to the letter, because a lenient reader turns a missing
//! quote into a hundred thousand rows of one field.
//!
//! Lines end with LF or CRLF. (The crate `csv-core` can't be used: it takes broken quoting silently and
//! doesn't tell `""` from nothing.)

use super::super::CsvOptions;

/// A complete record.
pub(super) struct Record<'a> {
    text: &'a str,
    fields: &'a [Field],
    /// The line it starts on, from 1.
    pub(super) line: u64,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    end: usize,
    quoted: bool,
}

impl<'a> Record<'a> {
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A line with nothing on it.
    pub(super) fn is_blank(&self) -> bool {
        self.text.is_empty() && matches!(self.fields, [Field { quoted: false, .. }])
    }

    /// Each field's text, and whether it was quoted.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, bool)> + use<'a> {
        let (text, fields) = (self.text, self.fields);
        let mut start = 0;
        fields.iter().map(move |field| {
            let value = text.get(start..field.end).unwrap_or_default();
            start = field.end;
            (value, field.quoted)
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    FieldStart,
    Unquoted,
    Quoted,
    /// After a quote in a quoted field: its end, or the first half of a doubled one.
    Quote,
    /// After a carriage return outside quotes.
    Return,
}

/// The reader's state, and what it holds of a record that isn't complete.
#[derive(Debug)]
pub(super) struct Machine {
    delimiter: u8,
    quote: u8,
    state: State,
    text: Vec<u8>,
    fields: Vec<Field>,
    quoted: bool,
    line: u64,
    record_line: u64,
    quote_line: u64,
    max_record: usize,
}

impl Machine {
    pub(super) fn new(options: &CsvOptions, max_record: usize) -> Self {
        Self {
            delimiter: options.delimiter,
            quote: options.quote,
            state: State::RecordStart,
            text: Vec::new(),
            fields: Vec::new(),
            quoted: false,
            line: 1,
            record_line: 1,
            quote_line: 1,
            max_record,
        }
    }

    /// Takes bytes and gives each record that they complete to `each`.
    pub(super) fn push<E: From<String>>(
        &mut self,
        piece: &[u8],
        each: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            // The plain part of a field needs no decision byte by byte.
            let plain = piece[at..].iter().take_while(|&&byte| self.is_plain(byte)).count();
            if plain > 0 {
                self.hold(&piece[at..at + plain])?;
                at += plain;
                continue;
            }
            if self.step(byte)? {
                self.emit(each)?;
            }
            at += 1;
        }
        Ok(())
    }

    /// Told that there are no more bytes.
    pub(super) fn finish<E: From<String>>(
        &mut self,
        each: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.state {
            State::RecordStart => Ok(()),
            State::Quoted => {
                Err(format!("the quoted field that starts on line {} has no closing quote", self.quote_line).into())
            }
            State::Return => Err(self.bare_return().into()),
            State::FieldStart | State::Unquoted | State::Quote => {
                self.end_field();
                self.emit(each)
            }
        }
    }

    /// Whether a byte merely adds to the field in work.
    fn is_plain(&self, byte: u8) -> bool {
        match self.state {
            State::Quoted => byte != self.quote && byte != b'\n' && byte != 0,
            State::Unquoted => byte != self.delimiter && byte != self.quote && !matches!(byte, b'\n' | b'\r' | 0),
            _ => false,
        }
    }

    /// Takes one byte. `true` if it ends a record.
    fn step(&mut self, byte: u8) -> Result<bool, String> {
        if byte == 0 {
            return Err(format!("line {} holds a NUL byte; is it really UTF-8 text?", self.line));
        }
        let line = self.line;
        if byte == b'\n' {
            self.line += 1;
        }
        if self.state == State::RecordStart {
            self.record_line = line;
            self.state = State::FieldStart;
        }
        match self.state {
            State::Return if byte == b'\n' => return Ok(true),
            State::Return => return Err(self.bare_return()),
            State::Quoted if byte == self.quote => self.state = State::Quote,
            State::Quoted => self.hold(&[byte])?,
            State::FieldStart if byte == self.quote => {
                self.quoted = true;
                self.quote_line = line;
                self.state = State::Quoted;
            }
            State::Quote if byte == self.quote => {
                self.hold(&[byte])?;
                self.state = State::Quoted;
            }
            _ if byte == self.delimiter => {
                self.end_field();
                self.state = State::FieldStart;
            }
            _ if byte == b'\n' => {
                self.end_field();
                return Ok(true);
            }
            _ if byte == b'\r' => {
                self.end_field();
                self.state = State::Return;
            }
            State::Quote => return Err(format!("line {line}: text follows the closing quote of a field")),
            State::Unquoted if byte == self.quote => {
                return Err(format!("line {line}: a quote inside a field that isn't quoted"));
            }
            _ => {
                self.hold(&[byte])?;
                self.state = State::Unquoted;
            }
        }
        Ok(false)
    }

    fn bare_return(&self) -> String {
        format!("line {}: a carriage return outside quotes that isn't followed by a line feed", self.line)
    }

    fn hold(&mut self, part: &[u8]) -> Result<(), String> {
        if self.text.len() + part.len() > self.max_record {
            return Err(format!("the record on line {} is longer than {} bytes", self.record_line, self.max_record));
        }
        self.text.extend_from_slice(part);
        Ok(())
    }

    fn end_field(&mut self) {
        self.fields.push(Field { end: self.text.len(), quoted: self.quoted });
        self.quoted = false;
    }

    fn emit<E: From<String>>(&mut self, each: &mut impl FnMut(Record<'_>) -> Result<(), E>) -> Result<(), E> {
        self.state = State::RecordStart;
        let text = std::str::from_utf8(&self.text)
            .map_err(|_| format!("the record on line {} is not UTF-8", self.record_line))?;
        each(Record { text, fields: &self.fields, line: self.record_line })?;
        self.text.clear();
        self.fields.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Fields = Vec<(String, bool)>;

    fn read(body: &[u8], cut: usize) -> Result<Vec<Fields>, String> {
        let mut records = Vec::new();
        let mut each = |record: Record<'_>| {
            records.push(record.fields().map(|(text, quoted)| (text.to_owned(), quoted)).collect());
            Ok::<_, String>(())
        };
        let mut machine = Machine::new(&CsvOptions::default(), 100);
        for piece in body.chunks(cut) {
            machine.push(piece, &mut each)?;
        }
        machine.finish(&mut each)?;
        Ok(records)
    }

    fn plain(body: &str) -> Vec<Vec<String>> {
        let records = read(body.as_bytes(), 3).unwrap();
        records.into_iter().map(|fields| fields.into_iter().map(|(text, _)| text).collect()).collect()
    }

    #[test]
    fn lines_end_in_either_way_and_the_last_needs_no_end() {
        for body in ["a,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\n1,2"] {
            assert_eq!(plain(body), [["a", "b"], ["1", "2"]]);
        }
        assert_eq!(plain("a,"), [["a", ""]]);
        assert!(plain("").is_empty());
    }

    #[test]
    fn quotes_protect_everything() {
        assert_eq!(plain("\"a,\"\"b\"\"\r\nc\",\"\"\n"), [["a,\"b\"\r\nc", ""]]);
        let fields = &read(b",\"\"", 1).unwrap()[0];
        assert_eq!(fields, &[(String::new(), false), (String::new(), true)]);
    }

    #[test]
    fn broken_quoting_is_refused_with_its_line() {
        for (body, expected) in [
            ("a\n\"b\nc", "starts on line 2 has no closing quote"),
            ("a\n\"b\" c", "line 2: text follows"),
            ("a\nb\"c", "line 2: a quote inside"),
            ("a\rb", "line 1: a carriage return"),
            ("a\r", "line 1: a carriage return"),
            ("a\n\0", "line 2 holds a NUL"),
        ] {
            let error = read(body.as_bytes(), 2).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(read(b"\xff", 1).unwrap_err().contains("not UTF-8"));
        assert!(read(&[b'x'; 101], 7).unwrap_err().contains("longer than"));
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(
            records in prop::collection::vec(prop::collection::vec("[a,\"\r\né ]{0,6}", 1..4), 0..5),
            cut in 1_usize..9,
        ) {
            let field = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
            let line = |fields: &Vec<String>| fields.iter().map(field).collect::<Vec<_>>().join(",") + "\r\n";
            let body: String = records.iter().map(line).collect();
            let found = read(body.as_bytes(), cut).unwrap();
            let found: Vec<Vec<String>> =
                found.into_iter().map(|fields| fields.into_iter().map(|(text, _)| text).collect()).collect();
            prop_assert_eq!(found, records);
        }

        #[test]
        fn random_bytes_do_not_panic(body in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r')], 0..60), cut in 1_usize..9) {
            let whole = read(&body, 1_000);
            prop_assert_eq!(read(&body, cut), whole);
        }
    }
}
