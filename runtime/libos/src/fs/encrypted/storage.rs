//! Nodes in a file of the host.

use casemate_platform::host::{self, Bytes, HostFd};
use casemate_platform::random;
use casemate_protected_files::{NODE_SIZE, Node, Storage};

use crate::errno::{Errno, Result};

/// An open file of the host. Nothing that comes out of it is believed.
pub(super) struct HostStorage(pub(super) HostFd);

impl Storage for HostStorage {
    type Error = Errno;

    fn read(&mut self, number: u64, node: &mut Node) -> Result<()> {
        let start = number * NODE_SIZE as u64;
        let mut done = 0;
        while done < NODE_SIZE {
            let received = host::fd_read_at(&self.0, NODE_SIZE - done, start + done as u64)?;
            if received.is_empty() {
                return Err(Errno::EIO);
            }
            received.copy_to(0, &mut node[done..done + received.len()])?;
            done += received.len();
        }
        Ok(())
    }

    fn write(&mut self, number: u64, node: &Node) -> Result<()> {
        let start = number * NODE_SIZE as u64;
        let mut done = 0;
        while done < NODE_SIZE {
            match host::fd_write_at(&self.0, Bytes::Kernel(&node[done..]), start + done as u64)? {
                0 => return Err(Errno::EIO),
                count => done += count,
            }
        }
        Ok(())
    }

    fn cut(&mut self, nodes: u64) -> Result<()> {
        Ok(host::fd_truncate(&self.0, nodes * NODE_SIZE as u64)?)
    }

    fn random(&mut self, to: &mut [u8]) -> Result<()> {
        random::fill(to);
        Ok(())
    }
}
