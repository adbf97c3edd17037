//! Figures in columns, for people to read.

use std::fmt;

/// A table of text: the first columns to the left, the rest (figures) to the right.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    left: usize,
}

impl<const N: usize> Table<N> {
    /// A table with these headings, the first `left` of them over text.
    pub(crate) fn new(headings: [&str; N], left: usize) -> Self {
        Self { rows: vec![headings.map(str::to_owned)], left }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        for (number, row) in self.rows.iter().enumerate() {
            let cell = |column: usize| {
                let (text, width) = (&row[column], widths[column]);
                if column < self.left { format!("{text:<width$}") } else { format!("{text:>width$}") }
            };
            let line: [String; N] = std::array::from_fn(cell);
            writeln!(f, "{}", line.join("  ").trim_end())?;
            if number == 0 {
                writeln!(f, "{}", widths.map(|width| "-".repeat(width)).join("  "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["name", "rows"], 1);
        table.row(["flights".to_owned(), "3".to_owned()]);
        assert_eq!(table.to_string(), "name     rows\n-------  ----\nflights     3\n");
    }
}
