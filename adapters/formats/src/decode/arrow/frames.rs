//! Cuts Arrow IPC into its messages, and looks at each one's claims before anything is allocated for it.
//!
//! The `arrow` crate trusts lengths: a few bytes that claim a terabyte would end the process. So only
//! messages that are complete, and whose parts lie within them, reach it. A file is read as the stream
//! that it wraps; its footer only confirms that nothing is missing.

use arrow::ipc;

/// Longest metadata of a message, and longest footer of a file.
const MAX_METADATA: usize = 16 << 20;
const MAGIC: &[u8] = b"ARROW1";
/// Magic and padding at the start of a file.
const FILE_START: usize = 8;
/// Writers may pad the start to more than that, eight bytes at a time.
const PADDING: usize = 8;
const MAX_PADDING: u8 = 8;
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// What is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// What may stand between a file's magic and its first message.
    Padding {
        left: u8,
    },
    Prefix,
    Metadata {
        prefix: usize,
        length: usize,
    },
    Body {
        total: usize,
    },
    /// After the end of the stream.
    End,
}

/// The framer's state, and what it holds of a message that isn't complete.
#[derive(Debug)]
pub(super) struct Framer {
    state: State,
    buffer: Vec<u8>,
    file: bool,
    max_message: usize,
    /// Bytes of dictionaries so far; they are kept until the end.
    dictionaries: usize,
    batches: usize,
}

impl Framer {
    pub(super) fn new(max_message: usize) -> Self {
        Self { state: State::Start, buffer: Vec::new(), file: false, max_message, dictionaries: 0, batches: 0 }
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), String> {
        self.buffer.extend_from_slice(piece);
        if self.state == State::End && self.buffer.len() > MAX_METADATA {
            return Err("its footer is too long".to_owned());
        }
        Ok(())
    }

