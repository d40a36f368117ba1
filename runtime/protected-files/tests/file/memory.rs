//! A storage in memory that fails when it is told to.

use std::cell::RefCell;
use std::rc::Rc;

use casemate_protected_files::{Error, FileKey, NODE_SIZE, Node, ProtectedFile, Storage};

pub const KEY: FileKey = FileKey([7; 16]);
pub const PATH: &[u8] = b"/data/file";

/// What outlives a crash.
#[derive(Clone, Default)]
pub struct Disk {
    pub nodes: Vec<Node>,
    pub kept: Vec<(u64, Node)>,
    pub recovers: bool,
    /// Changes that still succeed; then each fails.
    pub patience: Option<usize>,
    pub randoms: u64,
}

#[derive(Clone, Default)]
pub struct Memory(pub Rc<RefCell<Disk>>);

#[derive(Debug, PartialEq, Eq)]
pub struct Failed;

pub type Failure = Error<Failed>;
pub type File = ProtectedFile<Memory>;

impl Disk {
    fn change(&mut self) -> Result<(), Failed> {
        match &mut self.patience {
            Some(0) => Err(Failed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Storage for Memory {
    type Error = Failed;

    fn read(&mut self, number: u64, node: &mut Node) -> Result<(), Failed> {
        *node = *self.0.borrow().nodes.get(number as usize).ok_or(Failed)?;
        Ok(())
    }

    fn write(&mut self, number: u64, node: &Node) -> Result<(), Failed> {
        let mut disk = self.0.borrow_mut();
        disk.change()?;
        let end = disk.nodes.len().max(number as usize + 1);
        disk.nodes.resize(end, [0; NODE_SIZE]);
        disk.nodes[number as usize] = *node;
        Ok(())
    }

    fn cut(&mut self, nodes: u64) -> Result<(), Failed> {
        let mut disk = self.0.borrow_mut();
        disk.change()?;
        disk.nodes.truncate(nodes as usize);
        Ok(())
    }

    fn random(&mut self, to: &mut [u8]) -> Result<(), Failed> {
        let mut disk = self.0.borrow_mut();
        for part in to.chunks_mut(8) {
            disk.randoms += 1;
            part.copy_from_slice(
                &disk.randoms.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[..part.len()],
            );
        }
        Ok(())
    }

    fn recovers(&self) -> bool {
        self.0.borrow().recovers
    }

    fn keep(&mut self, number: u64, node: &Node) -> Result<(), Failed> {
        let mut disk = self.0.borrow_mut();
        disk.change()?;
        disk.kept.push((number, *node));
        Ok(())
    }

    fn kept(&mut self, index: u64) -> Result<Option<(u64, Box<Node>)>, Failed> {
        let disk = self.0.borrow();
        Ok(disk.kept.get(index as usize).map(|(number, node)| (*number, Box::new(*node))))
    }

    fn forget(&mut self) -> Result<(), Failed> {
        let mut disk = self.0.borrow_mut();
        disk.change()?;
        disk.kept.clear();
        Ok(())
    }
}

pub fn open(memory: &Memory) -> Result<File, Failure> {
    ProtectedFile::open(memory.clone(), KEY, Some(PATH))
}

pub fn create(memory: &Memory) -> File {
    ProtectedFile::create(memory.clone(), KEY, PATH).unwrap()
}

pub fn contents(file: &mut File) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
    assert_eq!(file.read(0, &mut bytes)?, bytes.len());
    Ok(bytes)
}
