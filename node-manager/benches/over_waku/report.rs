//! Tables, for people in Markdown and for programs in JSON.

use std::time::Duration;

use serde_json::{Map, Value, json};

#[derive(Clone)]
pub(crate) enum Cell {
    Text(String),
    /// With so many digits behind the point.
    Number(f64, usize),
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A time in milliseconds.
    pub(crate) fn millis(time: Duration) -> Self {
        Self::Number(time.as_secs_f64() * 1e3, 1)
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number, digits) => format!("{number:.digits$}"),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, digits) => {
                // What a table shows, and no more.
                let shown = format!("{number:.digits$}");
                shown.parse::<f64>().map_or(Value::Null, |number| json!(number))
            }
        }
    }
}

pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn print(&self) {
        println!("\n{}\n", self.title);
        println!("| {} |", self.columns.join(" | "));
        println!("|{}", "---|".repeat(self.columns.len()));
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(Cell::shown).collect();
            println!("| {} |", cells.join(" | "));
        }
    }

    pub(crate) fn json(&self) -> Value {
        let row = |row: &Vec<Cell>| {
            let cells = self.columns.iter().zip(row);
            cells.map(|(name, cell)| ((*name).to_owned(), cell.json())).collect::<Map<_, _>>()
        };
        json!({ "title": self.title, "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

/// Of times that are sorted; nothing of none.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}
