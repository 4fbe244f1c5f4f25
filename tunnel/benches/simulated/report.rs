//! Tables, for people in Markdown and for programs in JSON.

use std::time::Duration;

use serde_json::{Map, Value, json};

pub(crate) enum Cell {
    Text(String),
    /// With so many digits behind the point.
    Number(f64, usize),
    /// The same, where a table says "-".
    Nothing,
}

impl Cell {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number, digits) => grouped(&format!("{number:.digits$}")),
            Self::Nothing => "-".to_owned(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, digits) => {
                let factor = 10_f64.powi(i32::try_from(*digits).unwrap());
                json!((number * factor).round() / factor)
            }
            Self::Nothing => Value::Null,
        }
    }
}

/// With a comma before each three digits in front of the point.
fn grouped(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut shown = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left.is_multiple_of(3) && shown.ends_with(|c: char| c.is_ascii_digit()) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown + rest
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

/// Of values that are sorted.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

pub(crate) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<_> = values.collect();
    values.iter().sum::<f64>() / float(values.len() as u64)
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}
