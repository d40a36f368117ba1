//! Changed nodes go to the storage.

use alloc::boxed::Box;

use crate::crypto::{Seal, encrypt};
use crate::file::ProtectedFile;
use crate::layout::{METADATA, NODE_SIZE, Place, data_nodes, nodes_of};
use crate::metadata::set_pending;
use crate::storage::{Error, Storage};

impl<S: Storage> ProtectedFile<S> {
    /// Writes what was changed. When it fails, nothing is lost as long as the file stays open: it can be tried again. When it is
    /// cut off, the file is as it was before if the storage [recovers](Storage::recovers), and otherwise of no use.
    pub fn flush(&mut self) -> Result<(), Error<S::Error>> {
        if !self.changed && !self.cache.is_changed() {
            return Ok(());
        }
        let count = data_nodes(self.size());
        if count == 0 {
            self.metadata.root = Seal::default();
        }
        self.bring_ancestors()?;
        let places = self.cache.changed();
        self.keep_old(&places)?;
        for place in places {
            self.write_node(place)?;
        }
        self.write_metadata()?;
        if nodes_of(self.size()) < self.nodes {
            self.storage.cut(nodes_of(self.size())).map_err(Error::Storage)?;
        }
        self.storage.forget().map_err(Error::Storage)?;
        self.kept.clear();
        self.cache.set_stored();
        self.changed = false;
        self.stored = count;
        self.nodes = nodes_of(self.size());
        Ok(())
    }

    /// Every MHT node above a changed node changes, too.
    fn bring_ancestors(&mut self) -> Result<(), Error<S::Error>> {
        for place in self.cache.changed() {
            let mut below = place;
            while let Some((parent, _)) = below.parent() {
                self.mht_to_change(parent)?;
                below = Place::Mht(parent);
            }
        }
        Ok(())
    }

    /// Keeps what will be overwritten, and then says so in the storage.
    fn keep_old(&mut self, places: &[Place]) -> Result<(), Error<S::Error>> {
        if !self.storage.recovers() || self.nodes == 0 {
            return Ok(());
        }
        if self.kept.is_empty() {
            // What is there is of an earlier flush, which ended.
            self.storage.forget().map_err(Error::Storage)?;
        }
        let mut node = Box::new([0; NODE_SIZE]);
        for number in places.iter().map(|place| place.number()).chain([METADATA]) {
            if number < self.nodes && !self.kept.contains(&number) {
                self.storage.read(number, &mut node).map_err(Error::Storage)?;
                self.storage.keep(number, &node).map_err(Error::Storage)?;
                self.kept.insert(number);
            }
        }
        self.storage.read(METADATA, &mut node).map_err(Error::Storage)?;
        set_pending(&mut node);
        self.storage.write(METADATA, &node).map_err(Error::Storage)
    }

    /// Encrypts a node with a new key, for its parent to keep, and writes it.
    fn write_node(&mut self, place: Place) -> Result<(), Error<S::Error>> {
        let mut seal = Seal::default();
        self.storage.random(&mut seal.key).map_err(Error::Storage)?;
        let mut node = Box::new(*self.cache.get(place).ok_or(Error::Malformed)?);
        seal.mac = encrypt(&seal.key, node.as_mut_slice());
        self.set_seal(place, seal)?;
        self.storage.write(place.number(), &node).map_err(Error::Storage)
    }

    fn write_metadata(&mut self) -> Result<(), Error<S::Error>> {
        let mut nonce = [0; 32];
        self.storage.random(&mut nonce).map_err(Error::Storage)?;
        let node = self.metadata.encrypted(&self.key, nonce);
        self.storage.write(METADATA, &node).map_err(Error::Storage)
    }
}
