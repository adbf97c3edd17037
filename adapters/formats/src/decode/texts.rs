//! The texts of the rows in a body of JSON, for those who look at them before they are decoded.

use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream::{self, StreamExt as _};
use gadwall_domain::rows::RowsError;

use super::splitter::{Layout, Splitter};
use super::{Body, DecodeOptions, PIECE};

/// Texts of rows, some at a time.
pub type RowTexts = Pin<Box<dyn Stream<Item = Result<Vec<String>, RowsError>> + Send>>;

/// Cuts a body into its rows' texts as it comes: lines of JSON, or a document of JSON.
pub fn row_texts<B>(is_lines: bool, body: B, options: &DecodeOptions) -> RowTexts
where
    B: Stream<Item = Result<Bytes, RowsError>> + Send + 'static,
{
    let (layout, format) = if is_lines { (Layout::Lines, "NDJSON") } else { (Layout::Document, "JSON") };
    let splitter = Splitter::new(layout, options.max_row_bytes);
    let cutter = Cutter { body: Some(Box::pin(body)), splitter, format, chunk: Bytes::new(), rows: 0 };
    stream::unfold(cutter, |mut cutter| async move {
        let item = cutter.next().await.transpose()?;
        if item.is_err() {
            cutter.body = None;
        }
        Some((item, cutter))
    })
    .boxed()
}

struct Cutter {
    /// None once it has ended.
    body: Option<Body>,
    splitter: Splitter,
    format: &'static str,
    /// The rest of the chunk that is being cut.
    chunk: Bytes,
    rows: u64,
}

impl Cutter {
    async fn next(&mut self) -> Result<Option<Vec<String>>, RowsError> {
        while let Some(body) = &mut self.body {
            if self.chunk.is_empty() {
                if let Some(chunk) = body.next().await {
                    self.chunk = chunk?;
                    continue;
                }
                self.body = None;
                let texts = self.cut(None)?;
                return Ok((!texts.is_empty()).then_some(texts));
            }
            let piece = self.chunk.split_to(self.chunk.len().min(PIECE));
            let texts = self.cut(Some(&piece))?;
            if !texts.is_empty() {
                return Ok(Some(texts));
            }
        }
        Ok(None)
    }

    /// The rows that a piece completes, or the end.
    fn cut(&mut self, piece: Option<&[u8]>) -> Result<Vec<String>, RowsError> {
        let (mut texts, rows) = (Vec::new(), &mut self.rows);
        let mut each = |row: &[u8]| {
            *rows += 1;
            let text = std::str::from_utf8(row).map_err(|_| format!("row {rows} is not UTF-8"))?;
            texts.push(text.to_owned());
            Ok::<_, String>(())
        };
        let cut = match piece {
            Some(piece) => self.splitter.push(piece, &mut each),
            None => self.splitter.finish(&mut each),
        };
        cut.map_err(|reason| RowsError::Malformed { format: self.format, reason })?;
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cut(is_lines: bool, chunks: &[&'static str]) -> Result<Vec<String>, RowsError> {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
        let mut texts = row_texts(is_lines, stream::iter(chunks), &DecodeOptions::default());
        let mut all = Vec::new();
        while let Some(some) = texts.next().await {
            all.extend(some?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn rows_are_cut_wherever_the_pieces_end() {
        let wanted = [r#"{"a":"]"}"#, r#"{"b":[1,2]}"#, "3"];
        assert_eq!(cut(false, &["[{\"a\":", "\"]\"},", "{\"b\":[1,2]} , 3]"]).await.unwrap(), wanted);
        assert_eq!(cut(true, &["{\"a\":\"]\"}\n{\"b\"", ":[1,2]}\r\n\n3"]).await.unwrap(), wanted);
        assert!(cut(false, &["[]"]).await.unwrap().is_empty());
        assert!(matches!(cut(false, &["[{}"]).await, Err(RowsError::Malformed { format: "JSON", .. })));
    }
}
