//! Which format a client gets: the `format` parameter, or what `Accept` says (RFC 9110, 12.5.1).

use std::cmp::Reverse;

use gadwall_formats::OutputFormat;
use poem::http::header;
use poem::{FromRequest, Request, RequestBody};

use crate::problem::{ApiError, ApiResult};

/// Ranges of one header that are looked at; a longer list is no honest wish.
const MAX_RANGES: usize = 100;

/// Formats by name, as old clients expect: the one that says most about the data first.
const NAMED: [OutputFormat; 6] = [
    OutputFormat::ArrowStream,
    OutputFormat::ArrowFile,
    OutputFormat::Parquet,
    OutputFormat::Csv,
    OutputFormat::NdJson,
    OutputFormat::Json,
];

/// Formats that a route offers.
pub(crate) trait Offers: Send + Sync + 'static {
    /// The first one is sent to clients that take anything.
    const OFFERS: &'static [OutputFormat];
}

/// Rows in any format.
pub(crate) struct AnyFormat;

impl Offers for AnyFormat {
    const OFFERS: &'static [OutputFormat] = &OutputFormat::ALL;
}

/// A document that has only one form.
pub(crate) struct JsonOnly;

impl Offers for JsonOnly {
    const OFFERS: &'static [OutputFormat] = &[OutputFormat::Json];
}

/// What a request says it accepts: its `Accept` headers, as one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accepts(String);

impl<'a> FromRequest<'a> for Accepts {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let values = request.headers().get_all(header::ACCEPT).iter();
        let texts: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        Ok(Self(texts.join(",")))
    }
}

/// The format that was settled on, and the media type that it is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) format: OutputFormat,
    pub(crate) content_type: &'static str,
}

impl Wanted {
    /// The format under its own name.
    pub(crate) fn plain(format: OutputFormat) -> Self {
        Self { format, content_type: format.content_type() }
    }

    /// A format under the name that it was asked for.
    fn named(format: OutputFormat, media_type: &'static str) -> Self {
        // Clients that know Parquet by an old name expect bytes.
        let known = media_type == format.content_type() || format != OutputFormat::Parquet;
        Self { content_type: if known { format.content_type() } else { "application/octet-stream" }, format }
    }
}

/// Settles the format before anything runs: `format` if it is given, else the best that `Accept` allows.
pub(crate) fn negotiate(accepts: &Accepts, format: Option<&str>, offers: &[OutputFormat]) -> ApiResult<Wanted> {
    if let Some(name) = format {
        let found = OutputFormat::from_name(name).filter(|format| offers.contains(format));
        return found.map(Wanted::plain).ok_or_else(|| {
            let names: Vec<_> = offers.iter().map(|format| format.name()).collect();
            ApiError::not_acceptable(&format!("?format={name}"), &names.join(", "))
        });
    }
    best(&accepts.0, offers).ok_or_else(|| {
        let types: Vec<_> = offers.iter().map(|format| format.content_type()).collect();
        ApiError::not_acceptable(&format!("Accept: {}", accepts.0), &types.join(", "))
    })
}

/// The media type that a client likes best, of one document's forms.
pub(crate) fn media_type(accepts: &Accepts, offers: &[&'static str]) -> ApiResult<&'static str> {
    let accept = &accepts.0;
    let first = offers.first().copied().unwrap_or("application/json");
    if accept.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b',')) {
        return Ok(first);
    }
    let ranges: Vec<Range> = split(accept, ',').take(MAX_RANGES).filter_map(Range::parse).collect();
    let offered = offers.iter().enumerate().filter_map(|(place, name)| {
        let matching = ranges.iter().filter_map(|range| Some((range.fits(name, true)?, range.quality)));
        let (fit, quality) = matching.max()?;
        (quality > 0).then_some(((quality, fit.is_named(), Reverse(place)), *name))
    });
    let best = offered.max_by_key(|(score, _)| *score).map(|(_, name)| name);
    best.ok_or_else(|| ApiError::not_acceptable(&format!("Accept: {accept}"), &offers.join(", ")))
}

/// `None` if nothing that is offered is accepted.
fn best(accept: &str, offers: &[OutputFormat]) -> Option<Wanted> {
    let default = offers.first().copied().map(Wanted::plain);
    if accept.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b',')) {
        return default;
    }
    let ranges: Vec<Range> = split(accept, ',').take(MAX_RANGES).filter_map(Range::parse).collect();
    let candidates = offers.iter().enumerate().flat_map(|(place, format)| {
        format.media_types().iter().enumerate().map(move |(alias, name)| (place, *format, alias, *name))
    });
    candidates
        .filter_map(|(place, format, alias, name)| {
            // The most specific range speaks for the type, be it to refuse it.
            let matching = ranges.iter().filter_map(|range| Some((range.fits(name, alias == 0)?, range.quality)));
            let (fit, quality) = matching.max_by_key(|(fit, quality)| (*fit, *quality))?;
            let rank = if fit.is_named() { NAMED.iter().position(|other| *other == format)? } else { place };
            (quality > 0).then_some(((quality, fit.is_named(), Reverse((rank, alias))), Wanted::named(format, name)))
        })
        .max_by_key(|(score, _)| *score)
        .map(|(_, wanted)| wanted)
}

/// How closely a range fits a media type: the more, the more it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Anything,
    Family,
    Type,
    TypeWithParameters,
}

impl Fit {
    fn is_named(self) -> bool {
        self >= Self::Type
    }
}

/// One element of `Accept`.
struct Range {
    main: String,
    sub: String,
    parameters: bool,
    /// Asks for a variant that we don't make: text that isn't UTF-8, CSV without a header.
    other_variant: bool,
    /// In thousandths; 0 refuses.
    quality: u16,
}

impl Range {
    /// `None` for what isn't a media range: it says nothing, neither yes nor no.
    fn parse(element: &str) -> Option<Self> {
        let mut parts = split(element, ';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        if !is_token(main) || !is_token(sub) || (main == "*" && sub != "*") {
            return None;
        }
        let (main, sub) = (main.to_ascii_lowercase(), sub.to_ascii_lowercase());
        let mut range = Self { main, sub, parameters: false, other_variant: false, quality: 1_000 };
        for parameter in parts.filter(|part| !part.is_empty()) {
            let (name, value) = parameter.split_once('=')?;
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("q") {
                range.quality = quality(value)?;
                // What follows are extensions of `Accept`, not parameters of the type.
                break;
            }
            range.parameters = true;
            let is = |wanted: &[&str]| wanted.iter().any(|wanted| value.eq_ignore_ascii_case(wanted));
            range.other_variant |= match name.to_ascii_lowercase().as_str() {
                "charset" => !is(&["utf-8", "utf8", "us-ascii"]),
                "header" => !is(&["present"]),
                _ => false,
            };
        }
        Some(range)
    }

    /// `principal`: whether it is the format's first name. Only that one is among "anything".
    fn fits(&self, media_type: &str, principal: bool) -> Option<Fit> {
        let (main, sub) = media_type.split_once('/')?;
        if self.other_variant {
            return None;
        }
        match (self.main.as_str(), self.sub.as_str()) {
            ("*", "*") => principal.then_some(Fit::Anything),
            (family, "*") => (principal && family == main).then_some(Fit::Family),
            (family, kind) if family == main && kind == sub => {
                Some(if self.parameters { Fit::TypeWithParameters } else { Fit::Type })
            }
            _ => None,
        }
    }
}

/// `0` to `1` with at most three decimals, in thousandths.
fn quality(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The parts between separators that don't stand in quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |sign: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match sign {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return sign == separator && !quoted,
        }
        false
    })
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
