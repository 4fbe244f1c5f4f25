//! The day of figures in JSON. Over Waku it goes in a form that is a tenth as long.

use serde_json::{Value, json};
use waku_gateway::watch::{Column, DecodeError, History};

use crate::host::values;

/// The day as `{"columns": […], "samples": [[…], …]}`.
///
/// # Errors
/// When it cannot be read.
pub(super) fn to_json(encoded: &[u8]) -> Result<Value, DecodeError> {
    let history = History::decode(encoded)?;
    let columns: Vec<_> = ["minute"].into_iter().chain(Column::ALL.map(Column::name)).collect();
    let samples = history.samples().iter().map(|sample| {
        let minute = i64::try_from(sample.minute).ok();
        [minute].into_iter().chain(values(sample)).collect::<Vec<_>>()
    });
    Ok(json!({ "columns": columns, "samples": samples.collect::<Vec<_>>() }))
}

#[cfg(test)]
mod tests {
    use waku_gateway::watch::Sample;

    use super::*;

    #[test]
    fn a_day_is_a_table() {
        let mut history = History::default();
        let mut sample = Sample::new(29_500_000);
        sample.set(Column::Cpu, Some(12));
        sample.set(Column::ClockOffset, Some(-3));
        history.push(sample);
        let json = to_json(&history.encode()).unwrap();
        assert_eq!(json["columns"].as_array().unwrap().len(), Column::ALL.len() + 1);
        assert_eq!(json["columns"][5], "clock_offset");
        assert_eq!(json["samples"][0][0], 29_500_000);
        assert_eq!((&json["samples"][0][1], &json["samples"][0][5]), (&json!(12), &json!(-3)));
        assert_eq!(json["samples"][0][2], Value::Null);
        assert!(to_json(b"none").is_err());
    }
}
