//! Chosen lies, and what must become of each.

use std::sync::Arc;

use casemate_abi::{HostCall, HostThread, PathOperation, SleepState};
use casemate_platform::host::*;
use casemate_platform::thread::{self, ThreadHandle, Wake};
use casemate_platform::{clock, pages, start};

use crate::host::{HELPER, SIDE, answer, put, put_words, with};
use crate::machine::{self, ENCLAVE_SIZE, HEAP_BASE, MAIN_BLOCK, PAGE, SECRET, USER_BASE, buffer_of};

const FD: HostFd = HostFd::standard_stream(0);
const EIO: HostError = HostError::IO;
const SEEK_SET: u32 = 0;
const SEEK_END: u32 = 2;
const S_IFREG: u64 = 0o100000;

pub fn check_all(main: &Arc<ThreadHandle>) {
    counts_never_exceed_what_was_asked();
    what_succeeds_with_nothing_says_nothing_else();
    errors_come_from_the_calls_own_set();
    descriptors_are_small_numbers_that_are_no_standard_stream();
    addresses_of_image_files_lie_outside();
    a_status_has_a_type_and_a_size();
    a_position_that_was_set_is_the_one();
    links_and_events_have_the_right_form();
    addresses_of_sockets_are_no_longer_than_addresses();
    a_file_that_goes_away_is_an_error();
    a_buffer_or_block_that_goes_away_is_an_error();
    only_some_signals_are_taken();
    time_never_goes_back();
    threads_are_what_they_are_whatever_the_host_says(main);
    the_host_enters_only_where_it_was_asked_to();
}

pub fn reply(value: i64) -> impl FnMut(HostCall, [u64; 6]) -> i64 + Send {
    move |_, _| value
}

fn counts_never_exceed_what_was_asked() {
    for count in [101, i64::MAX, 1 << 32, TRANSFER_LIMIT as i64 + 1] {
        let read = with(reply(count), || fd_read(&FD, 100).map(drop));
        assert_eq!(read, Err(EIO));
        assert_eq!(with(reply(count), || fd_read_at(&FD, 100, 5).map(drop)), Err(EIO));
        let bytes = [7; 100];
        assert_eq!(with(reply(count), || fd_write(&FD, Bytes::Kernel(&bytes))), Err(EIO.into()));
        assert_eq!(with(reply(count), || fd_write_at(&FD, Bytes::Kernel(&bytes), 0)), Err(EIO.into()));
        assert_eq!(
            with(reply(count), || socket_send(&FD, Bytes::Kernel(&bytes), &[], &[], 0)),
            Err(EIO.into())
        );
        assert_eq!(with(reply(count), || socket_receive(&FD, 100, 0, Beside::Sender).map(drop)), Err(EIO));
        assert_eq!(with(reply(count), || socket_get_option(&FD, 1, 1, 100)), Err(EIO));
        assert_eq!(with(reply(count), || epoll_wait(&FD, 100, None).map(drop)), Err(EIO));
        let mut entries = [poll_entry(&FD, 1); 100];
        assert_eq!(with(reply(count), || fd_poll(&mut entries, None)), Err(EIO));
    }
    assert_eq!(with(reply(32769), || fd_read_directory(&FD)), Err(EIO));
    assert_eq!(with(reply(4096), || path_read_link(0, b"x")), Err(EIO));
    // As many as were asked for are right, also when the whole buffer was.
    let whole = with(reply(TRANSFER_LIMIT as i64), || fd_read(&FD, usize::MAX).unwrap());
    assert_eq!(whole.len(), TRANSFER_LIMIT);
    let mut past = [0; 2];
    assert!(
        whole.copy_to(TRANSFER_LIMIT - 1, &mut past).is_err()
            && whole.copy_to(usize::MAX, &mut past).is_err()
    );
    // With MSG_TRUNC the length of a datagram may exceed what is there, but not without end.
    put_words(SIDE, &[0; 5]);
    let cut = with(
        |_, _| {
            put_words(SIDE, &[0; 5]);
            5000
        },
        || socket_receive(&FD, 100, 0x20, Beside::Sender),
    )
    .unwrap();
    assert_eq!((cut.data.len(), cut.count), (100, 5000));
    assert_eq!(
        with(reply((1 << 30) + 1), || socket_receive(&FD, 100, 0x20, Beside::Sender).map(drop)),
        Err(EIO)
    );
}

