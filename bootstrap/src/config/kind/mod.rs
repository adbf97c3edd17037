//! What a setting accepts: how a raw value is checked and brought into one form, and how that form is shown.

use std::net::Ipv6Addr;
use std::time::Duration;

use figment::value::{Dict, Value};
use gadwall_http::{Hosts, Networks, Origins};

use crate::config::choices::Choice;
use crate::config::human::{parse_bytes, parse_span, show_bytes, show_span};
use crate::config::issuers;
use crate::config::raw::Raw;
use crate::config::secret::MASK;

pub(super) const MB: u64 = 1_000_000;
pub(super) const GB: u64 = 1_000 * MB;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;

/// Whole seconds.
pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Longest text of a setting.
const MAX_TEXT: usize = 1_024;

/// The type and range of a setting.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// True or false.
    Switch,
    /// A whole number.
    Integer { min: u64, max: u64 },
    /// A size in bytes.
    Bytes { min: u64, max: u64 },
    /// A length of time, between two numbers of seconds.
    Span { min: u64, max: u64 },
    /// One of a few words.
    Choice(&'static [Choice]),
    /// One line of text.
    Text,
    /// The name of something in a database.
    Identifier,
    /// A file or folder.
    Path,
    /// A host name or address.
    Host,
    /// An HTTP address.
    Url,
    /// A host with a port, or an HTTP address.
    Endpoint,
    /// Several addresses or networks.
    Networks,
    /// Tables of identity providers.
    Issuers,
    /// Several host names.
    Hosts,
    /// Several origins of pages, or all.
    Origins,
    /// A text that is never shown.
    Secret,
    /// Several of those that travel in a header.
    Secrets,
}

impl Kind {
    pub(super) const fn integer(min: u64, max: u64) -> Self {
        Self::Integer { min, max }
    }

    pub(super) const fn bytes(min: u64, max: u64) -> Self {
        Self::Bytes { min, max }
    }

    pub(super) const fn span(min: u64, max: u64) -> Self {
        Self::Span { min, max }
    }

    /// The value in the form that serde reads, unless it isn't allowed.
    pub(super) fn read(self, raw: &Raw) -> Option<Value> {
        match self {
            Self::Switch => read_switch(raw).map(Value::from),
            Self::Integer { min, max } => read_integer(raw).filter(|n| (min..=max).contains(n)).map(Value::from),
            Self::Bytes { min, max } => {
                parse_bytes(&raw.whole_or_text()?).filter(|n| (min..=max).contains(n)).map(Value::from)
            }
            Self::Span { min, max } => parse_span(&raw.number_or_text()?)
                .filter(|span| (seconds(min)..=seconds(max)).contains(span))
                .map(span_value),
            Self::Choice(choices) => read_choice(raw.text()?, choices).map(Value::from),
            Self::Secret => raw.text().filter(|text| is_secret(text)).map(Value::from),
            Self::Secrets => read_secrets(raw),
            Self::Issuers => issuers::read(raw).ok(),
            Self::Networks => {
                read_list(raw).filter(|list| Networks::parse(list.iter().copied()).is_some()).map(Value::from)
            }
            Self::Hosts => read_list(raw).filter(|list| Hosts::parse(list.iter().copied()).is_some()).map(Value::from),
            Self::Origins => {
                read_list(raw).filter(|list| Origins::parse(list.iter().copied()).is_some()).map(Value::from)
            }
            Self::Text | Self::Identifier | Self::Path | Self::Host | Self::Url | Self::Endpoint => {
                let text = raw.text()?.trim();
                self.takes_text(text).then(|| Value::from(without_brackets(text, self)))
            }
        }
    }

    fn takes_text(self, text: &str) -> bool {
        is_line(text)
            && match self {
                Self::Identifier => is_identifier(text),
                Self::Host => is_host(text),
                Self::Url => has_scheme(text) && is_endpoint(text),
                Self::Endpoint => is_endpoint(text),
                _ => true,
            }
    }

