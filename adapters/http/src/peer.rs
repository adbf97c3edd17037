//! Who is at the other end: the peer of the connection, or whom a proxy of ours speaks for.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use poem::Request;

/// Where proxies name whom they speak for, each at the end of the list. Only one is looked at: a proxy that writes one of
/// them lets through what its clients write into the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For: 203.0.113.9`
    #[default]
    XForwardedFor,
    /// `Forwarded: for=203.0.113.9` (RFC 7239)
    Forwarded,
}

impl ForwardedHeader {
    fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::Forwarded => "Forwarded",
        }
    }

    /// The client in an element of the list.
    fn client(self, element: &str) -> Option<IpAddr> {
        match self {
            Self::XForwardedFor => hop_address(element),
            Self::Forwarded => {
                let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
                let (_, client) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
                hop_address(client.trim_matches('"'))
            }
        }
    }
}

/// Proxies that may say whom they speak for, and where.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Their addresses.
    pub networks: Networks,
    /// The header that they write.
    pub header: ForwardedHeader,
}

/// Networks of addresses.
#[derive(Debug, Clone, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Addresses (`10.1.2.3`) and networks (`10.0.0.0/8`); none if a text is neither.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let network = |text: &str| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
        texts.into_iter().map(network).collect::<Option<_>>().map(Self)
    }

    pub(crate) fn have(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The client's address. What a header says counts only as far as a trusted proxy has said it: others write what they
/// like.
pub(crate) fn client(request: &Request, proxies: &Proxies) -> Option<IpAddr> {
    let peer = request.remote_addr().as_socket_addr()?.ip();
    let headers = request.headers().get_all(proxies.header.name());
    let forwarded: Vec<&str> = headers.iter().map(|value| value.to_str().unwrap_or_default()).collect();
    Some(behind(peer, &forwarded, proxies))
}

fn behind(peer: IpAddr, forwarded: &[&str], proxies: &Proxies) -> IpAddr {
    let mut address = peer.to_canonical();
    let hops: Vec<&str> = forwarded.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        if !proxies.networks.have(address) {
            break;
        }
        let Some(before) = proxies.header.client(hop) else { break };
        address = before;
    }
    address
}

/// An address, perhaps with a port.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        seen_in(ForwardedHeader::XForwardedFor, peer, forwarded)
    }

    fn seen_in(header: ForwardedHeader, peer: &str, forwarded: &[&str]) -> String {
        let proxies = Proxies { networks: Networks::parse(["10.0.0.0/8", "2001:db8::1"]).unwrap(), header };
        behind(peer.parse().unwrap(), forwarded, &proxies).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        for (peer, forwarded, expected) in [
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["forged, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9:51000"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["[2001:db8::9]:1"], "2001:db8::9"),
            ("2001:db8::1", &["203.0.113.9"], "203.0.113.9"),
            ("2001:db8::2", &["203.0.113.9"], "2001:db8::2"),
        ] {
            assert_eq!(seen(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn the_standard_header_says_the_same() {
        for (forwarded, expected) in [
            ("for=203.0.113.9", "203.0.113.9"),
            ("for=forged, For=\"203.0.113.9:51000\";proto=https;by=10.0.0.1", "203.0.113.9"),
            ("proto=https; for=\"[2001:db8::9]\"", "2001:db8::9"),
            ("for=\"[2001:db8::9]:443\"", "2001:db8::9"),
            ("for=203.0.113.9, for=10.0.0.2", "203.0.113.9"),
            ("for=_hidden", "10.0.0.1"),
            ("for=unknown", "10.0.0.1"),
            ("203.0.113.9", "10.0.0.1"),
        ] {
            assert_eq!(seen_in(ForwardedHeader::Forwarded, "10.0.0.1", &[forwarded]), expected, "{forwarded}");
        }
    }

    #[test]
    fn a_network_is_an_address_or_has_a_length() {
        assert!(Networks::parse(["10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"]).is_some());
        for wrong in ["", "10.0.0.0/33", "proxy.example", "10.0.0"] {
            assert!(Networks::parse([wrong]).is_none(), "{wrong}");
        }
    }
}
