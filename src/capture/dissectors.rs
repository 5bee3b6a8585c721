//! The dissectors of all connections that go on.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::dissector::Dissector;
use super::event::ConnectionId;

/// Dissectors, found by the number of their connection, or by the place that each keeps as long as it is here.
#[derive(Debug, Default)]
pub(super) struct Dissectors {
    /// Looked up for each event: hashed fast, by what no file can foresee.
    places: HashMap<ConnectionId, usize, RandomState>,
    /// Those are large: the places that are free are not.
    all: Vec<Option<Box<Dissector>>>,
    free: Vec<usize>,
}

impl Dissectors {
    /// Where that of a connection is.
    pub(super) fn place(&self, id: ConnectionId) -> Option<usize> {
        self.places.get(&id).copied()
    }

    /// That of a connection whose place is known; `None` once it is gone, whoever has the place then.
    #[inline]
    pub(super) fn at(&mut self, place: usize, id: ConnectionId) -> Option<&mut Dissector> {
        self.all.get_mut(place)?.as_deref_mut().filter(|dissector| dissector.connection.id == id)
    }

    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Dissector> {
        self.at(self.place(id)?, id)
    }

    /// If there is one of that connection already, it goes.
    pub(super) fn insert(&mut self, id: ConnectionId, dissector: Dissector) {
        let place = self.place(id).or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.all.push(None);
            self.all.len() - 1
        });
        self.places.insert(id, place);
        self.all[place] = Some(Box::new(dissector));
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        if let Some(place) = self.places.remove(&id) {
            self.all[place] = None;
            self.free.push(place);
        }
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Dissector)> {
        self.places.iter().filter_map(|(id, place)| Some((*id, self.all[*place].as_deref()?)))
    }

    /// The same.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Dissector> {
        self.all.iter_mut().flatten().map(Box::as_mut)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::capture::connection::Connection;
    use crate::capture::event::{Timestamp, Vantage};
    use crate::lint::Limits;

    #[test]
    fn each_keeps_its_place_until_it_goes_and_another_takes_it() {
        let end = SocketAddr::from(([127, 0, 0, 1], 80));
        let dissector = |id| {
            let connection = Connection::new(id, end, end, Timestamp(1), Vantage::Beside);
            Dissector::new(connection, Limits::default())
        };
        let [one, two, three] = [1, 2, 3].map(ConnectionId);
        let mut dissectors = Dissectors::default();
        for id in [one, two] {
            dissectors.insert(id, dissector(id));
        }
        let places = [one, two].map(|id| dissectors.place(id).unwrap());
        dissectors.remove(one);
        assert_eq!((dissectors.place(one), dissectors.at(places[0], one).is_none()), (None, true));
        dissectors.insert(three, dissector(three));
        dissectors.insert(two, dissector(two));
        assert_eq!([three, two].map(|id| dissectors.place(id).unwrap()), places);
        for (id, place) in [three, two].into_iter().zip(places) {
            assert_eq!(dissectors.at(place, id).unwrap().connection.id, id);
            assert!(dissectors.at(place, one).is_none(), "it is gone, and another has its place");
            assert_eq!(dissectors.get(id).unwrap().connection.id, id);
        }
        assert_eq!((dissectors.iter().count(), dissectors.iter_mut().count()), (2, 2));
    }
}