fn what_succeeds_with_nothing_says_nothing_else() {
    type Call = fn() -> Result<(), HostError>;
    let calls: [(&str, Call); 12] = [
        ("fd_truncate", || fd_truncate(&FD, 1)),
        ("fd_sync", || fd_sync(&FD, true)),
        ("fd_ioctl", || fd_ioctl(&FD, 0x541b, &mut [0; 4])),
        ("fd_ioctl_value", || fd_ioctl_value(&FD, 0x5409, 0)),
        ("path_change", || path_change(PathOperation::Unlink, 0, b"x", 0, 0)),
        ("path_change_two", || path_change_two(PathOperation::Link, 0, b"x", b"y", 0)),
        ("socket_bind", || socket_bind(&FD, &[2, 0])),
        ("socket_listen", || socket_listen(&FD, 1)),
        ("socket_connect", || socket_connect(&FD, &[2, 0])),
        ("socket_set_option", || socket_set_option(&FD, 1, 2, &[1])),
        ("socket_shutdown", || socket_shutdown(&FD, 1)),
        ("epoll_control", || epoll_control(&FD, 1, &FD, 1, 1)),
    ];
    for (name, call) in calls {
        assert_eq!(with(reply(0), call), Ok(()), "{name}");
        for lie in [1, 4096, i64::MAX] {
            assert_eq!(with(reply(lie), call), Err(EIO), "{name} with {lie}");
        }
    }
    for lie in [1, i64::MAX, -22, i64::MIN] {
        assert!(with(reply(lie), || fd_stat(&FD).map(drop)).is_err());
        assert!(with(reply(lie), || volume_stat(0).is_err()));
        assert!(with(reply(lie), || pages::map(USER_BASE, PAGE, pages::Protection::NONE).is_err()));
        assert!(with(reply(lie), || pages::unmap(USER_BASE, PAGE).is_err()));
    }
    assert_eq!(with(reply(2), || fd_set_nonblocking(&FD, true)), Err(EIO));
    assert_eq!(with(reply(1), || fd_set_nonblocking(&FD, true)), Ok(true));
}

fn errors_come_from_the_calls_own_set() {
    const ENOENT: i64 = 2;
    const ENOSPC: i64 = 28;
    assert_eq!(with(reply(-ENOENT), || path_stat(0, b"x").map(drop)), Err(HostError(2)));
    assert_eq!(with(reply(-ENOSPC), || path_stat(0, b"x").map(drop)), Err(EIO));
    assert_eq!(with(reply(-ENOENT), || fd_read(&FD, 1).map(drop)), Err(EIO));
    assert_eq!(with(reply(-ENOENT), || socket_bind(&FD, &[2, 0])), Err(EIO));
    // Restart codes of the kernel, and what is no errno at all.
    for lie in [-512, -513, -516, -4096, i64::MIN, i64::MIN + 1, -(1 << 32) - ENOENT] {
        assert_eq!(with(reply(lie), || path_stat(0, b"x").map(drop)), Err(EIO), "{lie}");
    }
    assert_eq!(with(reply(-4), || thread::park(None)), Wake::Woken);
    assert_eq!(with(reply(-2), || thread::park(None)), Wake::Woken);
}

fn descriptors_are_small_numbers_that_are_no_standard_stream() {
    for lie in [0, 1, 2, 1 << 31, 1 << 32 | 5, i64::MAX] {
        assert!(with(reply(lie), || path_open(0, b"x", 0, 0).is_err()), "{lie}");
        assert!(with(reply(lie), || socket_open(2, 1, 0).is_err()), "{lie}");
        assert!(with(reply(lie), || socket_accept(&FD).is_err()), "{lie}");
        assert!(with(reply(lie), || epoll_open().is_err()), "{lie}");
    }
}

fn addresses_of_image_files_lie_outside() {
    let open = |address: u64, size: u64| {
        with(
            move |call, _| {
                if call == HostCall::ImageOpen {
                    put_words(SIDE, &[9, size, address]);
                }
                0
            },
            || ImageMapping::open(b"x", &[0; 32]),
        )
    };
    let outside = buffer_of(MAIN_BLOCK.load(std::sync::atomic::Ordering::SeqCst));
    for (address, size) in [
        (SECRET, 16),
        (HEAP_BASE, 1 << 20),
        (ENCLAVE_SIZE - 1, 1),
        (0, 1),
        (1, u64::MAX),
        (u64::MAX - 10, 11),
        (u64::MAX - 10, 100),
        (1 << 47, 1),
        ((1 << 47) - 1, 2),
        (outside, u64::MAX - outside + 1),
    ] {
        assert_eq!(open(address, size).map(drop), Err(EIO), "{address:#x} + {size:#x}");
    }
    let file = open(outside, 64).unwrap();
    let mut bytes = [0; 16];
    assert!(file.read(48, &mut bytes) && !file.read(49, &mut bytes) && !file.read(u64::MAX, &mut bytes));
    // An empty file has no address, and nothing is read at whatever the host gave.
    let empty = open(SECRET, 0).unwrap();
    assert!(!empty.read(0, &mut bytes[..1]) && !empty.read(0, &mut bytes));
}