    /// The next complete message, with its prefix.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            match self.state {
                State::Start => {
                    if !MAGIC.starts_with(&self.buffer[..self.buffer.len().min(MAGIC.len())]) {
                        self.state = State::Prefix;
                    } else if self.buffer.len() >= FILE_START {
                        self.file = true;
                        self.buffer.drain(..FILE_START);
                        self.state = State::Padding { left: MAX_PADDING };
                    } else {
                        return Ok(None);
                    }
                }
                State::Padding { left } => match self.buffer.first_chunk::<PADDING>() {
                    None => return Ok(None),
                    Some(words) if left > 0 && *words == [0; PADDING] => {
                        self.buffer.drain(..PADDING);
                        self.state = State::Padding { left: left - 1 };
                    }
                    Some(_) => self.state = State::Prefix,
                },
                State::Prefix => match self.prefix()? {
                    Some(State::Metadata { prefix, length: 0 }) => {
                        self.buffer.drain(..prefix);
                        self.state = State::End;
                    }
                    Some(state) => self.state = state,
                    None => return Ok(None),
                },
                State::Metadata { prefix, length } => {
                    let Some(metadata) = self.buffer.get(prefix..prefix + length) else { return Ok(None) };
                    let claims = Claims::of(metadata, self.max_message)?;
                    let kept = if claims.dictionary { claims.unpacked } else { 0 };
                    self.dictionaries = self.dictionaries.saturating_add(kept);
                    if self.dictionaries > self.max_message {
                        return Err(format!("its dictionaries take more than {} bytes", self.max_message));
                    }
                    self.batches += usize::from(claims.batch);
                    self.state = State::Body { total: prefix + length + claims.body };
                }
                State::Body { total } => {
                    if self.buffer.len() < total {
                        return Ok(None);
                    }
                    let rest = self.buffer.split_off(total);
                    let message = std::mem::replace(&mut self.buffer, rest);
                    self.check_body(&message)?;
                    self.state = State::Prefix;
                    return Ok(Some(message));
                }
                State::End => {
                    if !self.file && !self.buffer.is_empty() {
                        return Err(
                            "something follows the end of the stream; send one stream with many batches".to_owned()
                        );
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// Told that there are no more bytes. A stream may end without saying so, but not within a message.
    pub(super) fn finish(&self) -> Result<(), String> {
        match self.state {
            State::End if self.file => self.footer(),
            State::End => Ok(()),
            State::Prefix if self.buffer.is_empty() && !self.file => Ok(()),
            State::Start if self.buffer.is_empty() => Err("it is empty".to_owned()),
            _ => Err(format!("it ends in the middle, after {} complete batches", self.batches)),
        }
    }

    fn prefix(&self) -> Result<Option<State>, String> {
        let Some((first, rest)) = self.buffer.split_first_chunk::<4>() else { return Ok(None) };
        // Streams from before Arrow 0.15 have the length alone.
        let (length, prefix) = if *first == CONTINUATION {
            let Some((length, _)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            (*length, 8)
        } else {
            (*first, 4)
        };
        match usize::try_from(i32::from_le_bytes(length)) {
            Ok(length) if length <= MAX_METADATA => Ok(Some(State::Metadata { prefix, length })),
            _ => Err("it is neither an Arrow IPC stream nor a file: a message's length makes no sense".to_owned()),
        }
    }

    /// Compressed parts say how long they are unpacked; that is allocated at once.
    fn check_body(&mut self, message: &[u8]) -> Result<(), String> {
        let (_, metadata, body) = split(message).ok_or("a message is damaged")?;
        let parsed = parse(metadata)?;
        let dictionary = parsed.header_as_dictionary_batch();
        let Some(batch) = parsed.header_as_record_batch().or_else(|| dictionary.and_then(|header| header.data()))
        else {
            return Ok(());
        };
        if batch.compression().is_none() {
            return Ok(());
        }
        let mut unpacked = 0_u64;
        for part in batch.buffers().iter().flatten() {
            let start = usize::try_from(part.offset()).unwrap_or(usize::MAX);
            let Some((claimed, _)) = body.get(start..).and_then(|from| from.split_first_chunk::<8>()) else { continue };
            // -1 means that the part isn't compressed after all.
            unpacked = unpacked.saturating_add(u64::try_from(i64::from_le_bytes(*claimed)).unwrap_or_default());
        }
        if unpacked > u64::try_from(self.max_message).unwrap_or(u64::MAX) {
            return Err(format!("a batch takes more than {} bytes when it is unpacked", self.max_message));
        }
        if dictionary.is_some() {
            self.dictionaries = self.dictionaries.saturating_add(usize::try_from(unpacked).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    /// A file ends with a list of its batches.
    fn footer(&self) -> Result<(), String> {
        let damaged = || "the file's footer is missing or damaged".to_owned();
        let tail = self.buffer.strip_suffix(MAGIC).ok_or_else(damaged)?;
        let (rest, length) = tail.split_last_chunk::<4>().ok_or_else(damaged)?;
        let length = usize::try_from(i32::from_le_bytes(*length)).map_err(|_| damaged())?;
        let start = rest.len().checked_sub(length).ok_or_else(damaged)?;
        let footer = ipc::root_as_footer(&rest[start..]).map_err(|_| damaged())?;
        let listed = footer.recordBatches().map_or(0, |blocks| blocks.len());
        if listed == self.batches {
            Ok(())
        } else {
            Err(format!("the file's footer lists {listed} batches, but it holds {}", self.batches))
        }
    }
}

/// Prefix length, metadata and body of a complete message.
fn split(message: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let prefix = if message.starts_with(&CONTINUATION) { 8 } else { 4 };
    let length = usize::try_from(i32::from_le_bytes(*message.get(prefix - 4..)?.first_chunk::<4>()?)).ok()?;
    Some((prefix, message.get(prefix..prefix + length)?, message.get(prefix + length..)?))
}

fn parse(metadata: &[u8]) -> Result<ipc::Message<'_>, String> {
    ipc::root_as_message(metadata).map_err(|_| "a message's metadata is damaged".to_owned())
}

/// What a message's metadata claims.
struct Claims {
    body: usize,
    batch: bool,
    dictionary: bool,
    unpacked: usize,
}

impl Claims {
    fn of(metadata: &[u8], max_message: usize) -> Result<Self, String> {
        let message = parse(metadata)?;
        let body = usize::try_from(message.bodyLength()).ok().filter(|&body| body <= max_message);
        let body = body.ok_or_else(|| format!("a message is longer than {max_message} bytes"))?;
        if message.header_as_schema().is_some_and(|schema| !schema.endianness().equals_to_target_endianness()) {
            return Err("its bytes are in the order of another kind of processor".to_owned());
        }
        let dictionary = message.header_as_dictionary_batch();
        let batch = message.header_as_record_batch();
        for part in batch.or_else(|| dictionary?.data()).and_then(|batch| batch.buffers()).iter().flatten() {
            let end = part.offset().checked_add(part.length()).and_then(|end| usize::try_from(end).ok());
            if part.offset() < 0 || part.length() < 0 || end.is_none_or(|end| end > body) {
                return Err("a batch refers to bytes outside of it".to_owned());
            }
        }
        let (batch, dictionary) = (batch.is_some(), dictionary.is_some());
        Ok(Self { body, batch, dictionary, unpacked: body })
    }
}
