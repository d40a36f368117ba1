//! Back to what was before a flush that was cut off.

use crate::file::ProtectedFile;
use crate::storage::{Error, Storage};

impl<S: Storage> ProtectedFile<S> {
    /// Writes back what was kept. It is as hostile as the rest of the storage, and authenticated like it, later.
    pub(crate) fn recover(storage: &mut S) -> Result<(), Error<S::Error>> {
        let mut index = 0;
        while let Some((number, node)) = storage.kept(index).map_err(Error::Storage)? {
            storage.write(number, &node).map_err(Error::Storage)?;
            index += 1;
        }
        if index == 0 {
            return Err(Error::NotRecoverable);
        }
        Ok(())
    }
}
