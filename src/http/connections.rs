//! Who is connected, and who has to give way when there are too many.

use super::{MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A connection must have waited this long before it can be made to give way to its equals, so that none is closed in the
/// moment between being accepted and being read.
const GRACE: Duration = Duration::from_millis(500);

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    table: Mutex<Table>,
    /// Told when nobody is on the way out any more.
    departed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Open>,
    /// Those that were told to give way and still have their sockets.
    leaving: HashSet<u64>,
}

#[derive(Debug)]
struct Open {
    /// `None` for a unix socket.
    address: Option<IpAddr>,
    /// Since when no request is being answered; `None` while one is.
    waiting: Option<Instant>,
    give_way: Arc<Notify>,
}

/// A place among the connections; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    give_way: Arc<Notify>,
}

impl Connections {
    /// A place for a connection from `address`; `None` if all are taken by connections that are being answered.
    ///
    /// When all places are taken, whoever holds most of them gives one to those who hold less: a few addresses that come
    /// again and again cannot keep the others out.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let mut table = self.table();
        let now = Instant::now();
        let own = address.filter(|address| !address.to_canonical().is_loopback());
        if own.is_some() && table.count(|open| open.address == own) >= MAX_CONNECTIONS_PER_ADDRESS {
            table.dismiss(now, GRACE, |open| open.address == own)?;
        }
        if table.open.len() >= MAX_CONNECTIONS {
            table.make_room(now, address)?;
        }
        let number = table.next;
        table.next += 1;
        let give_way = Arc::new(Notify::new());
        table.open.insert(number, Open { address, waiting: Some(now), give_way: Arc::clone(&give_way) });
        drop(table);
        Some(Place { connections: Arc::clone(self), number, give_way })
    }

    /// Ends once all that had to give way have closed their sockets.
    pub(super) async fn departed(&self) {
        loop {
            // What is told from here on is heard, though it is not waited for yet.
            let departed = self.departed.notified();
            if self.table().leaving.is_empty() {
                return;
            }
            departed.await;
        }
    }

    fn leave(&self, number: u64) {
        let mut table = self.table();
        table.open.remove(&number);
        if table.leaving.remove(&number) && table.leaving.is_empty() {
            self.departed.notify_waiters();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn count(&self, of: impl Fn(&Open) -> bool) -> usize {
        self.open.values().filter(|open| of(open)).count()
    }

    /// Closes a connection of the address that has most, at once if the newcomer's has fewer; else the one that has
    /// waited longest of all.
    fn make_room(&mut self, now: Instant, newcomer: Option<IpAddr>) -> Option<()> {
        let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
        self.open.values().for_each(|open| *counts.entry(open.address).or_default() += 1);
        let own = counts.get(&newcomer).map_or(1, |count| count + 1);
        let most = counts.into_iter().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > own);
        let of_most = most.and_then(|(address, _)| self.dismiss(now, Duration::ZERO, |open| open.address == address));
        of_most.or_else(|| self.dismiss(now, GRACE, |_| true))
    }

    /// Closes the one that has waited longest among `of`; `None` if none has waited for so long.
    fn dismiss(&mut self, now: Instant, least: Duration, of: impl Fn(&Open) -> bool) -> Option<()> {
        let waiting = self.open.iter().filter(|(_, open)| of(open));
        let since = waiting.filter_map(|(number, open)| Some((open.waiting?, *number)));
        let (since, number) = since.min()?;
        if now.duration_since(since) < least {
            return None;
        }
        let open = self.open.remove(&number)?;
        self.leaving.insert(number);
        open.give_way.notify_one();
        Some(())
    }
}

impl Place {
    /// A request is being answered from now on.
    pub(super) fn busy(&self) {
        self.set(None);
    }

    /// The answer is made; from now on the client is waited for.
    pub(super) fn waiting(&self) {
        self.set(Some(Instant::now()));
    }

    /// Ends when the connection has to give way to another one.
    pub(super) async fn dismissed(&self) {
        self.give_way.notified().await;
    }

    fn set(&self, waiting: Option<Instant>) {
        if let Some(open) = self.connections.table().open.get_mut(&self.number) {
            open.waiting = waiting;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, n]))
    }

    fn is_dismissed(place: &Place) -> bool {
        !place.connections.table().open.contains_key(&place.number)
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_cannot_take_all_places() {
        let connections = Arc::default();
        let taken: Vec<_> = (0..MAX_CONNECTIONS_PER_ADDRESS)
            .map(|_| Connections::admit(&connections, address(1)).expect("a free place"))
            .collect();
        assert!(connections.admit(address(1)).is_none(), "the others have only just come");
        assert!(connections.admit(address(2)).is_some());
        tokio::time::advance(GRACE).await;
        taken[0].busy();
        let newcomer = connections.admit(address(1)).expect("one has waited long enough");
        assert!(!is_dismissed(&taken[0]) && is_dismissed(&taken[1]) && !is_dismissed(&newcomer));
        taken[1].dismissed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn silent_connections_give_way_and_busy_ones_do_not() {
        let connections = Arc::default();
        let local = Some(IpAddr::from([127, 0, 0, 1]));
        let mut taken: Vec<_> =
            (0..MAX_CONNECTIONS).map(|_| Connections::admit(&connections, local).expect("a free place")).collect();
        tokio::time::advance(GRACE).await;
        taken.push(connections.admit(address(1)).expect("a silent one gives way"));
        assert!(is_dismissed(&taken[0]));
        taken.iter().for_each(Place::busy);
        assert!(connections.admit(address(2)).is_none());
        taken.truncate(MAX_CONNECTIONS);
        assert!(connections.admit(address(2)).is_some(), "a place that was given back is free");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_let_in_before_who_gave_way_is_gone() {
        let connections: Arc<Connections> = Arc::default();
        let local = Some(IpAddr::from([127, 0, 0, 1]));
        let mut taken: Vec<_> = (0..MAX_CONNECTIONS).filter_map(|_| connections.admit(local)).collect();
        tokio::time::advance(GRACE).await;
        connections.departed().await;
        taken.push(connections.admit(address(1)).expect("a silent one gives way"));
        let departed = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.departed().await }
        });
        tokio::task::yield_now().await;
        drop(taken.pop());
        assert!(!departed.is_finished(), "one that was not told to go is not waited for");
        drop(taken.swap_remove(0));
        departed.await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_hold_most_cannot_keep_another_one_out() {
        let connections = Arc::default();
        let crowd = (0..MAX_CONNECTIONS).map(|n| address(u8::try_from(n % 8).unwrap()));
        let crowd: Vec<_> = crowd.map(|from| Connections::admit(&connections, from).expect("a free place")).collect();
        let scrapers: Vec<_> = (0..8).map(|_| connections.admit(address(99)).expect("they hold fewer")).collect();
        assert_eq!(crowd.iter().filter(|place| is_dismissed(place)).count(), scrapers.len());
        assert!(!scrapers.iter().any(is_dismissed));
        assert!(connections.admit(address(1)).is_none(), "the crowd has only just come");
    }
}
