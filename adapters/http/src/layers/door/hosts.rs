//! Under which names the server is asked. A page elsewhere can make a name of its own lead here (DNS rebinding), and a
//! proxy can send on what isn't meant for here; both show in the name that is asked for.

use poem::Request;
use poem::http::header;
use poem::http::uri::Authority;

use crate::problem::{ApiError, ApiResult};

/// Names, perhaps with `*.` before them; any name if there are none.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Host names (`api.example.org`), addresses, and all names below one (`*.example.org`); without ports. None if a
    /// text is neither.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let host = |text: &str| {
            let name = text.strip_prefix("*.").unwrap_or(text);
            let bracketed = name.starts_with('[') && name.ends_with(']');
            let legal = |byte: u8| {
                byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || (bracketed && b":[]".contains(&byte))
            };
            (!name.is_empty() && name.bytes().all(legal)).then(|| text.to_ascii_lowercase())
        };
        texts.into_iter().map(host).collect::<Option<_>>().map(Self)
    }

    fn have(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|host| match host.strip_prefix('*') {
            Some(below) => name.strip_suffix(below).is_some_and(|label| !label.is_empty()),
            None => *host == name,
        })
    }

    pub(super) fn check(&self, request: &Request) -> ApiResult<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut named = request.headers().get_all(header::HOST).iter();
        // HTTP/2 has it in the address; where there are both, both count.
        let of_header = named.next().map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
        let of_address = request.original_uri().authority().cloned().map(Some);
        let given: Vec<Option<Authority>> = [of_header, of_address].into_iter().flatten().collect();
        let fits = |authority: &Option<Authority>| authority.as_ref().is_some_and(|a| self.have(a.host()));
        if given.is_empty() || named.next().is_some() || !given.iter().all(fits) {
            return Err(ApiError::wrong_host());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_itself_or_below_another() {
        let hosts = Hosts::parse(["api.example.org", "*.internal.example", "[::1]", "10.0.0.1"]).unwrap();
        for (name, known) in [
            ("api.example.org", true),
            ("API.Example.Org", true),
            ("api.example.org.", true),
            ("example.org", false),
            ("api.example.org.evil", false),
            ("a.internal.example", true),
            ("a.b.internal.example", true),
            ("internal.example", false),
            (".internal.example", false),
            ("evilinternal.example", false),
            ("[::1]", true),
            ("10.0.0.1", true),
            ("10.0.0.2", false),
        ] {
            assert_eq!(hosts.have(name), known, "{name}");
        }
        for wrong in ["", "*", "*.", "a b", "https://a", "a:80", "a/b", "a.*"] {
            assert!(Hosts::parse([wrong]).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_request_names_one_known_host() {
        let hosts = Hosts::parse(["api.example.org"]).unwrap();
        let fits = |given: &[&str]| {
            let request = given.iter().fold(Request::builder(), |request, host| request.header("Host", *host)).finish();
            hosts.check(&request).is_ok()
        };
        assert!(fits(&["api.example.org"]) && fits(&["api.example.org:8000"]));
        assert!(!fits(&[]) && !fits(&["other.example"]) && !fits(&["api.example.org", "other.example"]));
        assert!(!fits(&["user@api.example.org@other.example"]) && !fits(&["/"]) && !fits(&[""]));
        assert!(Hosts::default().check(&Request::default()).is_ok());
    }
}
