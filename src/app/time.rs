//! Dates of the clock on the wall, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-28`
#[cfg(feature = "onnx")]
pub fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date(since.as_secs() / 86400)
}

/// `2026-11-28T09:30:00.250Z`, of a time since 1970.
pub fn date_and_time(since: Duration) -> String {
    let (days, of_day) = (since.as_secs() / 86400, since.as_secs() % 86400);
    let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{}T{h:02}:{m:02}:{s:02}.{:03}Z", date(days), since.subsec_millis())
}

/// Source: Hinnant, `civil_from_days`.
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + carry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_names() {
        let dates = [0, 59, 11_016, 20_786].map(date);
        assert_eq!(dates, ["1970-01-01", "1970-03-01", "2000-02-29", "2026-11-29"]);
        let time = Duration::from_millis(1_795_858_200_250);
        assert_eq!(date_and_time(time), "2026-11-28T09:30:00.250Z");
    }
}
