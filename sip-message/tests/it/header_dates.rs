//! Date: the one form SIP has, to and from seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::header_support::{fault, read, request};
use sip_message::ValueFault;
use sip_message::headers::Date;

#[test]
fn known_dates() {
    for (text, unix) in [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Sat, 13 Nov 2010 23:29:00 GMT", 1_289_690_940),
        ("Thu, 21 Feb 2002 13:02:03 GMT", 1_014_296_523),
        ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
        ("Thu, 01 Mar 1900 00:00:00 GMT", -2_203_891_200),
        ("Tue, 19 Jan 2038 03:14:08 GMT", 2_147_483_648),
        ("Sat, 01 Jan 0000 00:00:00 GMT", -62_167_219_200),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
    ] {
        let date = read::<Date>(text);
        assert_eq!(date.unix(), unix, "{text}");
        assert_eq!(date.to_string(), text);
        assert_eq!(Date::from_unix(unix), Some(date));
    }
    assert_eq!(Date::from_unix(Date::MIN.unix() - 1), None);
    assert_eq!(Date::from_unix(Date::MAX.unix() + 1), None);
    assert_eq!(Date::from_unix(i64::MIN), None);
}

#[test]
fn every_day_of_800_years_reads_back() {
    // Both calendars' rules for leap years repeat after 400 years; weekdays too.
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let mut previous = None;
    for day in -146_097..146_097_i64 {
        let date = Date::from_unix(day * 86_400 + day.rem_euclid(86_400)).unwrap();
        let text = date.to_string();
        assert_eq!(read::<Date>(&text), date, "{text}");
        assert!(text.starts_with(WEEKDAYS[day.rem_euclid(7) as usize]), "{text}");
        assert!(previous < Some(date));
        previous = Some(date);
    }
}

#[test]
fn only_gmt_and_only_this_case() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.17
    //= type=test
    //# An RFC 1123 date is case-sensitive.
    for (text, kind, offset) in [
        ("Sat, 13 Nov 2010 23:29:00 gmt", ValueFault::Date, 26),
        ("SAT, 13 Nov 2010 23:29:00 GMT", ValueFault::Date, 0),
        ("Sat, 13 NOV 2010 23:29:00 GMT", ValueFault::Date, 8),
        ("Fri, 01 Jan 2010 16:00:00 EST", ValueFault::Date, 26),
        ("Fri, 01 Jan 2010 16:00:00 +0000", ValueFault::Date, 26),
        ("Sunday, 06-Nov-94 08:49:37 GMT", ValueFault::Date, 3),
        ("Sun Nov  6 08:49:37 1994", ValueFault::Date, 3),
        ("Sat, 13  Nov 2010 23:29:00 GMT", ValueFault::Date, 8),
        ("Sat, 00 Nov 2010 23:29:00 GMT", ValueFault::Date, 5),
        ("Sat, 31 Apr 2010 23:29:00 GMT", ValueFault::Date, 5),
        ("Mon, 29 Feb 2100 23:29:00 GMT", ValueFault::Date, 5),
        ("Sat, 13 Nov 2010 23:60:00 GMT", ValueFault::Date, 17),
        ("Sat, 13 Nov 2010 23:59:60 GMT", ValueFault::Date, 17),
        ("Sat, 13 Nov 2010 23:29:00 GMT ", ValueFault::Trailing, 29),
        ("Sat", ValueFault::Incomplete, 3),
        ("", ValueFault::Empty, 0),
    ] {
        assert_eq!(fault::<Date>(text), (kind, offset), "{text}");
    }
}

#[test]
fn by_name() {
    let message = request("DATE: Sat, 13 Nov 2010 23:29:00 GMT\r\n");
    assert_eq!(message.date().unwrap().unwrap().unix(), 1_289_690_940);
    assert!(request("").date().unwrap().is_none());
}
