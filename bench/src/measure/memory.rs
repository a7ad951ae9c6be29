//! Memory of a table with the default settings, by the flow.

use flowtable::{TableConfig, table};
use tapspan::config::Settings;

use super::{Lab, NotMeasured};

/// Makes the table and asks it.
///
/// # Errors
/// Where its memory is not to be had.
#[expect(clippy::cast_precision_loss, reason = "bytes, far below 2^52")]
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let flow = Settings::default().flow;
    let bytes = |details: u32| -> anyhow::Result<f64> {
        let config = TableConfig { capacity: flow.capacity, details, ..TableConfig::default() };
        let (writer, _sweeper) = table(&config)?;
        Ok(writer.memory_bytes() as f64 / f64::from(flow.capacity))
    };
    lab.figures.add("bytes_per_flow", bytes(flow.details())?, "B");
    lab.figures.add("bytes_per_flow_without_details", bytes(0)?, "B");
    Ok(None)
}
