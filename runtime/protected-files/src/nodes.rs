//! Nodes of the tree: brought in and authenticated when they are needed.

use alloc::boxed::Box;

use zerocopy::{FromBytes, IntoBytes};

use crate::crypto::{Seal, decrypt};
use crate::file::{ProtectedFile, is_used};
use crate::layout::{NODE_SIZE, Node, Place};
use crate::storage::{Error, Storage};

const SEAL_SIZE: usize = size_of::<Seal>();
const _: () = assert!(SEAL_SIZE * 128 == NODE_SIZE);

impl<S: Storage> ProtectedFile<S> {
    /// Room in the cache for a few nodes more.
    pub(crate) fn make_room(&mut self) -> Result<(), Error<S::Error>> {
        if self.cache.is_full() {
            if self.cache.is_mostly_changed() {
                self.flush()?;
            }
            self.cache.shrink();
        }
        Ok(())
    }

    /// A data node that the file has.
    pub(crate) fn data(&mut self, index: u64) -> Result<&Node, Error<S::Error>> {
        self.bring(Place::Data(index))?;
        self.cache.get(Place::Data(index)).ok_or(Error::Malformed)
    }

    /// A data node to change, which becomes one of the file. Of one that will be `replaced` nothing is read.
    pub(crate) fn data_to_change(
        &mut self,
        index: u64,
        replaced: bool,
    ) -> Result<&mut Node, Error<S::Error>> {
        let place = Place::Data(index);
        if !self.cache.has(place) && (replaced || index >= self.stored) {
            self.cache.add(place, Box::new([0; NODE_SIZE]));
        }
        self.bring(place)?;
        self.cache.change(place).ok_or(Error::Malformed)
    }

    /// An MHT node to change.
    pub(crate) fn mht_to_change(&mut self, index: u64) -> Result<&mut Node, Error<S::Error>> {
        let place = Place::Mht(index);
        self.bring(place)?;
        self.cache.change(place).ok_or(Error::Malformed)
    }

    /// Sees to it that a node is in the cache.
    fn bring(&mut self, place: Place) -> Result<(), Error<S::Error>> {
        if self.cache.has(place) {
            return Ok(());
        }
        let mut node = Box::new([0; NODE_SIZE]);
        if is_used(place, self.stored) {
            let seal = self.seal_of(place)?;
            let number = place.number();
            self.storage.read(number, &mut node).map_err(Error::Storage)?;
            if !decrypt(&seal, node.as_mut_slice()) {
                return Err(Error::Changed(number));
            }
        }
        self.cache.add(place, node);
        Ok(())
    }

    fn seal_of(&mut self, place: Place) -> Result<Seal, Error<S::Error>> {
        let Some((parent, slot)) = place.parent() else { return Ok(self.metadata.root) };
        self.bring(Place::Mht(parent))?;
        let node = self.cache.get(Place::Mht(parent)).ok_or(Error::Malformed)?;
        Seal::read_from_bytes(&node[slot * SEAL_SIZE..(slot + 1) * SEAL_SIZE]).map_err(|_| Error::Malformed)
    }

    /// Notes a node's seal in its parent.
    pub(crate) fn set_seal(&mut self, place: Place, seal: Seal) -> Result<(), Error<S::Error>> {
        match place.parent() {
            None => self.metadata.root = seal,
            Some((parent, slot)) => {
                let node = self.mht_to_change(parent)?;
                node[slot * SEAL_SIZE..(slot + 1) * SEAL_SIZE].copy_from_slice(seal.as_bytes());
            }
        }
        Ok(())
    }
}