fn a_status_has_a_type_and_a_size() {
    let stat = |mode: u64, size: u64, blocks: u64| {
        with(
            move |_, _| {
                put_words(SIDE, &[1, 2, mode | 1 << 32, 0, 0, size, blocks, 0, 0, 0]);
                0
            },
            || (fd_stat(&FD).map(|stat| stat.size), path_stat(0, b"x").map(|stat| stat.size)),
        )
    };
    assert_eq!(stat(S_IFREG | 0o7777, 5, 8), (Ok(5), Ok(5)));
    for (mode, size, blocks) in [
        (0o644, 5, 8),
        (0o170000, 5, 8),
        (S_IFREG | 1 << 16, 5, 8),
        (S_IFREG | 1 << 31, 5, 8),
        (S_IFREG, 1 << 63, 8),
        (S_IFREG, u64::MAX, 8),
        (S_IFREG, 5, 1 << 63),
    ] {
        assert_eq!(stat(mode, size, blocks), (Err(EIO), Err(EIO)), "{mode:o} {size} {blocks}");
    }
}

fn a_position_that_was_set_is_the_one() {
    assert_eq!(with(reply(7), || fd_seek(&FD, 7, SEEK_SET)), Ok(7));
    assert_eq!(with(reply(8), || fd_seek(&FD, 7, SEEK_SET)), Err(EIO));
    assert_eq!(with(reply(8), || fd_seek(&FD, 7, SEEK_END)), Ok(8));
}

fn links_and_events_have_the_right_form() {
    let link = |text: &'static [u8]| {
        with(
            move |_, _| {
                put(SIDE, text);
                text.len() as i64
            },
            || path_read_link(0, b"x"),
        )
    };
    assert_eq!(link(b"../a"), Ok(b"../a".to_vec()));
    assert_eq!(link(b""), Err(EIO));
    assert_eq!(link(b"a\0b"), Err(EIO));
    // Events that were not asked for are dropped; errors always come through.
    let mut entries = [poll_entry(&FD, 1)];
    let ready = with(
        |_, _| {
            put_words(0, &[0xffff << 48]);
            1
        },
        || fd_poll(&mut entries, None),
    );
    assert_eq!((ready, entries[0].revents, entries[0].fd), (Ok(1), 0x39, 0));
    let found = with(
        |_, _| {
            put_words(0, &[u64::MAX, 77]);
            1
        },
        || epoll_wait(&FD, 8, None),
    )
    .unwrap();
    assert_eq!((found[0].events, found[0].data, found[0].reserved), (0x27df, 77, 0));
}

fn addresses_of_sockets_are_no_longer_than_addresses() {
    assert_eq!(with(reply(129), || socket_name(&FD, false)), Err(EIO));
    assert_eq!(with(reply(128), || socket_name(&FD, true)).map(|name| name.len()), Ok(128));
    let accept = |length: u64| {
        with(
            move |_, _| {
                put_words(SIDE, &[length]);
                5
            },
            || socket_accept(&FD).map(|(_, from)| from.len()),
        )
    };
    assert_eq!((accept(16), accept(129), accept(u64::MAX)), (Ok(16), Err(EIO), Err(EIO)));
    let receive = |length: u64, flags: u64| {
        with(
            move |_, _| {
                put_words(SIDE, &[0, 0, 0, length, flags]);
                0
            },
            || socket_receive(&FD, 10, 0, Beside::Sender).map(|message| message.address.len()),
        )
    };
    assert_eq!((receive(28, 0), receive(129, 0)), (Ok(28), Err(EIO)));
    assert_eq!(receive(28, 1 << 32), Err(EIO), "flags of 64 bits");
    let control = |length: u64| {
        with(
            move |_, _| {
                put_words(SIDE, &[0, 0, 0, 0, 0, 0, length]);
                0
            },
            || socket_receive(&FD, 10, 0, Beside::SenderAndControl).map(|message| message.control.len()),
        )
    };
    assert_eq!((control(256), control(257), control(u64::MAX)), (Ok(256), Err(EIO), Err(EIO)));
}

fn a_file_that_goes_away_is_an_error() {
    let place = buffer_of(machine::host_block());
    let open = move |_, _: [u64; 6]| {
        put_words(SIDE, &[9, PAGE, place]);
        0
    };
    let file = with(open, || ImageMapping::open(b"x", &[0; 32])).unwrap();
    let mut bytes = [0; 16];
    assert!(file.read(0, &mut bytes));
    machine::protect(place, PAGE, libc::PROT_NONE);
    assert!(!file.read(0, &mut bytes));
    machine::protect(place, PAGE, libc::PROT_READ | libc::PROT_WRITE);
}

