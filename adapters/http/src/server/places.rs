//! How many connections are served at once, of all clients and of each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gadwall_application::caller::network_of;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::peer::Networks;

/// Places for connections.
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// Places for one address; 0 for any number.
    per_address: usize,
    /// Those who come for many.
    proxies: Networks,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place, which is free again when this goes away.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    counted: Option<(Arc<Places>, IpAddr)>,
}

impl Places {
    pub(super) fn new(all: usize, per_address: usize, proxies: Networks) -> Arc<Self> {
        Arc::new(Self { all: Arc::new(Semaphore::new(all)), per_address, proxies, taken: Mutex::default() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from there, if there is one.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        if self.per_address == 0 || self.proxies.have(address.to_canonical()) {
            return Some(Place { _of_all: of_all, counted: None });
        }
        let source = network_of(address);
        let mut taken = self.taken();
        let count = taken.entry(source).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Place { _of_all: of_all, counted: Some((Arc::clone(self), source)) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((places, source)) = &self.counted else { return };
        let mut taken = places.taken();
        if let Some(count) = taken.get_mut(source) {
            *count -= 1;
            if *count == 0 {
                taken.remove(source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_places_and_proxies_as_many_as_there_are() {
        let places = Places::new(5, 2, Networks::parse(["10.0.0.1"]).unwrap());
        let mut one: Vec<_> = (0..2).map(|_| places.take(address("192.0.2.1")).unwrap()).collect();
        assert!(places.take(address("192.0.2.1")).is_none() && places.take(address("::ffff:192.0.2.1")).is_none());
        let proxy: Vec<_> = (0..3).map(|_| places.take(address("10.0.0.1")).unwrap()).collect();
        assert!(places.take(address("192.0.2.2")).is_none(), "all are taken");
        drop(proxy);
        one.pop();
        let again = places.take(address("192.0.2.1"));
        assert!(again.is_some() && places.take(address("192.0.2.1")).is_none());
        drop((one, again));
        assert!(places.taken().is_empty(), "nobody is remembered for nothing");
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let places = Places::new(5, 1, Networks::default());
        let _one = places.take(address("2001:db8::1")).unwrap();
        assert!(places.take(address("2001:db8::2")).is_none());
        assert!(places.take(address("2001:db8:0:1::2")).is_some());
    }
}
