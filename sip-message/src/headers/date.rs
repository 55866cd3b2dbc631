//! Date: RFC 1123 dates in GMT, to and from seconds since 1970, without a clock.

use super::check::Check;
use super::lex::{Read, fault, slice};
use crate::error::ValueFault;
use crate::scan;
use crate::value::FieldValue;
use core::fmt;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY: i64 = 86_400;

/// A point in time as Date gives it (RFC 3261 section 20.17): `Sat, 13 Nov 2010 23:29:00 GMT`.
///
/// Displays as it is written in a message.
///
/// ```
/// use sip_message::headers::Date;
/// let date = Date::from_unix(1_289_690_940).unwrap();
/// assert_eq!(date.to_string(), "Sat, 13 Nov 2010 23:29:00 GMT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i64);

impl Date {
    /// `Sat, 01 Jan 0000 00:00:00 GMT`: the earliest that four digits of a year can say.
    pub const MIN: Date = Date(-62_167_219_200);
    /// `Fri, 31 Dec 9999 23:59:59 GMT`: the latest.
    pub const MAX: Date = Date(253_402_300_799);

    /// The date that many seconds after (or before) 1970-01-01 00:00:00 UTC, leap seconds not counted; `None` if it is
    /// outside of [`MIN`](Date::MIN) to [`MAX`](Date::MAX).
    pub const fn from_unix(seconds: i64) -> Option<Date> {
        if seconds < Date::MIN.0 || seconds > Date::MAX.0 { None } else { Some(Date(seconds)) }
    }

    /// Seconds since 1970-01-01 00:00:00 UTC, leap seconds not counted; negative before.
    pub const fn unix(self) -> i64 {
        self.0
    }

    fn days(self) -> i64 {
        self.0.div_euclid(DAY)
    }
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar; `month` counts from 1.
///
/// Counted in years that begin in March, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: year, month from 1, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl FieldValue<'_> for Date {
    fn parse_value(v: &[u8]) -> Read<Self> {
        if v.is_empty() {
            return fault(ValueFault::Empty, 0);
        }
        // wkday "," SP 2DIGIT SP month SP 4DIGIT SP 2DIGIT ":" 2DIGIT ":" 2DIGIT SP "GMT"
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.17
        //# An RFC 1123 date is case-sensitive.
        const FORM: &[u8; 29] = b"www, dd mmm yyyy hh:nn:ss GMT";
        for (at, &form) in FORM.iter().enumerate() {
            let fits = match (form, v.get(at)) {
                (_, None) => return fault(ValueFault::Incomplete, at),
                (b'd' | b'y' | b'h' | b'n' | b's', Some(b)) => b.is_ascii_digit(),
                (b'w' | b'm', Some(b)) => b.is_ascii_alphabetic(),
                (form, Some(&b)) => b == form,
            };
            if !fits {
                return fault(ValueFault::Date, at);
            }
        }
        if v.len() > FORM.len() {
            return fault(ValueFault::Trailing, FORM.len());
        }
        let text = |from, to| scan::text(slice(v, from, to));
        let number = |from, to| scan::decimal(slice(v, from, to)).unwrap_or(0) as i64;
        if !WEEKDAYS.contains(&text(0, 3)) {
            return fault(ValueFault::Date, 0);
        }
        let Some(month) = MONTHS.iter().position(|&month| month == text(8, 11)) else {
            return fault(ValueFault::Date, 8);
        };
        let (year, month, day) = (number(12, 16), month as i64 + 1, number(5, 7));
        if !(1..=days_in_month(year, month)).contains(&day) {
            return fault(ValueFault::Date, 5);
        }
        let (hour, minute, second) = (number(17, 19), number(20, 22), number(23, 25));
        if hour > 23 || minute > 59 || second > 59 {
            return fault(ValueFault::Date, 17);
        }
        // The weekday follows from the date; a wrong one is not worth refusing a message for.
        Ok(Date(days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second))
    }

    /// Not a list: the comma belongs to the date.
    fn split_first(v: &[u8]) -> (&[u8], Option<usize>) {
        (v, None)
    }
}

impl Check for Date {}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.days());
        let second = self.0.rem_euclid(DAY);
        let weekday = WEEKDAYS.get(self.days().rem_euclid(7) as usize).copied().unwrap_or_default();
        let month = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}
