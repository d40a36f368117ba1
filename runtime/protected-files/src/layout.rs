//! Where a file's bytes are: the numbers of nodes, and the tree over them.

/// Bytes of a node, encrypted or not.
pub const NODE_SIZE: usize = 4096;
/// How much of the file the metadata node holds.
pub const HEAD_SIZE: usize = 3072;
/// Largest size in bytes: what `off_t` can tell.
pub const MAX_SIZE: u64 = i64::MAX as u64;
/// Data nodes of a hash-tree (MHT) node.
pub(crate) const DATA_PER_MHT: u64 = 96;
/// Children of an MHT node that are MHT nodes.
const MHT_PER_MHT: u64 = 32;

/// A node.
pub type Node = [u8; NODE_SIZE];

/// The metadata node.
pub(crate) const METADATA: u64 = 0;

/// What a node beside the metadata is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// This node of the hash tree; 0 is the root.
    Mht(u64),
    /// This node of the file's bytes behind the head.
    Data(u64),
}

impl Place {
    /// The node's number in the storage.
    pub(crate) fn number(self) -> u64 {
        match self {
            Place::Mht(index) => 1 + index * (DATA_PER_MHT + 1),
            Place::Data(index) => index + 2 + index / DATA_PER_MHT,
        }
    }

    /// The MHT node that has this node's key, and in which place; the root's is in the metadata.
    pub(crate) fn parent(self) -> Option<(u64, usize)> {
        let (parent, slot) = match self {
            Place::Mht(0) => return None,
            Place::Mht(index) => ((index - 1) / MHT_PER_MHT, DATA_PER_MHT + (index - 1) % MHT_PER_MHT),
            Place::Data(index) => (index / DATA_PER_MHT, index % DATA_PER_MHT),
        };
        Some((parent, slot as usize))
    }
}

/// How many data nodes a file of `size` bytes has.
pub(crate) fn data_nodes(size: u64) -> u64 {
    size.saturating_sub(HEAD_SIZE as u64).div_ceil(NODE_SIZE as u64)
}

/// How many nodes of all kinds a file of `size` bytes has.
#[must_use]
pub fn nodes_of(size: u64) -> u64 {
    match data_nodes(size) {
        0 => 1,
        count => Place::Data(count - 1).number() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_follow_each_other_without_a_gap() {
        let mut next = 1;
        for data in 0..10_000 {
            if data % DATA_PER_MHT == 0 {
                assert_eq!(Place::Mht(data / DATA_PER_MHT).number(), next);
                next += 1;
            }
            assert_eq!(Place::Data(data).number(), next);
            next += 1;
        }
    }

    #[test]
    fn each_node_has_a_place_of_its_own_in_its_parent() {
        let places = (0..5000).map(Place::Data).chain((0..500).map(Place::Mht));
        let mut seen = hashbrown::HashSet::new();
        for place in places {
            match place.parent() {
                Some((parent, slot)) => {
                    assert!(slot < 128 && seen.insert((parent, slot)));
                    assert!(Place::Mht(parent).number() < place.number());
                }
                None => assert_eq!(place, Place::Mht(0)),
            }
        }
    }

    #[test]
    fn sizes_at_the_edges_have_the_nodes_that_the_format_says() {
        for (size, nodes) in
            [(0, 1), (3072, 1), (3073, 3), (7168, 3), (7169, 4), (396_288, 98), (396_289, 100)]
        {
            assert_eq!(nodes_of(size), nodes, "{size}");
        }
        assert!(nodes_of(MAX_SIZE) < MAX_SIZE);
    }
}
