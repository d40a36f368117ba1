//! Structures that a host call reads or writes in the host buffer.

/// One descriptor of a poll.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct PollEntry {
    /// Host descriptor.
    pub fd: i32,
    /// POLL* bits wanted.
    pub events: i16,
    /// POLL* bits found.
    pub revents: i16,
}

/// One event of an epoll wait.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct EpollEntry {
    /// EPOLL* bits.
    pub events: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// The value given at registration.
    pub data: u64,
}

/// The host's clocks, read together.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct HostClock {
    /// CLOCK_REALTIME in ns.
    pub realtime_ns: u64,
    /// CLOCK_MONOTONIC in ns.
    pub monotonic_ns: u64,
    /// CLOCK_BOOTTIME in ns.
    pub boottime_ns: u64,
}

/// File status from the host.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct HostStat {
    /// Device.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Link count.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a special file.
    pub rdev: u64,
    /// Size in bytes.
    pub size: u64,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// Access time, ns since 1970.
    pub atime_ns: i64,
    /// Modification time, ns since 1970.
    pub mtime_ns: i64,
    /// Change time, ns since 1970.
    pub ctime_ns: i64,
}

/// A message to send or receive: one data range, one address and control data, all in the host buffer.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct MessageHeader {
    /// Address of the data.
    pub data: u64,
    /// Length of the data (send) or capacity (receive).
    pub data_length: u64,
    /// Address of the socket address.
    pub name: u64,
    /// Length (send) or capacity, then length (receive); 0 for none, and then the header of a receive stays as it is.
    pub name_length: u64,
    /// Out (receive): MSG_* flags of the message.
    pub flags: u64,
    /// Address of the control data.
    pub control: u64,
    /// Length (send) or capacity, then length (receive); 0 for none.
    pub control_length: u64,
}

/// A network interface.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct HostInterface {
    /// Its number, from 1.
    pub index: u32,
    /// IFF_*.
    pub flags: u32,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Most packets that wait to be sent.
    pub queue: u32,
    /// ARPHRD_*.
    pub kind: u16,
    /// How much of `hardware` and of `broadcast` counts.
    pub hardware_length: u8,
    /// How much of `name` counts.
    pub name_length: u8,
    /// Hardware address.
    pub hardware: [u8; 8],
    /// Hardware address of everybody.
    pub broadcast: [u8; 8],
    /// Name.
    pub name: [u8; 16],
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct HostAddress {
    /// The interface's number.
    pub interface: u32,
    /// AF_INET or AF_INET6; of the former only the first four bytes of addresses count.
    pub family: u8,
    /// Length of the network's part in bits.
    pub prefix: u8,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// IFA_F_*, the lower eight.
    pub flags: u8,
    /// The interface's own address.
    pub address: [u8; 16],
    /// The other end's, of a point-to-point interface; else everybody's; else 0.
    pub other: [u8; 16],
}

/// Head of a directory entry as getdents64(2) writes it; the NUL-ended name follows at offset 19.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed)]
pub struct DirectoryEntry {
    /// Inode number.
    pub ino: u64,
    /// Where the next entry is found.
    pub offset: i64,
    /// Length of this entry.
    pub record_length: u16,
    /// DT_* type.
    pub file_type: u8,
}

/// One leaf of CPUID, as the host's processor answers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CpuidEntry {
    /// EAX: the leaf.
    pub leaf: u32,
    /// ECX: the sub-leaf; 0 where the leaf has none.
    pub subleaf: u32,
    /// EAX, EBX, ECX, EDX of the answer.
    pub registers: [u32; 4],
}