    /// What it accepts, as the end of "it takes …".
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Switch => "true or false".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Bytes { min, max: u64::MAX } => {
                format!("a size such as \"512MB\" or \"4GiB\", or a number of bytes, from {} up", show_bytes(min))
            }
            Self::Bytes { min, max } => format!("a size from {} to {}", show_bytes(min), show_bytes(max)),
            Self::Span { min, max } => format!(
                "a time such as \"30s\" or \"5m\", or a number of seconds, from {} to {}",
                show_span(seconds(min)),
                show_span(seconds(max))
            ),
            Self::Choice(choices) => {
                let words =
                    choices.iter().flat_map(|choice| [choice.word].into_iter().chain(choice.aliases.iter().copied()));
                format!("one of {}", words.collect::<Vec<_>>().join(", "))
            }
            Self::Text => format!("a line of 1 to {MAX_TEXT} characters"),
            Self::Identifier => "letters, digits and _, not beginning with a digit, at most 63".to_owned(),
            Self::Path => "the path of a file or folder".to_owned(),
            Self::Host => "a host name or address, without a port".to_owned(),
            Self::Url => "an address that begins with http:// or https://, without a password".to_owned(),
            Self::Endpoint => "a host with a port, or an http(s) address, without a password".to_owned(),
            Self::Networks => "addresses such as 10.1.2.3 and networks such as 10.0.0.0/8".to_owned(),
            Self::Issuers => "tables `[[auth.oidc]]`, see \"Identity providers\" above".to_owned(),
            Self::Hosts => "names such as api.example.org or *.example.org, without ports".to_owned(),
            Self::Origins => "origins such as https://app.example.org (no path, no usual port), or * alone".to_owned(),
            Self::Secret => "a text that isn't empty, and not the mask that stands for a secret".to_owned(),
            Self::Secrets => {
                "keys of visible ASCII characters without spaces, and not the mask that stands for a secret".to_owned()
            }
        }
    }

    /// What is wrong with a value, where that is more than that it isn't allowed.
    pub(super) fn fault(self, raw: &Raw) -> Option<String> {
        match self {
            Self::Issuers => issuers::read(raw).err(),
            _ => None,
        }
    }

    /// Whether a value must not be shown, not even when it is wrong.
    pub(super) fn hides(self, raw: &Raw) -> bool {
        match self {
            Self::Secret | Self::Secrets | Self::Issuers => true,
            // What stands before an @ is a password.
            Self::Url | Self::Endpoint | Self::Host => raw.text().is_none_or(|text| text.contains('@')),
            _ => false,
        }
    }

    /// A value in the form of `read`, as it would be written in TOML. `None` for one that isn't set.
    pub(super) fn show(self, value: &Value) -> Option<String> {
        match (self, value) {
            (_, Value::Empty(..)) => None,
            (Self::Switch, Value::Bool(_, switch)) => Some(switch.to_string()),
            (Self::Integer { .. }, number) => number.to_u128().map(|number| number.to_string()),
            (Self::Bytes { .. }, number) => {
                number.to_u128().and_then(|bytes| bytes.try_into().ok()).map(|bytes| quoted(&show_bytes(bytes)))
            }
            (Self::Span { .. }, Value::Dict(_, dict)) => span_of(dict).map(|span| quoted(&show_span(span))),
            (Self::Secrets, Value::Array(_, keys)) => {
                Some(format!("[{}]", keys.iter().map(|_| quoted(MASK)).collect::<Vec<_>>().join(", ")))
            }
            (Self::Networks | Self::Hosts | Self::Origins, Value::Array(_, list)) => {
                let shown: Option<Vec<_>> = list.iter().map(|item| item.as_str().map(quoted)).collect();
                Some(format!("[{}]", shown?.join(", ")))
            }
            (Self::Issuers, list) => issuers::show(list),
            (Self::Secret, _) => Some(quoted(MASK)),
            (_, Value::String(_, text)) => Some(quoted(text)),
            _ => None,
        }
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn read_switch(raw: &Raw) -> Option<bool> {
    match raw {
        Raw::Switch(switch) => Some(*switch),
        Raw::Word(word) => match word.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn read_integer(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Integer(number) => (*number).try_into().ok(),
        Raw::Word(word) => word.trim().parse().ok(),
        _ => None,
    }
}

fn read_choice(text: &str, choices: &[Choice]) -> Option<&'static str> {
    let is = |word: &str| word.eq_ignore_ascii_case(text.trim());
    choices
        .iter()
        .find(|choice| is(choice.word) || choice.aliases.iter().any(|alias| is(alias)))
        .map(|choice| choice.word)
}

/// A list, or words with commas between them.
fn read_list(raw: &Raw) -> Option<Vec<&str>> {
    match raw {
        Raw::Word(word) => Some(word.split(',').map(str::trim).collect()),
        Raw::List(items) => items.iter().map(|item| item.text().map(str::trim)).collect(),
        _ => None,
    }
}

fn read_secrets(raw: &Raw) -> Option<Value> {
    let keys = read_list(raw)?;
    let legal = |key: &&str| is_secret(key) && key.bytes().all(|byte| byte.is_ascii_graphic());
    keys.iter().all(legal).then(|| Value::from(keys))
}

/// The mask is what a printed configuration has in a secret's place. Taken for the secret, it would be one that
/// everybody knows.
fn is_secret(text: &str) -> bool {
    !text.is_empty() && text != MASK
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control)
}

fn is_identifier(text: &str) -> bool {
    text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_host(text: &str) -> bool {
    let host = without_brackets(text, Kind::Host);
    host.parse::<Ipv6Addr>().is_ok()
        || (host.len() <= 253 && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)))
}

/// An IPv6 address is written with brackets next to a port, and without for listening.
fn without_brackets(text: &str, kind: Kind) -> &str {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if matches!(kind, Kind::Host) { inner.unwrap_or(text) } else { text }
}

fn has_scheme(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    !authority.is_empty() && !text.contains('@') && !text.contains(char::is_whitespace)
}

/// The form in which serde writes and reads a `Duration`.
fn span_value(span: Duration) -> Value {
    let parts = [("secs", Value::from(span.as_secs())), ("nanos", Value::from(span.subsec_nanos()))];
    Value::from(parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Dict>())
}

fn span_of(dict: &Dict) -> Option<Duration> {
    let part = |name: &str| dict.get(name).and_then(Value::to_u128);
    Some(Duration::new(part("secs")?.try_into().ok()?, part("nanos")?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
