//! Who is at the other end: the peer of the connection, or whom a proxy of ours speaks for.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use poem::Request;

/// Where proxies name whom they speak for, each at the end of the list.
const FORWARDED_FOR: &str = "X-Forwarded-For";

/// Networks of addresses.
#[derive(Debug, Clone, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Addresses (`10.1.2.3`) and networks (`10.0.0.0/8`); none if a text is neither.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let network = |text: &str| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
        texts.into_iter().map(network).collect::<Option<_>>().map(Self)
    }

    fn have(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The client's address. What a header says counts only as far as a trusted proxy has said it: others write what they
/// like.
pub(crate) fn client(request: &Request, proxies: &Networks) -> Option<IpAddr> {
    let peer = request.remote_addr().as_socket_addr()?.ip();
    let headers = request.headers().get_all(FORWARDED_FOR);
    let forwarded: Vec<&str> = headers.iter().map(|value| value.to_str().unwrap_or_default()).collect();
    Some(behind(peer, &forwarded, proxies))
}

fn behind(peer: IpAddr, forwarded: &[&str], proxies: &Networks) -> IpAddr {
    let mut address = peer.to_canonical();
    let hops: Vec<&str> = forwarded.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        if !proxies.have(address) {
            break;
        }
        let Some(before) = hop_address(hop) else { break };
        address = before;
    }
    address
}

/// An address, perhaps with a port.
fn hop_address(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let proxies = Networks::parse(["10.0.0.0/8", "2001:db8::1"]).unwrap();
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
    fn a_network_is_an_address_or_has_a_length() {
        assert!(Networks::parse(["10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"]).is_some());
        for wrong in ["", "10.0.0.0/33", "proxy.example", "10.0.0"] {
            assert!(Networks::parse([wrong]).is_none(), "{wrong}");
        }
    }
}
