//! JsSIP and SIP.js in headless Chromium against softswitch: two or three windows that reach each other through the server alone,
//! with real sound and pictures between them.

use crate::browser::between_windows;

#[test]
fn a_browser_registers_with_the_right_password_only_and_unregisters() {
    between_windows("register");
}

#[test]
fn a_call_with_sound_and_picture_is_ended_by_either_side() {
    between_windows("call");
}

#[test]
fn calls_are_given_up_and_refused() {
    between_windows("unanswered");
}

#[test]
fn either_side_holds_the_call_and_tones_pass() {
    between_windows("hold");
}

#[test]
fn a_call_is_transferred_to_a_third_window() {
    between_windows("transfer");
}

#[test]
fn messages_pass_whole() {
    between_windows("message");
}

#[test]
fn a_call_outlives_its_socket() {
    between_windows("recover");
}

#[test]
fn another_library_calls_and_transfers() {
    if interop::npm_package("sip.js").is_some() {
        between_windows("sipjs");
    }
}

#[test]
fn the_page_of_the_server_is_a_telephone() {
    between_windows("page");
}

#[test]
fn the_page_takes_its_library_from_elsewhere_if_it_is_the_right_one() {
    between_windows("withoutModules");
}
