//! What each kind takes and refuses.

use super::*;
use crate::config::choices::{Environment, LogLevel};

fn word(text: &str) -> Raw {
    Raw::Word(text.to_owned())
}

fn text(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

fn shown(kind: Kind, raw: &Raw) -> Option<String> {
    kind.read(raw).and_then(|value| kind.show(&value))
}

#[test]
fn words_of_the_environment_switch() {
    for (spelling, expected) in [
        ("true", true),
        ("1", true),
        ("Yes", true),
        ("ON", true),
        ("FALSE", false),
        ("0", false),
        ("no", false),
        (" off ", false),
    ] {
        assert_eq!(Kind::Switch.read(&word(spelling)).and_then(|value| value.to_bool()), Some(expected), "{spelling}");
    }
    for wrong in ["", "2", "y", "truee"] {
        assert!(Kind::Switch.read(&word(wrong)).is_none(), "{wrong}");
    }
    assert!(Kind::Switch.read(&text("true")).is_none(), "a file has booleans of its own");
}

#[test]
fn ranges_hold_at_both_ends() {
    let percent = Kind::integer(1, 100);
    for (number, taken) in [(0, false), (1, true), (100, true), (101, false), (-1, false), (i128::MAX, false)] {
        assert_eq!(percent.read(&Raw::Integer(number)).is_some(), taken, "{number}");
    }
    let span = Kind::span(5, 300);
    for (spelling, taken) in [("4.999", false), ("5", true), ("5m", true), ("301s", false), ("-5", false)] {
        assert_eq!(span.read(&word(spelling)).is_some(), taken, "{spelling}");
    }
    assert_eq!(shown(span, &Raw::Float(30.0)).as_deref(), Some("\"30s\""));
    assert!(span.read(&Raw::Float(f64::NAN)).is_none());
    assert_eq!(shown(Kind::bytes(1, GB), &Raw::Integer(1_000_000)).as_deref(), Some("\"1MB\""));
    assert!(Kind::bytes(1, GB).read(&Raw::Float(0.5)).is_none(), "half a byte");
}

#[test]
fn choices_take_any_case_and_other_spellings() {
    let level = Kind::Choice(LogLevel::WORDS);
    for (spelling, word) in [("INFO", "info"), ("Warning", "warn"), ("CRITICAL", "error"), ("warn", "warn")] {
        assert_eq!(level.read(&text(spelling)).and_then(Value::into_string).as_deref(), Some(word));
    }
    assert!(Kind::Choice(Environment::WORDS).read(&text("prod")).is_none());
    assert_eq!(Kind::Choice(Environment::WORDS).allowed(), "one of development, staging, production");
}

#[test]
fn hosts_are_names_and_addresses() {
    for (host, stored) in [("0.0.0.0", "0.0.0.0"), ("db.internal", "db.internal"), ("::1", "::1"), ("[::]", "::")] {
        assert_eq!(Kind::Host.read(&text(host)).and_then(Value::into_string).as_deref(), Some(stored));
    }
    for wrong in ["", "localhost:8000", "a b", "http://x", "[x", "ä"] {
        assert!(Kind::Host.read(&text(wrong)).is_none(), "{wrong}");
    }
}

#[test]
fn addresses_carry_no_password() {
    assert!(Kind::Url.read(&text("http://localhost:8001/base")).is_some());
    assert!(Kind::Endpoint.read(&text("localhost:9000")).is_some());
    for wrong in ["localhost:8001", "ftp://x", "http://", "http://a b", "http:///path"] {
        assert!(Kind::Url.read(&text(wrong)).is_none(), "{wrong}");
    }
    let with_password = text("http://me:swordfish@host");
    assert!(Kind::Url.read(&with_password).is_none());
    assert!(Kind::Url.hides(&with_password));
}

#[test]
fn names_in_a_database_are_plain() {
    assert!(Kind::Identifier.read(&text("ducklake_1")).is_some());
    for wrong in ["1a", "a-b", "a\"b", "ä", &"a".repeat(64)] {
        assert!(Kind::Identifier.read(&text(wrong)).is_none(), "{wrong}");
    }
    assert!(Kind::Text.read(&text("two\nlines")).is_none());
    assert!(Kind::Path.read(&text("  ")).is_none());
}

#[test]
fn secrets_come_as_lists_or_with_commas_and_show_as_masks() {
    let listed = Raw::List(vec![text("first-key"), text("second-key")]);
    for raw in [listed, word("first-key, second-key\n")] {
        assert_eq!(shown(Kind::Secrets, &raw).as_deref(), Some(r#"["********", "********"]"#));
    }
    for wrong in ["", ",", "a,,b", "white space", "********", "ü"] {
        assert!(Kind::Secrets.read(&word(wrong)).is_none(), "{wrong}");
    }
    assert!(Kind::Secret.read(&text("********")).is_none());
    assert!(Kind::Secret.hides(&text("x")));
}
