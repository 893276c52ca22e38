//! Days, as a policy gives them.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use pkcs8::der::DateTime;

/// A day of the calendar in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// The text is not a day such as `2027-12-31`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a day such as \"2027-12-31\"")]
pub struct ParseDateError(String);

impl Date {
    /// The day of a time; `None` for times that no calendar of four-digit years has.
    #[must_use]
    pub fn of(time: SystemTime) -> Option<Self> {
        let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self::from(DateTime::from_unix_duration(since_1970).ok()?))
    }
}

impl From<DateTime> for Date {
    fn from(time: DateTime) -> Self {
        Self {
            year: time.year(),
            month: time.month(),
            day: time.day(),
        }
    }
}

impl FromStr for Date {
    type Err = ParseDateError;

    fn from_str(text: &str) -> Result<Self, ParseDateError> {
        let midnight = format!("{text}T00:00:00Z");
        let wrong = |_| ParseDateError(text.to_owned());
        midnight.parse::<DateTime>().map(Self::from).map_err(wrong)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reads_days_and_compares_them() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        assert!(date("2026-11-22") < date("2026-11-23"));
        assert!(date("2026-12-31") < date("2027-01-01"));
        assert_eq!(date("2024-02-29").to_string(), "2024-02-29");
    }

    #[test]
    fn rejects_what_is_no_day() {
        for text in [
            "2027-02-29",
            "2027-13-01",
            "2027-1-1",
            "27-01-01",
            "2027-01-01T00:00:00Z",
            "soon",
            "",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_utc() {
        // `date -u -d '2026-12-31 23:59:59' +%s`
        let last_second = SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_599);
        assert_eq!(Date::of(last_second).unwrap().to_string(), "2026-12-31");
        let next = last_second + Duration::from_secs(1);
        assert_eq!(Date::of(next).unwrap().to_string(), "2027-01-01");
    }
}