fn a_buffer_or_block_that_goes_away_is_an_error() {
    let block = MAIN_BLOCK.load(std::sync::atomic::Ordering::SeqCst);
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let side = buffer_of(block) + SIDE;
    let take = move |_, _: [u64; 6]| {
        machine::protect(side, 8192, libc::PROT_NONE);
        0
    };
    assert_eq!(with(take, || fd_stat(&FD).map(drop)), Err(EIO));
    machine::protect(side, 8192, access);
    assert_eq!(with(take, || path_stat(0, b"x").map(drop)), Err(EIO));
    machine::protect(side, 8192, access);
    machine::protect(block, PAGE, libc::PROT_NONE);
    assert_eq!(fd_sync(&FD, true), Err(EIO), "no place for the arguments: no call");
    thread::clear_wake();
    assert_eq!(thread::park(None), Wake::Woken);
    machine::protect(block, PAGE, access);
}

fn only_some_signals_are_taken() {
    let taken = with(
        |_, _| {
            put_words(SIDE, &[u64::MAX]);
            0
        },
        take_signals,
    );
    for signal in 1..=64 {
        let faults_and_unstoppable = [4, 5, 6, 7, 8, 9, 11, 19, 31].contains(&signal) || signal > 31;
        assert_eq!(taken >> (signal - 1) & 1 == 0, faults_and_unstoppable, "signal {signal}");
    }
    assert_eq!(
        with(
            |_, _| {
                put_words(SIDE, &[u64::MAX]);
                1
            },
            take_signals
        ),
        0
    );
}

fn time_never_goes_back() {
    let mut last = 0;
    for clocks in [[5, 1000, 1000], [0, 0, 0], [u64::MAX; 3], [1, 2, 3], [0; 3]] {
        let now = with(
            move |_, _| {
                put_words(SIDE, &clocks);
                0
            },
            clock::now,
        );
        assert!(now.monotonic_ns >= last, "{now:?} after {last}");
        last = now.monotonic_ns;
    }
}

/// Starts a thread as the host would, at `slot`.
pub fn enter_thread(slot: u64, block: u64) -> std::thread::JoinHandle<i64> {
    std::thread::spawn(move || {
        HELPER.set(true);
        start::enter_direct(casemate_abi::EntryReason::Thread as u64, slot, block, |_, _| ())
    })
}

fn threads_are_what_they_are_whatever_the_host_says(main: &Arc<ThreadHandle>) {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    static RAN: AtomicU32 = AtomicU32::new(0);
    // An error without a thread: none runs, and the slot is taken back.
    assert_eq!(with(reply(-11), || thread::spawn(|_| ())).map(drop), Err(HostError(11)));
    assert_eq!(with(reply(-2), || thread::spawn(|_| ())).map(drop), Err(EIO));
    // An error although the thread runs: it is there.
    let spawned = with(
        |_, args| {
            assert_eq!(enter_thread(args[0], machine::host_block()).join().unwrap(), 0);
            assert_eq!(enter_thread(args[0], machine::host_block()).join().unwrap(), -1, "a second time");
            -11
        },
        || thread::spawn(|_| _ = RAN.fetch_add(1, SeqCst)),
    );
    assert!(spawned.is_ok() && RAN.load(SeqCst) == 1);
    // A wake-up asks the host only for one who may sleep, by whatever the host says.
    let block = MAIN_BLOCK.load(SeqCst) as *const HostThread;
    // SAFETY: the block is the host's, the words are atomics.
    let (wake, sleeping) = unsafe { (&(*block).wake, &(*block).sleeping) };
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    answer(move |call, args| {
        assert_eq!((call, args[0]), (HostCall::Unpark, block_address()));
        counted.fetch_add(1, SeqCst);
        -1
    });
    for (state, calls) in [(SleepState::Awake as u32, 0), (SleepState::Parked as u32, 1), (999, 2)] {
        sleeping.store(state, SeqCst);
        wake.store(0, SeqCst);
        main.unpark();
        assert_eq!((wake.load(SeqCst), asked.load(SeqCst)), (1, calls));
    }
    sleeping.store(0, SeqCst);
    answer(reply(0));
    main.interrupt();
    assert!(thread::is_interrupted() && casemate_platform::context::take_interrupt());
}

fn block_address() -> u64 {
    MAIN_BLOCK.load(std::sync::atomic::Ordering::SeqCst)
}

fn the_host_enters_only_where_it_was_asked_to() {
    for slot in [0, SECRET, HEAP_BASE, block_address(), u64::MAX] {
        assert_eq!(enter_thread(slot, machine::host_block()).join().unwrap(), -1, "{slot:#x}");
    }
    let again = std::thread::spawn(|| start::enter_direct(0, 0, block_address(), |_, _| ())).join().unwrap();
    assert_eq!(again, -1, "a second start");
    for reason in [3, 77, u64::MAX] {
        assert_eq!(start::enter_direct(reason, 0, 0, |_, _| ()), -1);
    }
}
