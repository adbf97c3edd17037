//! What clients ask for, and what they get.

use OutputFormat::{ArrowFile, ArrowStream, Csv, Json, NdJson, Parquet};
use proptest::prelude::*;

use super::*;

fn any(accept: &str) -> Option<OutputFormat> {
    best(accept, AnyFormat::OFFERS).map(|wanted| wanted.format)
}

#[test]
fn each_name_gets_its_format_and_media_type() {
    for (accept, format, content_type) in [
        ("application/json", Json, "application/json"),
        ("application/x-ndjson", NdJson, "application/x-ndjson"),
        ("application/jsonl", NdJson, "application/x-ndjson"),
        ("Text/CSV", Csv, "text/csv"),
        ("application/vnd.apache.parquet", Parquet, "application/vnd.apache.parquet"),
        ("application/parquet", Parquet, "application/octet-stream"),
        ("application/octet-stream", Parquet, "application/octet-stream"),
        ("application/vnd.apache.arrow", ArrowStream, "application/vnd.apache.arrow.stream"),
        ("application/vnd.apache.arrow.stream", ArrowStream, "application/vnd.apache.arrow.stream"),
        ("application/vnd.apache.arrow.file", ArrowFile, "application/vnd.apache.arrow.file"),
    ] {
        assert_eq!(best(accept, AnyFormat::OFFERS), Some(Wanted { format, content_type }), "{accept}");
    }
}

#[test]
fn who_takes_anything_gets_json() {
    for accept in
        ["", "  ", ",", "*/*", "application/*", "image/png, */*", "text/html, application/xml;q=0.9, */*;q=0.8"]
    {
        assert_eq!(any(accept), Some(Json), "{accept}");
    }
    assert_eq!(any("text/*"), Some(Csv));
}

#[test]
fn quality_decides_then_the_name_then_the_contract() {
    assert_eq!(any("text/csv;q=0.4, application/json;q=0.5"), Some(Json));
    assert_eq!(any("text/csv;q=0.499, application/x-ndjson ; Q=0.5"), Some(NdJson));
    assert_eq!(any("text/csv, */*"), Some(Csv));
    assert_eq!(any("text/csv;q=0.5, */*"), Some(Json));
    assert_eq!(any("application/json, text/csv"), Some(Csv));
    assert_eq!(any("text/csv, application/octet-stream"), Some(Parquet));
    assert_eq!(any("application/parquet, application/vnd.apache.arrow"), Some(ArrowStream));
}

#[test]
fn what_is_refused_is_not_sent() {
    assert_eq!(any("application/json;q=0"), None);
    assert_eq!(any("application/json;q=0.000"), None);
    assert_eq!(any("application/json;q=0, */*"), Some(NdJson));
    assert_eq!(any("*/*;q=0"), None);
    assert_eq!(any("*/*;q=0, text/csv"), Some(Csv));
    assert_eq!(any("application/*;q=0, */*"), Some(Csv));
    assert_eq!(any("text/csv;q=0, application/*;q=0, */*"), None);
    let parquet_twice = "application/vnd.apache.parquet;q=0, application/octet-stream";
    assert_eq!(best(parquet_twice, AnyFormat::OFFERS).unwrap().content_type, "application/octet-stream");
}

#[test]
fn names_are_matched_whole() {
    for accept in [
        "application/vnd.apache.arrow.streams",
        "application/json-patch+json",
        "x-text/csv",
        "text/html",
        "application",
        "*/csv",
        "application/json;q=2",
        "application/json;q=0.1234",
        "application/json;q=x",
        "\"application/json\"",
        "text/csv;charset=utf-16",
        "text/csv; header=absent",
    ] {
        assert_eq!(any(accept), None, "{accept}");
    }
}

#[test]
fn parameters_narrow_and_quotes_hide() {
    assert_eq!(any("text/csv; charset=\"UTF-8\"; header=present"), Some(Csv));
    assert_eq!(any("application/json;profile=\"a,text/csv;q=1\""), Some(Json));
    assert_eq!(any("text/csv;q=1, text/csv;charset=utf-8;q=0"), None);
    assert_eq!(any("application/vnd.apache.arrow.stream; codecs=\"lz4, zstd\""), Some(ArrowStream));
    assert_eq!(any("nonsense, , application/json;;q=0.5"), Some(Json));
}

#[test]
fn the_parameter_wins_and_must_be_offered() {
    let accepts = Accepts("application/json".to_owned());
    let ask = |name| negotiate(&accepts, Some(name), AnyFormat::OFFERS).map(|wanted| wanted.format).ok();
    for format in OutputFormat::ALL {
        assert_eq!(ask(format.name()), Some(format));
    }
    assert_eq!(ask("xml"), None);
    assert!(negotiate(&accepts, Some("csv"), JsonOnly::OFFERS).is_err());
    assert!(negotiate(&Accepts("text/csv".to_owned()), None, JsonOnly::OFFERS).is_err());
}

proptest! {
    #[test]
    fn nothing_panics_and_only_offers_are_chosen(accept in "\\PC{0,60}", some in prop::sample::subsequence(OutputFormat::ALL.to_vec(), 0..=6)) {
        if let Some(wanted) = best(&accept, &some) {
            prop_assert!(some.contains(&wanted.format));
        }
    }

    #[test]
    fn the_highest_quality_wins(qualities in prop::collection::vec(0_u16..=1_000, 6)) {
        let element = |(format, quality): (&OutputFormat, &u16)| {
            format!("{};q={}.{:03}", format.content_type(), quality / 1_000, quality % 1_000)
        };
        let accept: Vec<_> = OutputFormat::ALL.iter().zip(&qualities).map(element).collect();
        let highest = *qualities.iter().max().unwrap();
        let of = |format: OutputFormat| qualities[OutputFormat::ALL.iter().position(|other| *other == format).unwrap()];
        let chosen = any(&accept.join(", "));
        prop_assert_eq!(chosen.map_or(0, of), highest);
    }
}
